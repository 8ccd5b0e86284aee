"""`--device cuda` without a GPU: over stand-ins of NVIDIA's libraries, which run the kernels on the emulator; and what is
said where there is no driver."""

import ctypes
import os
import pathlib

import golden
import numpy as np
import pytest
from server_support import Server

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


@pytest.mark.parametrize("name", [*golden.HIDDEN, "cohere2", "mistral3"])
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


def test_it_tells_what_the_gpu_holds(medlar, tiny, stubs):
    ask = ["run", tiny("llama"), "hello", "--raw", "-n", "2", "--device", "cuda"]
    (device,) = medlar.json(*ask, "--json", env=stubs)["devices"]
    assert (device["name"], device["number"]) == ("stub", 0) and 0 < device["held"] <= device["ceiling"]
    assert b" of stub" in medlar.try_run(*ask, "--stats", env=stubs).stderr
    assert medlar.json(*ask[:-1], "cpu", "--json", env=stubs)["devices"] == []


def test_too_little_memory_is_an_error(medlar, tmp_path, stubs):
    medlar.run("synth", "llama-1b:q8_0", tmp_path / "m.gguf")
    done = medlar.try_run("run", tmp_path / "m.gguf", "x", "--raw", "-n", "1", "--device", "cuda", "-c", "65536",
                          "--kv-type", "f16", env=stubs)
    assert done.returncode == 1
    assert b"of memory on device cuda, which has" in done.stderr and b"--ctx" in done.stderr


def plan(medlar, model, *options, gpu=None, stubs):
    env = stubs | ({"STUB_GPU_BYTES": str(gpu)} if gpu else {})
    return medlar.json("plan", model, *options, "--json", env=env)


