"""MLX's CPU build with mlx-lm, from PyPI. It runs Transformers-style folders, so it gets one of the file's shape."""

import pathlib
import tempfile

from peers.child import watch
from peers.environments import PROGRAMS, python_version, python_with
from peers.protocol import Failed, Measurement, Unavailable, only_cpu


class Mlx:
    name = "mlx"
    packages = ("mlx==0.32.4", "mlx-cpu==0.32.4", "mlx-lm==0.32.2", "gguf==0.19.0")

    def version(self):
        self.python = python_with(self.name, self.packages)
        return f"{python_version(self.python, 'mlx')} (mlx-lm {python_version(self.python, 'mlx-lm')})"

    def prepare(self, job):
        only_cpu(job)
        self.folder = tempfile.TemporaryDirectory(prefix="medlar-mlx-")
        try:
            watch([self.python, PROGRAMS / "make_mlx.py", job.model, self.folder.name])
        except Failed as error:
            raise Unavailable(str(error)) from error

    def measure(self, job):
        command = [self.python, PROGRAMS / "run_mlx.py", pathlib.Path(self.folder.name), job.prompt, job.gen]
        threads = {"OMP_NUM_THREADS": str(job.threads), "OPENBLAS_NUM_THREADS": str(job.threads)}
        speed, first = watch([*command, "speed"], threads), watch([*command, "first"], threads)
        return Measurement(**speed.json(), start_ms=first.first_output_ms, anon_mb=speed.anon_mb, file_mb=speed.file_mb)
