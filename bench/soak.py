#!/usr/bin/env python3
"""Soaks `medlar serve`: many clients at random for a given time, good and bad ones.

They ask two models of which one at a time is in memory, stream, leave in the middle, vanish before the answer, read slowly, stay idle, and send what is no request. Every
answer is checked. Memory and file descriptors are looked at once a second; at the end nothing may be left open, and
memory must be flat: its trend after the first third of the time is told in megabytes an hour. The exit code
is 0 if all that holds.
"""

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from peers.environments import FOLDER, ROOT, reenter_with

MEMORY_SHARE = 0.03  # that the medians of the middle and the last third may differ
MEMORY_MB = 3.0  # and whatever the share says
SPARE_FILES = 3  # descriptors that may be there at the end and were not at the beginning
SETTLE_SECONDS = 60
PLOTTED = 600  # samples


@dataclasses.dataclass
class Sample:
    seconds: float
    anon_mb: float
    files: int
    threads: int


@dataclasses.dataclass
class Report:
    minutes: float
    played: dict[str, int]
    statuses: dict[str, int]
    unexpected: list[str]
    files: tuple[int, int, int]  # at the beginning, at most, at the end
    memory_mb: tuple[float, float]  # medians of the middle and the last third
    trend_mb_per_hour: float
    threads: tuple[int, int]  # fewest and most

    def faults(self):
        faults = list(self.unexpected)
        if self.files[2] > self.files[0] + SPARE_FILES:
            faults.append(f"{self.files[2] - self.files[0]} file descriptors were left open")
        middle, last = self.memory_mb
        if last - middle > max(MEMORY_MB, MEMORY_SHARE * middle):
            faults.append(f"memory grew from {middle:.1f} to {last:.1f} MB")
        return faults


def sample(pid, start):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return Sample(
        seconds=time.monotonic() - start,
        anon_mb=int(status["RssAnon"].split()[0]) * 1024 / 1e6,
        files=sum(1 for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir()),
        threads=int(status["Threads"]),
    )


def report_of(samples, first, last, played, statuses, unexpected):
    """`first` and `last`: with nobody connected."""
    third = len(samples) // 3
    rest = samples[third:]
    hours = [s.seconds / 3600 for s in rest]
    slope = statistics.linear_regression(hours, [s.anon_mb for s in rest]).slope if len(rest) > 1 else 0.0
    median = lambda part: statistics.median(s.anon_mb for s in part)  # noqa: E731
    return Report(
        minutes=samples[-1].seconds / 60,
        played=dict(played),
        statuses={str(status): count for status, count in sorted(statuses.items())},
        unexpected=unexpected,
        files=(first.files, max(s.files for s in samples), last.files),
        memory_mb=(median(samples[third : 2 * third] or samples), median(samples[2 * third :])),
        trend_mb_per_hour=slope,
        threads=(min(s.threads for s in samples), max(s.threads for s in samples)),
    )


async def soak(process, o):
    from serving.loads import LOADS, Unexpected, session_of_many

    url, start = f"http://127.0.0.1:{process.port}", time.monotonic()
    end = start + 60 * o.minutes
    played, statuses, unexpected = collections.Counter(), collections.Counter(), []

    async def client(session, seed):
        dice = random.Random(seed)
        while time.monotonic() < end and len(unexpected) < 20:
            load = dice.choices(list(LOADS), LOADS.values())[0]
            played[load.__name__] += 1
            try:
                statuses.update(await load(session, url, dice))
            except Unexpected as error:
                unexpected.append(f"{load.__name__}: {error}")
            except Exception as error:  # the client's own view of a connection that broke
                unexpected.append(f"{load.__name__}: {type(error).__name__}: {error}")
            await asyncio.sleep(dice.expovariate(1 / o.pause))

    async def watch(samples):
        while True:
            samples.append(sample(process.pid, start))
            await asyncio.sleep(1)

    first, samples = sample(process.pid, start), []
    watcher = asyncio.create_task(watch(samples))
    async with session_of_many() as session:
        await asyncio.gather(*(client(session, f"{o.seed} {i}") for i in range(o.clients)))
    watcher.cancel()
    return report_of(samples, first, await settled(process, start, first), played, statuses, unexpected), samples


