"""llama-cpp-python from PyPI: llama.cpp compiled for this machine, through its Python binding."""

from peers.child import watch
from peers.environments import PROGRAMS, python_version, python_with
from peers.protocol import Measurement, only_cpu


class LlamaCppPython:
    name = "llama-cpp-python"
    package = "llama-cpp-python==0.3.36"

    def version(self):
        self.python = python_with(self.name, [self.package])
        return python_version(self.python, self.name)

    def prepare(self, job):
        only_cpu(job)

    def measure(self, job):
        command = [self.python, PROGRAMS / "run_llama_cpp.py", job.model, job.prompt, job.gen, job.threads, job.batch]
        speed, first = watch([*command, "speed"]), watch([*command, "first"])
        return Measurement(**speed.json(), start_ms=first.first_output_ms, anon_mb=speed.anon_mb, file_mb=speed.file_mb)
