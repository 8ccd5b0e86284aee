"""A model over several devices: GPUs of the stand-ins of NVIDIA's libraries, each with its own memory, and the processor."""

import pathlib
import re

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


def gpus(stubs, count, *sizes, **settings):
    env = stubs | {"STUB_GPUS": str(count)} | {f"STUB_GPU_{name.upper()}": str(value) for name, value in settings.items()}
    return env | ({"STUB_GPU_BYTES": ",".join(map(str, sizes))} if sizes else {})


def logits(medlar, model, path, *options, env=None):
    medlar.run("logits", "-m", model, "--tokens", TOKENS, "--npy", path, *options, env=env)
    return np.load(path).astype(np.float64)


def plan(medlar, model, *options, env=None):
    return medlar.json("plan", model, *options, "--json", env=env)


@pytest.fixture(scope="module")
def small(medlar, tmp_path_factory):
    """30 layers of 1.8 MB."""
    path = tmp_path_factory.mktemp("spread") / "small.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    return path


@pytest.mark.parametrize("how", [["--gpus", "2"], ["--gpus", "3"]])
@pytest.mark.parametrize("peers", [1, 0])
def test_layers_over_gpus_give_what_one_gives(medlar, tiny, stubs, tmp_path, how, peers):
    spread = logits(medlar, tiny("gemma3"), tmp_path / "a.npy", "--device", "cuda", *how, env=gpus(stubs, 3, peers=peers))
    one = logits(medlar, tiny("gemma3"), tmp_path / "b.npy", "--device", "cuda", env=stubs)
    assert np.array_equal(spread, one)


@pytest.mark.parametrize("name", ["gemma3", "qwen3moe", "llama"])
@pytest.mark.parametrize("device", ["cuda", "emulator"])
def test_the_processor_with_a_gpu_is_the_processor(medlar, tiny, stubs, tmp_path, name, device):
    cpu = logits(medlar, tiny(name), tmp_path / "a.npy", "--exact", "--device", "cpu")
    both = logits(medlar, tiny(name), tmp_path / "b.npy", "--exact", "--device", device, "-ngl", "1", "--gpus", "1", env=stubs)
    divergence = (np.exp(cpu) * (cpu - both)).sum(-1)
    assert divergence.max() < 1e-4
    none = logits(medlar, tiny(name), tmp_path / "c.npy", "--exact", "--device", device, "-ngl", "0", env=stubs)
    assert np.array_equal(none, cpu)


def test_it_says_what_is_where(medlar, tiny, stubs):
    ask = ["run", tiny("gemma3"), "hello", "--raw", "-n", "4", "--temp", "0", "--exact"]
    whole = medlar.try_run(*ask, "--device", "cpu")
    done = medlar.try_run(*ask, "-ngl", "3", env=stubs)
    assert done.returncode == 0 and b"3 of 7 layers on stub, 4 on the CPU" in done.stderr
    assert done.stdout == whole.stdout
    done = medlar.try_run(*ask, "-ngl", "5", "--gpus", "2", env=gpus(stubs, 2))
    assert re.search(rb"[23] of 7 layers on stub 0, [23] on stub 1, 2 on the CPU", done.stderr), done.stderr
    assert done.stdout == whole.stdout
    assert b"layers on" not in medlar.try_run(*ask, env=stubs).stderr