async def settled(process, start, first):
    """When the server has closed what the clients left."""
    for _ in range(SETTLE_SECONDS * 2):
        last = sample(process.pid, start)
        if last.files <= first.files + SPARE_FILES:
            break
        await asyncio.sleep(0.5)
    return last


def text_of(report):
    faults = report.faults()
    middle, last = report.memory_mb
    statuses = ", ".join(f"{count} x {status}" for status, count in report.statuses.items())
    played = ", ".join(f"{name} {count}" for name, count in sorted(report.played.items()))
    lines = [
        f"{report.minutes:.1f} minutes, {sum(report.played.values())} clients: {played}.",
        f"Answers: {statuses}.",
        f"Anonymous memory: {middle:.1f} MB in the middle third, {last:.1f} MB in the last; "
        f"trend {report.trend_mb_per_hour:+.1f} MB an hour.",
        f"File descriptors: {report.files[0]} before, {report.files[1]} at most, {report.files[2]} after; "
        f"threads {report.threads[0]} to {report.threads[1]}.",
        "Nothing unexpected." if not faults else f"{len(faults)} faults:",
    ]
    return "\n".join([*lines, *(f"- {fault}" for fault in faults)]) + "\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", type=pathlib.Path, default=ROOT / "tests" / "goldens" / "tiny-llama.gguf")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--clients", type=int, default=24, help="at a time")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds of each between two requests, on average")
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="write report and samples into this file")
    parser.add_argument("--plot", type=pathlib.Path, help="write memory and file descriptors over time as SVG")
    parser.add_argument("--here", action="store_true", help="with this Python, which has what is needed")
    parser.add_argument("--docs", nargs="?", const="soak", metavar="SECTION",
                        help="write the report into docs/serving.md, between this section's markers")  # fmt: skip
    return parser.parse_args()


def install_other(medlar, home):
    """A second model in a store of its own, which clients call "other"."""
    sys.path.insert(0, str(ROOT / "tests" / "python"))
    from hub_support import Hub

    hub = Hub({"test/other": (ROOT / "tests" / "goldens" / "tiny-qwen3.gguf").read_bytes()})
    env = os.environ | {"MEDLAR_HOME": str(home), "HF_ENDPOINT": hub.url}
    subprocess.run([medlar, "pull", "hf.co/test/other"], check=True, env=env, stderr=subprocess.DEVNULL)
    hub.close()


def name_other(port):
    """The name that the loads use, for the model that is not loaded."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/medlar/models") as answer:
        (name,) = [model["name"] for model in json.load(answer)["data"] if not model["loaded"]]
    body = json.dumps({"source": name, "destination": "other"}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/api/copy", data=body).close()


def main():
    o = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not o.here:
        reenter_with("serve")
    from compare import write_docs
    from serving.plot import Panel, svg
    from serving.servers import Process, free_port

    port = free_port()
    command = [o.medlar.resolve(), "serve", o.model, "--port", port, "-t", o.threads, "-c", 512, "--parallel", 6,
               "--cache", 4096, "--alias", "soak", "--max-models", 1]  # fmt: skip
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        install_other(o.medlar.resolve(), home)
        process = stack.enter_context(Process(command, port, env={"MEDLAR_HOME": home}))
        name_other(port)
        report, samples = asyncio.run(soak(process, o))
        alive = process.process.poll() is None
    if not alive:
        report.unexpected.append(f"the server ended: {process.process.returncode}")
    text = text_of(report)
    print(text, end="")
    if o.json:
        o.json.write_text(json.dumps({"report": dataclasses.asdict(report),
                                      "samples": [dataclasses.asdict(s) for s in samples]}, indent=1))  # fmt: skip
    if o.plot:
        shown = samples[:: len(samples) // PLOTTED + 1]
        panels = [Panel("anonymous memory, MB", [s.anon_mb for s in shown]),
                  Panel("file descriptors", [s.files for s in shown])]  # fmt: skip
        o.plot.write_text(svg([s.seconds for s in shown], panels))
    if o.docs:
        write_docs(o.docs, text, "serving")
    sys.exit(bool(report.faults()))


if __name__ == "__main__":
    main()
