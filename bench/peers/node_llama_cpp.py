"""node-llama-cpp from npm: llama.cpp's release as its authors' partner compiled it, with kernels chosen at start."""

from peers.child import watch
from peers.environments import PROGRAMS, node_module
from peers.protocol import Measurement


class NodeLlamaCpp:
    name = "node-llama-cpp"
    package_version = "3.22.1"

    def version(self):
        self.entry = node_module(self.name, self.package_version) / "dist" / "index.js"
        return self.package_version

    def prepare(self, job):
        pass

    def measure(self, job):
        command = ["node", PROGRAMS / "run_node_llama_cpp.mjs", self.entry, job.model, job.prompt, job.gen, job.threads,
                   job.batch, job.device]  # fmt: skip
        speed, first = watch([*command, "speed"]), watch([*command, "first"])
        return Measurement(**speed.json(), start_ms=first.first_output_ms, anon_mb=speed.anon_mb, file_mb=speed.file_mb)
