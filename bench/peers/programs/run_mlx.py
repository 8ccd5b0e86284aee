"""Runs in MLX's environment: FOLDER PROMPT GEN speed|first. Shortens a run that would take minutes, and says so."""

import json
import pathlib
import random
import sys
import time

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model

LONGEST_SECONDS = 10  # of the prompt, and of the answer


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def read(model, tokens, cache):
    """The most likely token after all of them."""
    return mx.argmax(model(mx.array([tokens]), cache=cache)[0, -1]).item()


def write(model, tokens):
    cache = make_prompt_cache(model)
    for token in tokens:
        read(model, [token], cache)


def main():
    folder, prompt, gen, mode = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    start = time.perf_counter()
    model, _ = load_model(folder)
    load = time.perf_counter() - start
    if mode == "first":
        print(read(model, [1], make_prompt_cache(model)))
        return
    rng = random.Random(1)
    tokens = [rng.randrange(model.args.vocab_size) for _ in range(prompt + gen)]
    write(model, tokens[:1])
    one = timed(lambda: write(model, tokens[:1]))
    eight = timed(lambda: read(model, tokens[:8], make_prompt_cache(model))) / 8
    p, g = (max(8, min(n, int(LONGEST_SECONDS / s))) for n, s in ((prompt, eight), (gen, one)))
    pp = timed(lambda: read(model, tokens[:p], make_prompt_cache(model)))
    tg = timed(lambda: write(model, tokens[-g:]))
    note = "a folder of the same shape with random weights in groups of 64 with f32 scales; f32 cache"
    if (p, g) != (prompt, gen):
        note += f"; prompt of {p}, answer of {g}, as more takes minutes"
    print(json.dumps({"pp": p / pp, "tg": g / tg, "load_ms": load * 1000, "note": note}))


if __name__ == "__main__":
    main()
