"""Runs a program and watches its memory and its first output."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

from peers.protocol import Failed

SAMPLE_SECONDS = 0.005
LONGEST_SECONDS = 900
TAIL_BYTES = 2000


@dataclasses.dataclass
class Watched:
    output: bytes
    errors: str
    first_output_ms: float  # from before the start; the end of a program that prints nothing
    anon_mb: float = 0.0  # peaks
    file_mb: float = 0.0

    def json(self):
        """The last line of the output. Engines may print lines of their own before it."""
        return json.loads(self.output.splitlines()[-1])


class MemoryPeaks(threading.Thread):
    """Looks at a process until it ends. The kernel's own peak, VmHWM, does not tell the two kinds apart."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path = pathlib.Path(f"/proc/{pid}/status")
        self.peak = {"RssAnon": 0.0, "RssFile": 0.0}
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            try:
                lines = self.path.read_text().splitlines()
            except OSError:
                return
            for line in lines:
                key, _, value = line.partition(":")
                if key in self.peak:
                    self.peak[key] = max(self.peak[key], int(value.split()[0]) * 1024 / 1e6)


def watch(command, env=None, cwd=None):
    """The finished program; raises Failed with the end of its standard error."""
    command = [str(word) for word in command]
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        environment = os.environ | (env or {})
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=cwd)
        except OSError as error:
            raise Failed(str(error)) from error
        peaks, end = MemoryPeaks(process.pid), threading.Timer(LONGEST_SECONDS, process.kill)
        peaks.start()
        end.start()
        first = process.stdout.read(1)
        first_ms = (time.perf_counter() - start) * 1000
        output = first + process.stdout.read()
        code = process.wait()
        seconds = time.perf_counter() - start
        end.cancel()
        peaks.ended.set()
        peaks.join()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if code != 0:
        name, tail = pathlib.Path(command[0]).name, said[-TAIL_BYTES:].strip()
        end = f"exit code {code}" if code > 0 else signal.Signals(-code).name
        raise Failed(f"{name}: {end} after {seconds:.0f} s: {tail}")
    return Watched(output, said, first_ms, peaks.peak["RssAnon"], peaks.peak["RssFile"])
