"""Runs in llama-cpp-python's environment: MODEL PROMPT GEN THREADS BATCH speed|first."""

import json
import random
import sys
import time

from llama_cpp import GGML_TYPE_Q8_0, Llama


def clear(model):
    model.reset()
    model._ctx.kv_cache_clear()


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    path, (prompt, gen, threads, batch), mode = sys.argv[1], map(int, sys.argv[2:6]), sys.argv[6]
    context = prompt + gen + 8 if mode == "speed" else 64
    start = time.perf_counter()
    model = Llama(path, n_ctx=context, n_batch=batch, n_ubatch=batch, n_threads=threads, n_threads_batch=threads,
                  n_gpu_layers=0, flash_attn=True, type_k=GGML_TYPE_Q8_0, type_v=GGML_TYPE_Q8_0,
                  verbose=False)  # fmt: skip
    load = time.perf_counter() - start
    if mode == "first":
        model.eval([1])
        print(model.sample(temp=0))
        return
    rng = random.Random(1)
    tokens = [rng.randrange(model.n_vocab()) for _ in range(prompt + gen)]
    model.eval(tokens[:batch])  # every page has been touched
    clear(model)
    model.eval(tokens[:2])
    clear(model)
    pp = timed(lambda: model.eval(tokens[:prompt]))
    clear(model)
    tg = timed(lambda: [model.eval([token]) for token in tokens[prompt:]])
    print(json.dumps({"pp": prompt / pp, "tg": gen / tg, "load_ms": load * 1000}))


if __name__ == "__main__":
    main()
