#!/usr/bin/env python3
"""Compares Medlar with other engines on the same files, in turn, on this machine.

Installs each peer from its public package registry under build/compare, runs A B C A B C ..., and prints medians and
Medlar's ratio to the fastest peer. Every run is a process of its own, so memory and load time are that run's. A peer
that cannot be installed or run is named with the reason. What has been measured is kept round by round, so a run may be
ended early, by --limit or by hand. With --docs the table replaces what stands between the
markers of docs/performance.md.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from peers import PEERS
from peers.environments import FOLDER, ROOT
from peers.medlar import Medlar
from peers.protocol import Failed, Job, Measurement, Unavailable

READ_BYTES = 1 << 24


@dataclasses.dataclass
class Results:
    """Of one model: the runs of each engine, equally many, and why others have none."""

    model: str
    runs: dict[str, list[Measurement]] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)

    def median(self, engine, key):
        return statistics.median(getattr(run, key) for run in self.runs[engine])

    def fastest(self, key):
        """The peer with the highest median; None where no peer ran."""
        peers = [name for name in self.runs if name != Medlar.name]
        return max(peers, key=lambda name: self.median(name, key), default=None)

    def ratio(self, peer, key):
        """The median of the pairs' ratios."""
        pairs = zip(self.runs[Medlar.name], self.runs[peer], strict=True)
        return statistics.median(getattr(a, key) / getattr(b, key) for a, b in pairs)


def installed(names, medlar):
    """The engines that are there with their versions, and why others are not."""
    engines, versions, reasons = [], {}, {}
    for engine in [medlar, *(PEERS[name]() for name in names)]:
        try:
            versions[engine.name] = engine.version()
            engines.append(engine)
        except (Unavailable, Failed) as error:
            reasons[engine.name] = str(error)
    if not engines or engines[0] is not medlar:
        sys.exit(f"compare: {reasons[medlar.name]}")
    return engines, versions, reasons


def compare(engines, name, job, pairs, limit=None, keep=lambda results: None):
    """Alternating runs, of which no round is begun that would end after `limit` seconds. An engine that fails once is
    out. After each round `keep` gets the results so far."""
    results, left = Results(name), []
    read_once(job.model)
    for engine in engines:
        try:
            engine.prepare(job)
            left.append(engine)
        except Unavailable as error:
            results.reasons[engine.name] = str(error)
    start = time.monotonic()
    for pair in range(pairs):
        if pair and limit and (time.monotonic() - start) * (pair + 1) / pair > limit:
            break
        for engine in list(left):
            try:
                results.runs.setdefault(engine.name, []).append(engine.measure(job))
            except Failed as error:
                results.reasons[engine.name] = str(error)
                results.runs.pop(engine.name, None)
                left.remove(engine)
        print(f"{name}: round {pair + 1} of {pairs}", file=sys.stderr)
        keep(results)
    if Medlar.name not in results.runs:
        sys.exit(f"compare: {results.reasons[Medlar.name]}")
    return results


def read_once(path):
    """Brings the file into memory, so that no engine pays for the disk."""
    with path.open("rb", buffering=0) as file:
        while file.read(READ_BYTES):
            pass


HEAD = (
    "| file | engine | prompt tokens/s | answer tokens/s | prompt read | load | start | anonymous | file-backed |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|\n"
)


def table(all_results, versions, reasons, o):
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    counts = sorted({len(results.runs[Medlar.name]) for results in all_results})
    rounds = " or ".join(map(str, counts)) + " alternating " + ("round" if counts == [1] else "rounds")
    text = (f"Prompt of {o.prompt}, answer of {o.gen}, {o.threads} threads, batch {o.batch}, q8_0 KV cache, {rounds}; "
            f"{machine(o.device)}; {names}.\n\n{HEAD}")  # fmt: skip
    notes = [f"{name}: {reason}" for name, reason in reasons.items()]
    for results in all_results:
        text += "".join(row(results, engine, o) for engine in results.runs) + ratio_row(results)
        notes += [f"{name} on {results.model}: {reason}" for name, reason in results.reasons.items()]
        notes += [f"{name} on {results.model}: {runs[-1].note}" for name, runs in results.runs.items() if runs[-1].note]
    return text + "".join(f"\n- {' '.join(note.split())}" for note in notes) + ("\n" if notes else "")


