"""`--device cuda` without a GPU: over stand-ins of NVIDIA's libraries, which run the kernels on the emulator; and what is
said where there is no driver."""

import ctypes
import pathlib

import golden
import numpy as np
import pytest

TOKENS = ",".join(str(3 + i * 37 % 240) for i in range(40))


@pytest.fixture(scope="module")
def stubs(medlar):
    build = pathlib.Path(medlar.path).resolve().parent
    folder = build / "tests/gpu/cuda_stub"
    if not (folder / "libcuda.so.1").exists():
        pytest.skip(f"the stand-ins are not built in {build}")
    return {"LD_LIBRARY_PATH": str(folder)}


def logits(medlar, model, path, *options, env=None):
    medlar.run("logits", "-m", model, "--tokens", TOKENS, "--npy", path, *options, env=env)
    return np.load(path).astype(np.float64)


@pytest.mark.parametrize("name", golden.TINY)
def test_logits_are_those_of_the_emulator(medlar, tiny, stubs, tmp_path, name):
    cuda = logits(medlar, tiny(name), tmp_path / "a.npy", "--device", "cuda", env=stubs)
    emulator = logits(medlar, tiny(name), tmp_path / "b.npy", "--device", "emulator")
    assert np.array_equal(cuda, emulator)
    cpu = logits(medlar, tiny(name), tmp_path / "c.npy", "--exact")
    exact = logits(medlar, tiny(name), tmp_path / "d.npy", "--exact", "--device", "cuda", env=stubs)
    divergence = (np.exp(cpu) * (cpu - exact)).sum(-1)
    assert divergence.max() < 1e-4


def test_it_writes_what_the_emulator_writes(medlar, tiny, stubs):
    ask = ["run", tiny("llama"), "hello", "--raw", "-n", "12", "--temp", "0"]
    assert medlar.run(*ask, "--device", "cuda", env=stubs) == medlar.run(*ask, "--device", "emulator")


def test_too_little_memory_is_an_error(medlar, tmp_path, stubs):
    medlar.run("synth", "llama-1b:q8_0", tmp_path / "m.gguf")
    done = medlar.try_run("run", tmp_path / "m.gguf", "x", "--raw", "-n", "1", "--device", "cuda", "-c", "65536", env=stubs)
    assert done.returncode == 1
    assert b"out of memory" in done.stderr and b"--ctx" in done.stderr


def test_without_a_driver_it_says_so(medlar, tiny):
    try:
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("this machine has a driver")
    except OSError:
        pass
    done = medlar.try_run("run", tiny("llama"), "x", "--raw", "-n", "1", "--device", "cuda")
    assert done.returncode == 1
    assert b"libcuda.so.1 cannot be loaded" in done.stderr and b"--device cpu" in done.stderr
