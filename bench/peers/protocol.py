"""What compare.py asks of an engine."""

import dataclasses
import pathlib
import typing


class Unavailable(Exception):
    """The engine cannot be installed here, or cannot take this model; the text says why."""


class Failed(Exception):
    """A run that should have worked did not; the text has the end of what the engine said."""


@dataclasses.dataclass(frozen=True)
class Job:
    model: pathlib.Path  # GGUF
    prompt: int  # tokens
    gen: int  # tokens
    threads: int
    batch: int
    device: str = "cpu"  # or "cuda": everything on one GPU


def only_cpu(job):
    """What a package does that is compiled without a GPU. Raises Unavailable."""
    if job.device != "cpu":
        raise Unavailable(f"its package does not run on {job.device}")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One run. Speeds in tokens a second; 0 megabytes: the system does not tell."""

    pp: float  # reading the prompt
    tg: float  # writing one by one, in an empty context
    load_ms: float  # until the engine is ready, the file being in memory
    start_ms: float  # from the start of the process to its first token, after a prompt of one token
    anon_mb: float  # peak of anonymous memory
    file_mb: float  # peak of mapped file pages
    note: str = ""  # where the run differs from the others


class Engine(typing.Protocol):
    name: str

    def version(self) -> str:
        """What is measured, installed on first use. Raises Unavailable."""

    def prepare(self, job: Job) -> None:
        """Whatever the model needs before it can be run. Raises Unavailable."""

    def measure(self, job: Job) -> Measurement:
        """One run in processes of its own. Raises Failed."""
