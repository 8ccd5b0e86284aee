#!/usr/bin/env python3
"""Compares Medlar with llama-cpp-python on the same files, in turn, on this machine.

Installs the peer from PyPI into build/compare (or uses --peer-python), runs A B A B ..., and prints medians
and the ratio of each pair. Every run is a process of its own, so memory and load time are that run's.
With --docs the table replaces what stands between the markers of docs/performance.md.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = "llama-cpp-python==0.3.36"
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"

# Both engines run the same protocol: load, one token to be sure the file is in memory, a prompt of P random
# tokens (time to first token), then N tokens one by one. The peer's program:
PEER_PROGRAM = r"""
import json, random, sys, time
def memory():
    text = open("/proc/self/status").read() if sys.platform == "linux" else ""
    pick = lambda key: next((int(l.split()[1]) / 1000 for l in text.splitlines() if l.startswith(key)), 0.0)
    return pick("RssAnon:"), pick("RssFile:")
path, prompt, gen, threads, batch = sys.argv[1], *map(int, sys.argv[2:6])
from llama_cpp import Llama, GGML_TYPE_Q8_0
start = time.perf_counter()
model = Llama(path, n_ctx=prompt + gen + 8, n_batch=batch, n_ubatch=batch, n_threads=threads,
              n_threads_batch=threads, n_gpu_layers=0, flash_attn=True, type_k=GGML_TYPE_Q8_0,
              type_v=GGML_TYPE_Q8_0, verbose=False)
load = time.perf_counter() - start
rng = random.Random(1)
tokens = [rng.randrange(model.n_vocab()) for _ in range(prompt + gen)]
def clear():
    model.reset()
    model._ctx.kv_cache_clear()
clear(); model.eval(tokens[:batch]); clear(); model.eval(tokens[:2])
anon = file = 0.0
clear()
start = time.perf_counter()
model.eval(tokens[:prompt])
pp = time.perf_counter() - start
clear()
start = time.perf_counter()
for token in tokens[prompt:]:
    model.eval([token])
tg = time.perf_counter() - start
anon, file = memory()
print(json.dumps({"pp": prompt / pp, "tg": gen / tg, "ttft_ms": pp * 1000, "load_ms": load * 1000,
                  "anon_mb": anon, "file_mb": file}))
"""


def run_peer(python, model, o):
    command = [python, "-c", PEER_PROGRAM, model, o.prompt, o.gen, o.threads, o.batch]
    return json.loads(subprocess.run([str(c) for c in command], capture_output=True, check=True, text=True).stdout)


def run_medlar(model, o):
    """pp and tg from medlar bench; load time from medlar run, whose prompt is one token."""
    command = [o.medlar, "bench", "-m", model, "-p", o.prompt, "-n", o.gen, "-t", o.threads, "-b", o.batch,
               "-ctk", "q8_0", "-ctv", "q8_0", "-r", 1, "-o", "json"]
    rows = json.loads(subprocess.run([str(c) for c in command], capture_output=True, check=True, text=True).stdout)
    pp, tg = rows
    return {"pp": pp["median_ts"], "tg": tg["median_ts"], "ttft_ms": pp["avg_ns"] / 1e6, "load_ms": load_ms(model, o),
            "anon_mb": tg["rss_anon_mb"], "file_mb": tg["rss_file_mb"], "limit_share": tg["limit_share"]}


def load_ms(model, o):
    command = [o.medlar, "run", model, "a", "--raw", "-n", 1, "-t", o.threads, "-c", 64, "--json"]
    done = subprocess.run([str(c) for c in command], capture_output=True, check=True, text=True)
    return json.loads(done.stdout)["timings"]["load_ms"]


def peer_python(o):
    """The interpreter of an environment that has the peer; made on first use."""
    if o.peer_python:
        return o.peer_python
    folder = ROOT / "build" / "compare"
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {PEER} into {folder}: this compiles it", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    return python


def compare(model, python, o):
    """Alternating runs; {engine: {measure: median}} and the medians of the pairs' ratios."""
    runs = {"medlar": [], "peer": []}
    for pair in range(o.pairs):
        runs["medlar"].append(run_medlar(model, o))
        runs["peer"].append(run_peer(python, model, o))
        print(f"{pathlib.Path(model).name}: pair {pair + 1} of {o.pairs}", file=sys.stderr)
    median = {who: {key: statistics.median(r[key] for r in rows) for key in rows[0]} for who, rows in runs.items()}
    ratio = {key: statistics.median(a[key] / b[key] for a, b in zip(runs["medlar"], runs["peer"], strict=True))
             for key in ("pp", "tg")}
    return median, ratio


def table(results, o):
    head = (f"Prompt of {o.prompt}, answer of {o.gen}, {o.threads} threads, batch {o.batch}, q8_0 KV cache, "
            f"{o.pairs} alternating pairs; {cpu()}; peer: {o.peer_name}.\n\n"
            "| file | engine | prompt tokens/s | answer tokens/s | first token | load | anonymous | file-backed |\n"
            "|---|---|--:|--:|--:|--:|--:|--:|\n")
    lines = []
    for name, (median, ratio) in results.items():
        for who, m in median.items():
            lines.append(f"| {name} | {who} | {m['pp']:.1f} | {m['tg']:.1f} | {m['ttft_ms']:.0f} ms | "
                         f"{m['load_ms']:.0f} ms | {m['anon_mb']:.0f} MB | {m['file_mb']:.0f} MB |")
        lines.append(f"| {name} | **ratio** | **{ratio['pp']:.2f}** | **{ratio['tg']:.2f}** | | | | |")
    return head + "\n".join(lines) + "\n"


def cpu():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True).stdout.strip()
    return f"{name}, {os.cpu_count()} cores"


def write_docs(text):
    path = ROOT / "docs" / "performance.md"
    before, rest = path.read_text().split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", help="GGUF files")
    parser.add_argument("--medlar", default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--peer-python", help="an interpreter that has llama-cpp-python already")
    parser.add_argument("-p", "--prompt", type=int, default=512)
    parser.add_argument("-n", "--gen", type=int, default=64)
    parser.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    parser.add_argument("-b", "--batch", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--docs", action="store_true", help="write the table into docs/performance.md")
    o = parser.parse_args()
    python = peer_python(o)
    version = "import importlib.metadata as m; print(m.version('llama-cpp-python'))"
    o.peer_name = "llama-cpp-python " + subprocess.run([str(python), "-c", version], capture_output=True, check=True,
                                                       text=True).stdout.strip()
    results = {pathlib.Path(model).name: compare(model, python, o) for model in o.models}
    text = table(results, o)
    print(text, end="")
    if o.docs:
        write_docs(text)


if __name__ == "__main__":
    main()
