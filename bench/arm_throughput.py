#!/usr/bin/env python3
"""Estimates the NEON kernels' throughput without an Arm processor, and what it means for decode on Apple chips.

Compiles the int8 products for AArch64, takes the inner loops out of the assembly, and lets llvm-mca simulate them on
models of Neoverse V1 and V2, all data being in the first cache. Needs clang-19, llvm-19 and g++-aarch64-linux-gnu
(Debian), whose headers and libraries the compiler takes. --docs writes the tables into docs/performance.md.
"""

import argparse
import dataclasses
import heapq
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ("neoverse-v1", "neoverse-v2")
ITERATIONS = 200
ARCH = {"neon": "armv8.2-a+dotprod", "neon_i8mm": "armv8.2-a+dotprod+i8mm"}


@dataclasses.dataclass(frozen=True)
class Decode:
    """One row of activations: a step of values, straight from the blocks."""

    source: str
    number: int  # of the type in GGUF
    values: int  # of a step
    bytes: int  # of a step


DECODES = {
    "q4_0": Decode("dot_legacy", 2, 128, 72),
    "q8_0": Decode("dot_legacy", 8, 128, 136),
    "q4_k": Decode("dot_super", 12, 256, 144),
    "q6_k": Decode("dot_super", 14, 256, 210),
}
# The register tile of batches: what a scale's values are called in the symbol, and products an instruction does.
PREFILLS = {"q4_k": "KindILi32ELb0E", "q6_k": "KindILi16ELb0E"}
PRODUCTS = {"sdot": 16, "smmla": 32}


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published: docs/performance.md names the sources."""

    bandwidth: float  # GB/s, of the whole chip
    cores: int  # performance cores of the largest variant
    clock: float  # GHz, of a performance core


CHIPS = {
    "M1": Chip(68.25, 4, 3.2),
    "M1 Pro": Chip(204.8, 8, 3.2),
    "M1 Max": Chip(409.6, 8, 3.2),
    "M2": Chip(102.4, 4, 3.49),
    "M2 Pro": Chip(204.8, 8, 3.49),
    "M2 Max": Chip(409.6, 8, 3.49),
    "M3": Chip(102.4, 4, 4.05),
    "M3 Pro": Chip(153.6, 6, 4.05),
    "M3 Max": Chip(409.6, 12, 4.05),
    "M4": Chip(120, 4, 4.4),
    "M4 Pro": Chip(273, 10, 4.5),
    "M4 Max": Chip(546, 12, 4.5),
}

LABEL = re.compile(r"^(\.LBB\w+):")
BRANCH = re.compile(r"^\s+(b|b\.\w+|cbn?z|tbn?z)\s.*?(\.LBB\w+)\b")
INSTRUCTION = re.compile(r"^\s+[a-z]")


def assembly(source, isa, folder):
    out = folder / f"{source}.{isa}.s"
    command = ["clang++-19", "--target=aarch64-linux-gnu", "-std=c++23", "-O3", "-fno-math-errno",
               f"-march={ARCH[isa]}", f"-DMEDLAR_ISA={isa}", f"-DMEDLAR_ISA_{isa.upper()}", f"-I{ROOT}", "-S", "-o",
               out, ROOT / "kernels" / "cpu" / f"{source}.cpp"]  # fmt: skip
    if isa == "neon_i8mm":
        command.append("-DMEDLAR_PRODUCTS_ONLY")
    subprocess.run(command, check=True)
    return out.read_text()


def functions(text):
    """{symbol: lines}"""
    return {m[1]: m[2].splitlines() for m in re.finditer(r"^(_Z\w+):.*?\n(.*?)^\.Lfunc_end", text, re.S | re.M)}


class Code:
    """A function as basic blocks."""

    def __init__(self, lines):
        self.blocks, self.next, self.jumps = [[]], [], []  # instructions; whether it falls through; targets
        starts = {}
        for line in lines:
            label = LABEL.match(line)
            if label or (self.blocks[-1] and BRANCH.match(self.blocks[-1][-1])):
                self.blocks.append([])
            if label:
                starts[label[1]] = len(self.blocks) - 1
            elif INSTRUCTION.match(line):
                self.blocks[-1].append(line)
        for block in self.blocks:
            jump = BRANCH.match(block[-1]) if block else None
            self.jumps.append(jump and jump[2])
            self.next.append(not (block and re.match(r"^\s+(b|ret|br)\s|^\s+ret$", block[-1])))
        self.jumps = [starts.get(target) for target in self.jumps]

    def successors(self, i):
        if self.next[i] and i + 1 < len(self.blocks):
            yield i + 1
        if self.jumps[i] is not None:
            yield self.jumps[i]

    def loops(self):
        """Of each branch back, the instructions of the shortest way through the loop. Whatever is rare, as are the
        outliers among activations, lies on longer ways."""
        for last, first in enumerate(self.jumps):
            if first is not None and first <= last:
                way = self.shortest(first, last)
                if way:
                    yield [line for i in way for line in self.blocks[i]]

    def shortest(self, first, last):
        heap, seen = [(len(self.blocks[first]), first, [first])], set()
        while heap:
            length, i, way = heapq.heappop(heap)
            if i == last:
                return way
            if i in seen:
                continue
            seen.add(i)
            for j in self.successors(i):
                if first < j <= last:
                    heapq.heappush(heap, (length + len(self.blocks[j]), j, [*way, j]))
        return None


def count(loop, name):
    return sum(line.split()[0] == name for line in loop)


@dataclasses.dataclass(frozen=True)
class Cycles:
    """Of one iteration of a loop."""

    simulated: float  # many following each other, each waiting for what it needs from the one before
    bound: float  # if nothing had to wait for a result: what the busiest unit takes


def cycles(loop, model):
    command = ["llvm-mca-19", "-mtriple=aarch64", "-mattr=+dotprod,+i8mm", f"-mcpu={model}",
               f"-iterations={ITERATIONS}"]  # fmt: skip
    text = "\n".join(line.split("//")[0] for line in loop)  # without comments
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    total = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    bound = re.search(r"Block RThroughput:\s+([\d.]+)", done.stdout)
    if done.returncode != 0 or not (total and bound):
        sys.exit(f"arm_throughput: llvm-mca: {done.stderr.strip()}")
    return Cycles(int(total[1]) / ITERATIONS, float(bound[1]))


def decode_loop(text, decode):
    """The loop of one activation row is the shortest with as many products as a step has values."""
    symbol = f"E{decode.number}EEE"
    found = [loop for name, lines in functions(text).items() if "6directI" in name and symbol in name
             for loop in Code(lines).loops() if count(loop, "sdot") == decode.values // PRODUCTS["sdot"]]  # fmt: skip
    if not found:
        sys.exit(f"arm_throughput: no loop of type {decode.number} in {decode.source}")
    return min(found, key=len)


def prefill_loop(text, kind, instruction):
    """The largest tile has the most products."""
    found = [loop for name, lines in functions(text).items() if kind in name for loop in Code(lines).loops()]
    return max(found, key=lambda loop: count(loop, instruction))


def measure(folder):
    """({type: {model: Cycles}}, {(type, isa): {model: (products, Cycles)}})"""
    wanted = (("dot_legacy", "neon"), ("dot_super", "neon"), ("dot_panel", "neon"), ("dot_panel", "neon_i8mm"))
    texts = {(source, isa): assembly(source, isa, folder) for source, isa in wanted}
    decode = {}
    for name, d in DECODES.items():
        loop = decode_loop(texts[d.source, "neon"], d)
        decode[name] = {model: cycles(loop, model) for model in MODELS}
    prefill = {}
    for name, kind in PREFILLS.items():
        for isa, instruction in (("neon", "sdot"), ("neon_i8mm", "smmla")):
            loop = prefill_loop(texts["dot_panel", isa], kind, instruction)
            products = PRODUCTS[instruction] * count(loop, instruction)
            prefill[name, isa] = {model: (products, cycles(loop, model)) for model in MODELS}
    return decode, prefill


def grid(head, rows):
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def decode_table(decode):
    """Bytes of weights a cycle."""
    head = ["one token"]
    for model in MODELS:
        head += [f"{model}, bytes a cycle", "bound of its units"]
    rows = []
    for name, found in decode.items():
        rows.append([name])
        for c in found.values():
            rows[-1] += [f"{DECODES[name].bytes / c.simulated:.1f}", f"{DECODES[name].bytes / c.bound:.1f}"]
    return grid(head, rows)


def prefill_table(prefill):
    head = ["batch", *(f"{model}, products a cycle" for model in MODELS), "bound of its units"]
    return grid(head, [[f"{name}, {isa}", *(f"{n / c.simulated:.0f}" for n, c in found.values()),
                        " and ".join(f"{n / c.bound:.0f}" for n, c in found.values())]
                       for (name, isa), found in prefill.items()])  # fmt: skip


def chip_table(decode):
    """Performance cores that read as fast as the memory, by the slower model's cycles: simulated / bound."""
    head = ["chip", "GB/s", "performance cores", "GHz", *(f"cores for {name}" for name in decode)]
    rows = []
    for name, chip in CHIPS.items():
        rows.append([name, f"{chip.bandwidth:g}", str(chip.cores), f"{chip.clock:g}"])
        for kind, found in decode.items():
            cores = [chip.bandwidth / chip.clock * max(getattr(c, key) for c in found.values()) / DECODES[kind].bytes
                     for key in ("simulated", "bound")]  # fmt: skip
            rows[-1].append(" / ".join(f"{n:.1f}" for n in cores))
    return grid(head, rows)


def tables(decode, prefill):
    return f"{decode_table(decode)}\n{prefill_table(prefill)}\n{chip_table(decode)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--docs", action="store_true", help="write the tables into docs/performance.md")
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = tables(*measure(pathlib.Path(folder)))
    print(text, end="")
    if o.docs:
        path = ROOT / "docs" / "performance.md"
        begin, end = "<!-- arm: begin -->", "<!-- arm: end -->"
        before, rest = path.read_text().split(begin)
        path.write_text(f"{before}{begin}\n{text}{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
