"""Compares Medlar with Transformers and llama.cpp on whole distributions: the table of docs/fidelity.md.

    python3 tests/goldens/compare.py --medlar build/release/medlar SMOLLM2.gguf GEMMA3.gguf

Every prompt of the goldens is read by Transformers (float32, the file's dequantized weights), by llama.cpp through
llama-cpp-python (its default mode), and by Medlar in both modes. Needs the packages of
tests/goldens/requirements.txt.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
from llama_cpp import Llama

import golden
import make_goldens

ROWS = 64  # positions compared at a time, to keep large vocabularies in memory


def by_medlar(program, model, tokens, *options):
    with tempfile.NamedTemporaryFile(suffix=".npy") as out:
        ids = ",".join(map(str, tokens))
        command = [program, "logits", "-m", model, "--tokens", ids, "--npy", out.name, *options]
        subprocess.run(command, check=True)
        return np.load(out.name)


def by_llama_cpp(model, tokens):
    engine = Llama(str(model), n_ctx=1024, logits_all=True, verbose=False)
    engine.eval([int(token) for token in tokens])
    return np.array(engine.scores[: len(tokens)])


class Divergence:
    """Mean and largest KL and the share of equal best tokens over all positions added."""

    def __init__(self):
        self.kl, self.same = [], []

    def add(self, expected, actual):
        for start in range(0, len(expected), ROWS):
            p = golden.log_softmax(expected[start : start + ROWS])
            q = golden.log_softmax(actual[start : start + ROWS])
            self.kl.extend(golden.full_kl(p, q))
            self.same.extend(p.argmax(-1) == q.argmax(-1))

    def row(self, name):
        kl = np.array(self.kl)
        return f"| {name} | {kl.mean():.1e} | {np.percentile(kl, 99):.1e} | {kl.max():.1e} | {np.mean(self.same):.2%} |"


def compare(program, path):
    model, tokenizer = make_goldens.load(path)
    pairs = {
        "Medlar `--exact` to Transformers": Divergence(),
        "Medlar to Transformers": Divergence(),
        "llama.cpp to Transformers": Divergence(),
        "Medlar to llama.cpp": Divergence(),
    }
    positions = 0
    for file in sorted((golden.FOLDER / "prompts").glob("*.txt")):
        tokens = tokenizer(file.read_text().rstrip("\n")).input_ids
        positions += len(tokens)
        expected = model(torch.tensor([tokens])).logits[0].numpy()
        default, other = by_medlar(program, path, tokens), by_llama_cpp(path, tokens)
        pairs["Medlar `--exact` to Transformers"].add(expected, by_medlar(program, path, tokens, "--exact"))
        pairs["Medlar to Transformers"].add(expected, default)
        pairs["llama.cpp to Transformers"].add(expected, other)
        pairs["Medlar to llama.cpp"].add(other, default)
    print(f"\n### {path.name}, {positions} positions\n")
    print("| | mean KL | 99th percentile | largest | same best token |\n|---|---|---|---|---|")
    for name, divergence in pairs.items():
        print(divergence.row(name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--medlar", default="build/release/medlar")
    parser.add_argument("models", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    for path in args.models:
        compare(args.medlar, path)


if __name__ == "__main__":
    main()
