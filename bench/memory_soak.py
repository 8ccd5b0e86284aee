#!/usr/bin/env python3
"""Soaks a server's memory: a thousand requests over many prefixes, under a ceiling.

The model has random weights; its cache holds a part of the prefixes, so pages are taken and given back all the time. After
every request the ledger is compared with what the system says of the process. The exit code is 0 if they agree within
5 % or 32 MB throughout, all that counts stays under the ceiling, and anonymous memory is flat once the cache is full.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import urllib.request

from compare import write_docs
from peers.environments import FOLDER, ROOT
from serving.plot import Panel, svg
from serving.servers import Process, free_port

AGREE_SHARE, AGREE_MB = 0.05, 32
FLAT_MB = 8  # that memory may grow in the second half
PARTS = ("kv", "cache", "activations", "scratch", "tables", "buffers")


@dataclasses.dataclass(frozen=True)
class Sample:
    """After a request; megabytes."""

    ledger: float  # anonymous memory that is accounted for
    anonymous: float  # as the system says
    total: float  # with the weights' pages that are in memory


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=600) as answer:
        return json.load(answer)


def sample(url):
    report = ask(f"{url}/v1/memory")
    parts, process = report["categories"], report["process"]
    return Sample(ledger=sum(parts[name] for name in PARTS) / 1e6, anonymous=process["anonymous"] / 1e6,
                  total=(process["anonymous"] + parts["weights_resident"]) / 1e6)  # fmt: skip


def soak(url, o):
    """The samples in the order of the answers, and how many tokens were read and taken from the cache."""
    vocabulary = range(1000, 40000)

    def one(number):
        dice = random.Random(f"{o.seed} {number}")
        which = random.Random(f"{o.seed} prefix {dice.randrange(o.prefixes)}")
        prompt = [which.choice(vocabulary) for _ in range(which.randrange(100, 2 * o.tokens))]
        prompt += [dice.choice(vocabulary) for _ in range(20)]
        answer = ask(f"{url}/completion", {"prompt": prompt, "n_predict": 8, "ignore_eos": True, "temperature": 0})
        return sample(url), answer["tokens_evaluated"], answer["tokens_cached"] - 8

    with concurrent.futures.ThreadPoolExecutor(o.clients) as pool:
        done = list(pool.map(one, range(o.requests)))
    return [each[0] for each in done], sum(each[1] for each in done), sum(each[2] for each in done)


def faults_of(samples, ceiling, start):
    """What is not as it should be. `start`: the process before its first request; of that the ledger knows nothing."""
    found = []
    for number, s in enumerate(samples):
        apart = abs(s.anonymous - s.ledger)
        if apart > max(AGREE_MB, AGREE_SHARE * s.anonymous):
            found.append(f"request {number}: {s.anonymous:.0f} MB, but the ledger has {s.ledger:.0f}")
    if max(s.total for s in samples) > ceiling:
        found.append(f"{max(s.total for s in samples):.0f} MB are more than the ceiling of {ceiling:.0f}")
    grown = growth(samples)
    if grown > FLAT_MB:
        found.append(f"memory grew by {grown:.1f} MB in the second half (from {start.anonymous:.0f} before the first)")
    return found


def growth(samples):
    """Of a line through the second half, from its beginning to its end."""
    half = [s.anonymous for s in samples[len(samples) // 2 :]]
    return statistics.linear_regression(range(len(half)), half).slope * len(half)


def text_of(samples, ceiling, read, cached, start, o):
    faults = faults_of(samples, ceiling, start)
    apart = [s.anonymous - s.ledger for s in samples]
    lines = [
        f"{len(samples)} requests over {o.prefixes} prefixes of {o.tokens} tokens on average, {o.clients} at a time, model "
        f"{o.synthetic}, cache of {o.cache} tokens, ceiling {o.limit}: {read} tokens of prompts, {cached} of them cached.",
        f"Anonymous memory: {start.anonymous:.0f} MB before, {max(s.anonymous for s in samples):.0f} MB at most; with the "
        f"weights' pages {max(s.total for s in samples):.0f} MB at most.",
        f"System less ledger: {min(apart):.1f} to {max(apart):.1f} MB, median {statistics.median(apart):.1f}.",
        f"Growth in the second half: {growth(samples):+.1f} MB.",
        "Nothing unexpected." if not faults else f"{len(faults)} faults:",
    ]
    return "  \n".join(lines) + "\n" + "".join(f"- {fault}\n" for fault in faults[:20])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--synthetic", default="smollm2-135m:q4_0", metavar="SHAPE:TYPE")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--prefixes", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=600, help="of a prefix, on average")
    parser.add_argument("--cache", type=int, default=60000, help="tokens that the server can hold")
    parser.add_argument("--limit", default="2G", help="the server's --memory-limit, in G or M")
    parser.add_argument("--clients", type=int, default=8, help="at a time")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--plot", type=pathlib.Path, help="write ledger and memory after each request as SVG")
    parser.add_argument("--docs", action="store_true", help="write the report into docs/planning.md")
    return parser.parse_args()


def main():
    o = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    medlar, port = o.medlar.resolve(), free_port()
    ceiling = float(o.limit[:-1]) * {"G": 1073.741824, "M": 1.048576}[o.limit[-1]]
    with tempfile.TemporaryDirectory(dir=FOLDER) as home:
        path = pathlib.Path(home) / "model.gguf"
        subprocess.run([medlar, "synth", o.synthetic, path], check=True, stdout=subprocess.DEVNULL)
        command = [medlar, "serve", path, "--port", port, "-t", o.threads, "-c", 4 * o.tokens, "--parallel", o.clients,
                   "--cache", o.cache, "--kv-type", "f16", "--memory-limit", o.limit]  # fmt: skip
        with Process(command, port, env={"MEDLAR_HOME": home}):
            url = f"http://127.0.0.1:{port}"
            start = sample(url)
            samples, read, cached = soak(url, o)
    text = text_of(samples, ceiling, read, cached, start, o)
    print(text, end="")
    if o.plot:
        o.plot.write_text(svg([float(i) for i in range(len(samples))], [
            Panel("ledger, MB", [s.ledger for s in samples]),
            Panel("anonymous memory, MB", [s.anonymous for s in samples])]))  # fmt: skip
    if o.docs:
        write_docs("memory-soak", text, "planning")
    sys.exit(bool(faults_of(samples, ceiling, start)))


if __name__ == "__main__":
    main()
