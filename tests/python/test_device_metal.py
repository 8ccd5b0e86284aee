"""`--device metal` without a Mac: over a stand-in for macOS, preloaded, which runs the kernels on the emulator and ends the
process with 86 where a Mac would leak, crash or read what it must not; and what is said outside macOS."""

import pathlib
import sys

import numpy as np
import pytest

TOKENS = ",".join(str(3 + i * 37 % 240) for i in range(72))  # more rows than a kernel takes that Metal has not
MODELS = ["llama", "llama3", "qwen2", "qwen3", "gemma3"]


@pytest.fixture(scope="module")
def mac(medlar):
    build = pathlib.Path(medlar.path).resolve().parent
    library = build / "tests/gpu/libmetal_runtime_stub.so"
    if not library.exists():
        pytest.skip(f"the stand-in is not built in {build}")
    return {"LD_PRELOAD": str(library)}


def logits(medlar, model, path, *options, env=None):
    medlar.run("logits", "-m", model, "--tokens", TOKENS, "--npy", path, *options, env=env)
    return np.load(path).astype(np.float64)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_emulator(medlar, tiny, mac, tmp_path, name):
    metal = logits(medlar, tiny(name), tmp_path / "a.npy", "--device", "metal", env=mac)
    emulator = logits(medlar, tiny(name), tmp_path / "b.npy", "--device", "emulator")
    assert np.array_equal(metal, emulator)
    cpu = logits(medlar, tiny(name), tmp_path / "c.npy", "--exact")
    exact = logits(medlar, tiny(name), tmp_path / "d.npy", "--exact", "--device", "metal", env=mac)
    divergence = (np.exp(cpu) * (cpu - exact)).sum(-1)
    assert divergence.max() < 1e-4


def test_it_writes_what_the_cpu_writes(medlar, tiny, mac):
    ask = ["run", tiny("llama"), "hello", "--raw", "-n", "12", "--temp", "0", "--exact"]
    assert medlar.run(*ask, "--device", "metal", env=mac) == medlar.run(*ask)


def test_quantized_weights_are_read_where_the_file_is_mapped(medlar, mac, tmp_path):
    model = tmp_path / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_k_m", model)
    ask = ["run", model, "x", "--raw", "-n", "3", "--temp", "0", "-c", "64", "--exact"]
    assert medlar.run(*ask, "--device", "metal", env=mac) == medlar.run(*ask)


def test_more_than_the_gpu_may_have_is_an_error(medlar, mac, tmp_path):
    medlar.run("synth", "llama-1b:q8_0", tmp_path / "m.gguf")
    done = medlar.try_run(
        "run", tmp_path / "m.gguf", "x", "--raw", "-n", "1", "--device", "metal", "-c", "131072", "--kv-type", "f32", env=mac
    )
    assert done.returncode == 1
    assert b"of memory on device metal, which has" in done.stderr and b"--ctx" in done.stderr


def test_outside_macos_it_says_so(medlar, tiny):
    if sys.platform == "darwin":
        pytest.skip("this machine runs macOS")
    message = medlar.fail("run", tiny("llama"), "x", "--raw", "-n", "1", "--device", "metal")
    assert "libobjc.A.dylib cannot be loaded" in message and "--device cpu" in message
