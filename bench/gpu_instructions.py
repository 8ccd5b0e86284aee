#!/usr/bin/env python3
"""Instructions per weight of the products for few rows of bytes (linear_few), from their machine code for an NVIDIA GPU, which needs none.

Compiles each kernel with NVRTC, disassembles it, and counts the loop that multiplies weights: instructions of all kinds
per weight and row of x, registers, bytes of local memory, and how many weight loads stand before the wait for earlier
kernels. Needs nvidia-cuda-nvrtc, nvidia-cuda-nvdisasm and nvidia-cuda-cuobjdump (or nvidia-cuda-nvcc) of PyPI, and the
program gpu_kernel_text.

usage: bench/gpu_instructions.py [--build build/release] [--architecture sm_90] [--formats q4_k,q8_0]
                                 [--rows 1,2,4] [--depth 1,2]

With --rows or --depth it compiles those variants (outputs of a simdgroup; units of each on their way), not the catalog's.
"""

import argparse
import collections
import ctypes
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNITS = {"q4_k": 64, "q5_k": 64, "q6_k": 64, "q3_k": 64, "q2_k": 64}  # others: 32
FORMATS = ["q4_k", "q6_k", "q8_0", "q4_0", "q5_k", "q4_1", "q5_0", "q5_1", "q2_k", "q3_k", "iq4_nl", "iq4_xs", "mxfp4"]
BATCH = 4  # rows of x: kFewBatch


def nvidia(pattern):
    spec = importlib.util.find_spec("nvidia")
    folders = [pathlib.Path(p) for p in spec.submodule_search_locations] if spec else []
    found = sorted(path for folder in folders for path in folder.glob(pattern) if "builtins" not in path.name)
    if not found:
        sys.exit(f"nothing of NVIDIA's wheels matches {pattern}: pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm nvidia-cuda-cuobjdump")
    return found[-1]


class Compiler:
    def __init__(self, architecture):
        self.nvrtc = ctypes.CDLL(str(nvidia("*/lib/libnvrtc.so.*")))
        self.options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]

    def cubin(self, text):
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        self.nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"kernels.cu", 0, None, None)
        status = self.nvrtc.nvrtcCompileProgram(program, len(self.options), (ctypes.c_char_p * len(self.options))(*self.options))
        if status:
            self.nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            self.nvrtc.nvrtcGetProgramLog(program, log)
            sys.exit(log.value.decode())
        self.nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        cubin = ctypes.create_string_buffer(size.value)
        self.nvrtc.nvrtcGetCUBIN(program, cubin)
        self.nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
        return cubin.raw


def variant(text, name, rows, depth):
    """The kernel text with other ROWS and DEPTH in its instance, which is the last line."""
    head, instance = text.decode().rstrip().rsplit("\n", 1)
    parts = re.fullmatch(r"LINEAR_FEW\((.*), (\d+), (\d+), (\d+)\)", instance)
    rows, depth = rows or int(parts[2]), depth or int(parts[3])
    return f"{head}\nLINEAR_FEW({parts[1]}, {rows}, {depth}, {1024 // rows})\n".encode(), rows, depth


def instructions(sass):
    """(instructions in order, where labels are)"""
    found, labels = [], {}
    for line in sass.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line.strip()):
            labels[label[1]] = len(found)
        elif code := re.search(r"/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            found.append(code[1])
    return found, labels


def product_loop(code, labels):
    """The innermost loop with the most multiplications."""
    loops = []
    for at, instruction in enumerate(code):
        target = re.search(r"BRA.*?(\.L_x_\d+)", instruction)
        if target and labels.get(target[1], at + 1) <= at:
            loops.append((labels[target[1]], at))
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return max((code[a : b + 1] for a, b in inner), default=[],
               key=lambda body: (any("IDP" in i for i in body), sum("IDP" in i or "FFMA" in i for i in body)))


def opcode(instruction):
    return re.sub(r"^@!?U?P\w+ ", "", instruction).split()[0].split(".")[0]


def measure(cubin, unit, rows, depth):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        sass = subprocess.run([nvidia("*/bin/nvdisasm"), "-c", file.name], check=True, capture_output=True, text=True).stdout
        use = subprocess.run([nvidia("*/bin/cuobjdump"), "-res-usage", file.name], capture_output=True, text=True)
    registers, stack = (int(re.search(rf"{key}:(\d+)", use.stdout + use.stderr)[1]) for key in ("REG", "STACK"))
    code, labels = instructions(sass)
    body = product_loop(code, labels)
    waits = [i for i, instruction in enumerate(code) if "ACQBULK" in instruction]
    early = max((sum("LDG" in i for i in code[a:b]) for a, b in zip([0, *waits], waits)), default=0)
    return len(body) / (unit * rows * depth), registers, stack, early, collections.Counter(map(opcode, body))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(n) for n in text.split(",")]  # noqa: E731
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--architecture", default="sm_90")
    parser.add_argument("--formats", type=lambda text: text.split(","), default=FORMATS)
    parser.add_argument("--rows", type=numbers, default=[None])
    parser.add_argument("--depth", type=numbers, default=[None])
    options = parser.parse_args()
    compiler = Compiler(options.architecture)
    print("| kernel | rows | depth | instructions a weight | registers | stack | early loads | most frequent |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    for kind in options.formats:
        name = f"linear_few_{kind}"
        text = subprocess.run([options.build / "tests/gpu/gpu_kernel_text", name], check=True, capture_output=True).stdout
        for wanted_rows in options.rows:
            for wanted_depth in options.depth:
                source, rows, depth = variant(text, name, wanted_rows, wanted_depth)
                per, registers, stack, early, counts = measure(compiler.cubin(source), UNITS.get(kind, 32), rows, depth)
                most = " ".join(f"{op} {n}" for op, n in counts.most_common(6))
                print(f"| {name} | {rows} | {depth} | {per / BATCH:.2f} | {registers} | {stack} | {early} | {most} |", flush=True)


if __name__ == "__main__":
    main()
