"""Medlar itself."""

import json

from peers.child import watch
from peers.protocol import Measurement, Unavailable


class Medlar:
    name = "medlar"

    def __init__(self, program):
        self.program = program

    def version(self):
        if not self.program.exists():
            raise Unavailable(f"{self.program} is not built")
        return watch([self.program, "--version"]).output.decode().split()[-1]

    def prepare(self, job):
        pass

    def measure(self, job):
        settings = ["--device", job.device, "-t", job.threads, "-ctk", "q8_0", "-ctv", "q8_0"]
        bench = watch([self.program, "bench", "-m", job.model, "-p", job.prompt, "-n", job.gen, "-b", job.batch,
                       "-r", 1, "--no-limit", "-o", "json", *settings])  # fmt: skip
        pp, tg = json.loads(bench.output)
        run = [self.program, "run", job.model, "a", "--raw", "-n", 1, "--temp", 0, "-c", 64, *settings]
        first, timings = watch(run), watch([*run, "--json"]).json()["timings"]
        return Measurement(pp=pp["median_ts"], tg=tg["median_ts"], load_ms=timings["load_ms"],
                           start_ms=first.first_output_ms, anon_mb=bench.anon_mb, file_mb=bench.file_mb)  # fmt: skip