def test_as_few_gpus_as_hold_it(medlar, small, stubs):
    whole = plan(medlar, small, "-c", "4096", env=gpus(stubs, 3))
    assert whole["device"]["gpus"] == 1 and [p["layers"] for p in whole["placement"]] == [30]
    needed = whole["device"]["needed"]
    two = plan(medlar, small, "-c", "4096", env=gpus(stubs, 3, needed * 3 // 4))
    assert two["fits"] and two["device"]["gpus"] == 2
    assert [p["number"] for p in two["placement"]] == [0, 1]
    assert sum(p["layers"] for p in two["placement"]) == 30
    assert sum(p["weights"] for p in two["placement"]) >= two["bytes"]["weights_mapped"]
    for part in two["placement"]:
        assert 0 < part["weights"] + part["kv"] + part["activations"] <= part["available"]
    uneven = plan(medlar, small, "-c", "4096", "--gpus", "2", env=gpus(stubs, 3, needed, needed // 2))
    counts = [p["layers"] for p in uneven["placement"]]
    assert uneven["fits"] and counts[0] > counts[1] > 0


def test_what_does_not_fit_stays_on_the_processor(medlar, small, stubs):
    whole = plan(medlar, small, "-c", "4096", "--kv-type", "q8_0", env=stubs)
    needed = whole["device"]["needed"]
    little = stubs | {"STUB_GPU_BYTES": str(needed * 2 // 3)}
    part = plan(medlar, small, "-c", "4096", "--kv-type", "q8_0", env=little)
    assert part["fits"] and part["device"]["name"] == "cuda"
    layers = [p["layers"] for p in part["placement"]]
    assert [p["device"] for p in part["placement"]] == ["cpu", "cuda"] and sum(layers) == 30 and min(layers) > 0
    assert part["device"]["gpu_layers"] == layers[1]
    on_gpu = part["placement"][1]
    assert on_gpu["weights"] + on_gpu["kv"] + on_gpu["activations"] <= on_gpu["available"]
    on_cpu = part["placement"][0]
    assert on_cpu["kv"] + on_cpu["activations"] < part["total_bytes"] < whole["total_bytes"] + needed
    # One layer more has no room.
    more = plan(medlar, small, "-c", "4096", "--kv-type", "q8_0", "-ngl", str(layers[1] + 1), env=little)
    assert not more["fits"] or more["device"]["needed"] > part["device"]["needed"]
    # A GPU that could take next to nothing takes nothing.
    none = plan(medlar, small, "-c", "4096", "--kv-type", "q8_0", env=stubs | {"STUB_GPU_BYTES": str(needed // 8)})
    assert none["device"]["name"] == "cpu"


def test_a_named_device_is_refused_with_what_fits(medlar, small, stubs):
    needed = plan(medlar, small, "-c", "4096", env=stubs)["device"]["needed"]
    little = stubs | {"STUB_GPU_BYTES": str(needed * 2 // 3)}
    done = medlar.try_run("run", small, "x", "--raw", "-n", "1", "-c", "4096", "--kv-type", "q8_0", "--device", "cuda", env=little)
    assert done.returncode == 1
    fewer = re.search(rb"--gpu-layers (\d+)", done.stderr)
    assert fewer, done.stderr
    ask = ["--kv-type", "q8_0", "--device", "cuda", "--gpu-layers", fewer[1].decode()]
    assert plan(medlar, small, "-c", "4096", *ask, env=little)["fits"]


def test_memory_that_goes_while_loading(medlar, small, stubs):
    """Whoever left the choice open gets fewer layers on the GPU, who did not an error."""
    needed = plan(medlar, small, "-c", "4096", env=stubs)["device"]["needed"]
    env = gpus(stubs, 1, needed * 2 // 3, full=6)
    ask = ["run", small, "x", "--raw", "-n", "1", "-c", "4096", "--kv-type", "q8_0"]
    done = medlar.try_run(*ask, env=env)
    assert done.returncode == 0 and re.search(rb"of 30 layers on stub", done.stderr), done.stderr
    done = medlar.try_run(*ask, "-ngl", "5", "--device", "cuda", env=env)
    assert done.returncode == 1 and b"out of memory" in done.stderr and b"--gpu-layers" in done.stderr


def test_settings_that_cannot_be(medlar, tiny, stubs):
    model = tiny("llama")
    for options, said in [
        (["--device", "cuda", "--gpus", "3"], b"no 3 GPUs here, but 2"),
        (["-ngl", "some"], b"--gpu-layers"),
        (["-ngl", "-3"], b"--gpu-layers"),
    ]:
        done = medlar.try_run("run", model, "x", "--raw", "-n", "1", *options, env=gpus(stubs, 2))
        assert done.returncode != 0 and said in done.stderr, done.stderr


def test_times_are_told_of_each_device(medlar, tiny, stubs):
    ask = ["bench", "-m", tiny("gemma3"), "--device", "cuda", "-p", "8", "-n", "0", "-r", "1", "--profile", "-o", "json"]
    for options, env, devices in [(["-ngl", "3"], stubs, {"cpu", "stub"}), (["--gpus", "2"], gpus(stubs, 2), {"stub 0", "stub 1"})]:
        (result,) = medlar.json(*ask, *options, env=env)
        calls = [c["call"] for c in result["profile"]]
        assert {call.rpartition(" on ")[2] for call in calls} == devices
        assert not result["limit_what"]  # no limit of one kind


def test_a_hybrids_speed_is_the_sum_of_its_parts_times(medlar, small, stubs):
    """The more layers are on the GPU, the more its own speed counts, and nothing is faster than the faster one."""
    def seconds(*options, env=stubs):
        return 1 / plan(medlar, small, "-c", "512", *options, env=env)["predict"]["decode_tps"]
    cpu, gpu = seconds("--device", "cpu"), seconds("--device", "cuda")
    both = seconds("--device", "cuda", "-ngl", "15")
    # The stand-in's limits are measured anew each time, and those of a busy machine.
    assert min(cpu, gpu) * 0.6 < both < max(cpu, gpu) * 1.6
    predicted = plan(medlar, small, "-c", "512", "--device", "emulator", env=stubs)
    assert predicted["predict"] is None and "emulator does not tell what it can do" in predicted["notes"][-1]


def test_the_doctor_knows_all_gpus(medlar, stubs):
    found = [f["what"] for f in medlar.json("doctor", "--json", env=gpus(stubs, 2))["findings"] if f["id"] == "gpu"]
    assert len(found) == 2 and "number 0" in found[0] and "number 1" in found[1]


def test_the_server_spreads(medlar, tiny, stubs, tmp_path):
    """Answers of a batch, with prefixes that were read before, and what lies where."""
    questions = [{"prompt": "once upon a time " * n + "there", "max_tokens": 6, "temperature": 0} for n in (1, 9, 9)]
    with Server(medlar, tiny("gemma3"), "--device", "cpu", "--exact") as server:
        expected = [server.json("/v1/completions", q)["choices"][0]["text"] for q in questions]
    env = gpus(stubs, 2)
    with Server(medlar, tiny("gemma3"), "--exact", "-ngl", "5", "--gpus", "2", "--parallel", "2", env=env) as server:
        got = [server.json("/v1/completions", q) for q in questions]
        assert [g["choices"][0]["text"] for g in got] == expected
        assert got[2]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
        memory = server.json("/v1/memory")
        assert [d["number"] for d in memory["devices"]] == [0, 1]
        metrics = server.request("/metrics")[2].decode()
        for device in memory["devices"]:
            assert f'medlar_device_memory_bytes{{category="held",device="{device["number"]}"}} {device["held_total"]}' in metrics
            assert device["held"]["weights"] > 0 and device["held"]["kv"] > 0
            assert device["held_total"] <= device["ceiling"]
        assert memory["held"]["weights"] > 0 and memory["held"]["kv"] > 0
        server.json("/v1/embeddings", {"input": "x"})