def test_a_gpu_is_taken_where_it_holds_the_whole_model(medlar, tiny, stubs):
    """Without --device: a GPU that has room, the CPU where it has not or there is none."""
    model = tiny("llama")
    there = plan(medlar, model, stubs=stubs)
    device = there["device"]
    assert device["name"] == "cuda" and device["own_memory"] and device["needed"] < device["available"]
    bytes_ = there["bytes"]
    assert device["needed"] == bytes_["weights_mapped"] + bytes_["kv"] + bytes_["activations"]
    assert there["total_bytes"] == bytes_["scratch"] + bytes_["overhead"]
    assert plan(medlar, model, gpu=device["needed"] // 2, stubs=stubs)["device"]["name"] == "cpu"
    assert medlar.json("plan", model, "--json")["device"]["name"] == "cpu"
    named = plan(medlar, model, "--device", "cuda", gpu=device["needed"] // 2, stubs=stubs)
    assert not named["fits"]
    for other in named["alternatives"]:
        if not other["model"]:
            assert plan(medlar, model, "--device", "cuda", *other["flags"].split(), gpu=device["needed"] // 2, stubs=stubs)["fits"]


def test_less_context_is_taken_before_the_processor(medlar, tmp_path, stubs):
    medlar.run("synth", "smollm2-135m:q4_0", tmp_path / "m.gguf")
    whole = plan(medlar, tmp_path / "m.gguf", stubs=stubs)
    little = stubs | {"STUB_GPU_BYTES": str(whole["device"]["needed"] - whole["bytes"]["kv"] // 3)}
    done = medlar.try_run("run", tmp_path / "m.gguf", "x", "--raw", "-n", "1", env=little)
    assert done.returncode == 0, done.stderr
    assert b"device cuda has" in done.stderr and b"a context of" in done.stderr


def test_the_server_tells_what_is_on_the_gpu(medlar, tiny, stubs):
    with Server(medlar, tiny("llama"), env=stubs) as server:
        server.json("/v1/completions", {"prompt": "x", "max_tokens": 2})
        memory = server.json("/v1/memory")
        assert memory["devices"][0]["categories"]["weights"] == memory["devices"][0]["held"]["weights"] > 0
        assert memory["devices"][0]["held"]["kv"] > 0 and memory["held"]["kv"] == memory["held"]["weights"] == 0
        assert memory["devices"][0]["held_total"] <= memory["devices"][0]["ceiling"]
        lines = server.request("/metrics")[2].decode().splitlines()
        metrics = dict(line.rsplit(" ", 1) for line in lines if line.startswith("medlar_device_memory_bytes"))
        for category, told in [("held", memory["devices"][0]["held_total"]), ("weights", memory["devices"][0]["held"]["weights"])]:
            assert float(metrics[f'medlar_device_memory_bytes{{category="{category}",device="0"}}']) == told
        assert b" on GPU 0" in medlar.try_run("ps", "--url", server.url).stderr
        server.json("/v1/embeddings", {"input": "x"})
        assert server.json("/v1/memory")["devices"][0]["held"]["weights"] == memory["devices"][0]["held"]["weights"]


@pytest.fixture
def greeting(medlar, tiny, stubs, tmp_path):
    """Answers on the GPU from a home of its own, where NVRTC may refuse to work."""
    def run(nvrtc=True):
        env = stubs | {"MEDLAR_HOME": str(tmp_path)} | ({} if nvrtc else {"STUB_NVRTC_REFUSES": "1"})
        return medlar.try_run("run", tiny("llama"), "hello", "--raw", "-n", "4", "--temp", "0", "--device", "cuda", env=env)
    run.folder = tmp_path / "cache" / "kernels"
    return run


def test_kernels_are_compiled_once(greeting):
    refused = greeting(nvrtc=False)
    assert refused.returncode == 1 and b"the GPU kernels do not compile" in refused.stderr
    assert not list(greeting.folder.glob("*"))
    first = greeting()
    assert first.returncode == 0 and 1 < len(list(greeting.folder.glob("*.cubin"))) <= 8
    again = greeting(nvrtc=False)
    assert again.returncode == 0 and again.stdout == first.stdout


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-9] + b"x" + b[-8:], lambda b: b"", lambda b: b + b"x",
                                    lambda b: b[:8] + b"\xff" * 24 + b[32:], lambda b: b.replace(b"KERNEL", b"KERNEI", 1)])
def test_damaged_kernels_are_compiled_again(greeting, damage):
    greeting()
    file = next(greeting.folder.glob("*.cubin"))
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert greeting(nvrtc=False).returncode == 1
    assert greeting().returncode == 0 and file.read_bytes() == whole


def test_few_kernels_are_kept(greeting):
    greeting.folder.mkdir(parents=True)
    for i in range(300):
        (greeting.folder / f"{i:016x}.cubin").write_bytes(b"old")
        os.utime(greeting.folder / f"{i:016x}.cubin", (1000 + i, 1000 + i))
    assert greeting().returncode == 0
    kept = {f.name for f in greeting.folder.glob("*.cubin")}
    assert len(kept) == 256 and f"{299:016x}.cubin" in kept and f"{0:016x}.cubin" not in kept
    assert greeting(nvrtc=False).returncode == 0


def test_a_folder_that_cannot_be_written_is_no_error(greeting):
    greeting.folder.parent.mkdir()
    greeting.folder.write_bytes(b"")
    assert greeting().returncode == 0


def test_bench_knows_the_gpu(medlar, tiny, stubs):
    results = medlar.json("bench", "-m", tiny("llama"), "--device", "cuda", "-p", "8", "-n", "2", "-r", "1", "--profile", "-o", "json", env=stubs)
    assert [r["limit_what"] for r in results] == ["matrix products", "read bandwidth"]
    for r in results:
        assert r["limit_rate"] > 0 and 0 < r["limit_share"]
        calls = {c["call"]: c["seconds"] for c in r["profile"]}
        assert calls["best_logits"] > 0 and 0 < sum(calls.values()) <= max(r["samples_ns"]) / 1e9


def test_a_gpu_without_room_for_the_measurement_has_no_limits(medlar, tiny, stubs):
    little = stubs | {"STUB_GPU_BYTES": str(3 << 20)}
    results = medlar.json("bench", "-m", tiny("llama"), "--device", "cuda", "-p", "8", "-n", "0", "-r", "1", "-o", "json", env=little)
    assert not results[0]["limit_what"]
    told = plan(medlar, tiny("llama"), "--device", "cuda", gpu=3 << 20, stubs=stubs)
    assert told["predict"] is None and "stub does not tell what it can do" in told["notes"][-1]


def test_the_plan_follows_from_the_gpu(medlar, tiny, stubs):
    there, here = plan(medlar, tiny("llama"), stubs=stubs), plan(medlar, tiny("llama"), "--device", "cpu", stubs=stubs)
    assert there["predict"]["decode_tps"] > 0
    assert there["predict"] != here["predict"]


def test_tuning_keeps_to_what_the_gpu_holds(medlar, tiny, stubs, tmp_path):
    model = tiny("gemma3")
    whole = plan(medlar, model, "--device", "cuda", "-c", "64", stubs=stubs)
    env = stubs | {"MEDLAR_HOME": str(tmp_path), "STUB_GPU_BYTES": str(whole["device"]["needed"] * 9 // 10)}
    ask = ["tune", model, "--prompt", "8", "--gen", "2", "-c", "64", "-t", "1", "-b", "512", "--json"]
    report = medlar.json(*ask, "--gpu-layers", "7,1", env=env)
    assert report["gpu"] == "cuda" and report["device"] == "auto"
    assert report["defaults"]["gpu_layers"] == report["best"]["gpu_layers"] == 0  # the stand-in is slower
    assert [s["gpu_layers"] for s in report["too_large"]] == [7] and report["measurements"] >= 4


def test_without_a_driver_it_says_so(medlar, tiny):
    try:
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("this machine has a driver")
    except OSError:
        pass
    done = medlar.try_run("run", tiny("llama"), "x", "--raw", "-n", "1", "--device", "cuda")
    assert done.returncode == 1
    assert b"libcuda.so.1 cannot be loaded" in done.stderr and b"--device cpu" in done.stderr
