#!/usr/bin/env python3
"""Whether decoding on an Apple GPU is bound by its memory: instructions per weight against bytes per weight, per chip.

No Mac is asked. The kernel that multiplies a row by weights on Metal (linear_vec) is compiled from its CUDA text and the
instructions of its loop are counted, of all kinds; the chips' cores and bandwidths are those of host/apple_chips.cpp. A
core issues one instruction for each of its 128 lanes at a clock. Headroom is how many times over the instructions of the
weights that the memory can deliver fit into that time; below 1 the instructions decide.

Needs what bench/gpu_instructions.py needs. usage: bench/apple_decode.py [--build build/release] [--docs]

With --docs the tables replace what stands between the markers of docs/apple.md.
"""

import argparse
import pathlib
import re
import subprocess

import gpu_instructions
from compare import write_docs

ROOT = pathlib.Path(__file__).resolve().parents[1]
WEIGHTS_A_LOOP = 4 * 8  # of a lane: rows of a simdgroup, and values of each
LANES = 128
# GHz, from Apple's TFLOP/s of M1 (2.6 with 8 cores) and M2 (3.6 with 10). Later ones are not slower than the M2.
CLOCKS = {1: 1.27, 2: 1.4, 3: 1.4, 4: 1.4, 5: 1.4}
BYTES = {"q4_k": 144 / 256, "q6_k": 210 / 256, "q8_0": 34 / 32, "q4_0": 18 / 32, "f16": 2}


def instructions_per_weight(build, compiler, kind):
    name = f"linear_vec_{kind}_1"
    text = subprocess.run([build / "tests/gpu/gpu_kernel_text", name], check=True, capture_output=True).stdout
    return gpu_instructions.measure(compiler.cubin(text), WEIGHTS_A_LOOP, 1, 1)[0]


def chips():
    """(name, GPU cores, GB/s) of each."""
    text = (ROOT / "host/apple_chips.cpp").read_text()
    for family, kind, cores, bandwidth in re.findall(r"\{(\d), (\w+), \d+, \d+, (\d+), ([\d.]+), ", text):
        name = f"M{family}" if kind == "base" else f"M{family} {kind.title()}"
        yield name, int(family), int(cores), float(bandwidth)


def tables(counts):
    text = "| | " + " | ".join(counts) + " |\n|---|" + "--:|" * len(counts) + "\n"
    text += "| instructions a weight | " + " | ".join(f"{n:.1f}" for n in counts.values()) + " |\n"
    text += "| bytes a weight | " + " | ".join(f"{BYTES[kind]:.2f}" for kind in counts) + " |\n\n"
    text += "| chip | GPU cores | GB/s | " + " | ".join(f"headroom {kind}" for kind in counts) + " |\n"
    text += "|---|--:|--:|" + "--:|" * len(counts) + "\n"
    for name, family, cores, bandwidth in chips():
        issued = cores * LANES * CLOCKS[family]  # 1e9 a second
        room = (issued / n / (bandwidth / BYTES[kind]) for kind, n in counts.items())
        text += f"| {name} | {cores} | {bandwidth:g} | " + " | ".join(f"{r:.1f}" for r in room) + " |\n"
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--docs", action="store_true")
    options = parser.parse_args()
    compiler = gpu_instructions.Compiler("sm_90")
    text = tables({kind: instructions_per_weight(options.build, compiler, kind) for kind in BYTES})
    print(text, end="")
    if options.docs:
        write_docs("decode", text, "apple")


if __name__ == "__main__":
    main()