def row(results, engine, o):
    pp, tg, load, start, anonymous, file = (
        results.median(engine, key) for key in ("pp", "tg", "load_ms", "start_ms", "anon_mb", "file_mb")
    )
    cells = [results.model, engine, f"{pp:.1f}", f"{tg:.1f}", f"{1000 * o.prompt / pp:.0f} ms", f"{load:.0f} ms",
             f"{start:.0f} ms", f"{anonymous:.0f} MB", f"{file:.0f} MB"]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def ratio_row(results):
    cells = []
    for key in ("pp", "tg"):
        peer = results.fastest(key)
        cells.append(f"**{results.ratio(peer, key):.2f}** × {peer}" if peer else "")
    return f"| {results.model} | **medlar / fastest peer** | {' | '.join(cells)} | | | | | |\n"


def cpu():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        name = done.stdout.strip()
    return f"{name}, {os.cpu_count()} cores"


def machine(device):
    if device == "cpu":
        return cpu()
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return f"{subprocess.run(query, capture_output=True, check=True, text=True).stdout.splitlines()[0]}, {cpu()}"


def write_docs(section, text, page_name="performance"):
    path = ROOT / "docs" / f"{page_name}.md"
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    page = path.read_text()
    if begin not in page or end not in page:
        sys.exit(f"compare: {path} has no lines {begin} and {end}")
    before, rest = page.split(begin)
    path.write_text(f"{before}{begin}\n{text}{end}{rest.split(end)[1]}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", type=pathlib.Path, help="GGUF files")
    parser.add_argument("--synthetic", action="append", default=[], metavar="SHAPE:TYPE",
                        help="a model of that shape with random weights, as of medlar synth; repeatable")  # fmt: skip
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {','.join(PEERS)}; all if not given")
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--gen", type=int, default=64)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("-b", "--batch", type=int, default=512)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: everything on one GPU")
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which each engine runs once")
    parser.add_argument("--limit", type=float, metavar="SECONDS",
                        help="of each model: begin no round that would end later; one is always run")  # fmt: skip
    parser.add_argument("--json", type=pathlib.Path, help="write every run into this file")
    parser.add_argument("--docs", nargs="?", const="compare", metavar="SECTION",
                        help="write the table into docs/performance.md, between this section's markers")  # fmt: skip
    o = parser.parse_args()
    o.peers = [name for name in o.peers.split(",") if name]
    unknown = [name for name in o.peers if name not in PEERS]
    if unknown or not (o.models or o.synthetic):
        parser.error(f"there is no peer {unknown[0]}" if unknown else "there is nothing to compare")
    return o


def main():
    o = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    engines, versions, reasons = installed(o.peers, Medlar(o.medlar.resolve()))
    results = []

    def keep(last):
        if o.json:
            o.json.write_text(json.dumps([dataclasses.asdict(r) for r in [*results, last]], indent=1))

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        for name in [*o.models, *o.synthetic]:
            path = pathlib.Path(name)
            if name in o.synthetic:
                path = pathlib.Path(folder) / (name.replace(":", "-") + ".gguf")
                subprocess.run([o.medlar, "synth", name, path], check=True)
            job = Job(path.resolve(), o.prompt, o.gen, o.threads, o.batch, o.device)
            results.append(compare(engines, path.name, job, o.pairs, o.limit, keep))
            if name in o.synthetic:
                path.unlink()
    text = table(results, versions, reasons, o)
    print(text, end="")
    if o.docs:
        write_docs(o.docs, text)


if __name__ == "__main__":
    main()
