"""medlar plan, and admission in run, chat and serve: bytes, limits, machines, alternatives that do run."""

import json
import re
import shlex

import pytest

CATEGORIES = [
    "weights_mapped",
    "weights_resident",
    "kv",
    "state",
    "activations",
    "scratch",
    "draft",
    "cache",
    "overhead",
]


@pytest.fixture
def plan(medlar, tiny):
    """plan(options..., model=...): the JSON of a plan."""

    def call(*options, model="llama"):
        path = model if ":" in str(model) else tiny(model)
        return medlar.json("plan", path, "--json", *options)

    return call


def total(planned):
    return sum(planned["bytes"][name] for name in CATEGORIES if name != "weights_mapped")


def test_json_has_what_the_reference_says(plan):
    planned = plan("--ctx", 128)
    assert set(planned) >= {"fits", "limit_bytes", "bytes", "predict", "alternatives"}
    assert list(planned["bytes"]) == CATEGORIES
    assert all(isinstance(value, int) and value >= 0 for value in planned["bytes"].values())
    assert set(planned["predict"]) == {"prompt_tps", "decode_tps", "ttft_ms"}
    assert all(value > 0 for value in planned["predict"].values())
    assert planned["fits"] is True and planned["alternatives"] == []
    assert planned["total_bytes"] == total(planned) <= planned["limit_bytes"]


@pytest.mark.parametrize("model", ["llama", "llama3", "qwen2", "qwen3", "qwen3moe", "mixtral", "gemma3"])
@pytest.mark.parametrize("options", [[], ["--ctx", "100", "-t", "2"], ["--ctx", "64", "--kv-type", "f16"]])
def test_a_run_holds_what_was_planned(plan, medlar, tiny, model, options):
    planned = plan(*options, model=model)["bytes"]
    memory = medlar.json("run", tiny(model), "the", "--raw", "--json", "-n", 2, *options)["memory"]
    for name in ("weights_mapped", "kv", "activations", "scratch"):
        assert planned[name] == memory[name], name


def test_show_tells_the_same(plan, medlar, tiny):
    planned = plan("--ctx", 200)
    memory = medlar.json("show", tiny("llama"), "--json", "--ctx", 200)["memory"]
    assert memory["context"] == planned["settings"]["context"]
    for name in ("weights_mapped", "kv", "activations", "scratch"):
        assert planned["bytes"][name] == memory[name], name


def test_what_the_system_reports_is_near_the_plan(medlar, tiny, plan):
    if medlar.sanitized:
        pytest.skip("a sanitizer takes memory of its own")
    planned = plan("--ctx", 512, "-t", 2)
    memory = medlar.json("run", tiny("llama"), "the", "--raw", "--json", "-n", 200, "-t", 2)["memory"]
    assert abs(memory["resident"] - planned["total_bytes"]) < 24_000_000


def test_text_is_a_table_and_an_answer(medlar, tiny):
    text = medlar.run("plan", tiny("llama"), "--ctx", 128, "--machine", "M2 16GB").decode()
    assert text.splitlines()[0].endswith("on Apple M2, 8 GPU cores, 16 GB")
    assert re.search(r"^  KV cache +[\d.]+ kB  128 tokens in \w+$", text, re.M)
    assert re.search(r"^  there is +11.5 GB  what macOS lets its GPU hold$", text, re.M)
    assert "\nfits: yes\n" in text and re.search(r"^speed: reads 512 tokens at [\d.]+/s", text, re.M)
    assert "the fewest" in text


def test_a_prompt_and_a_context_cost_time(plan):
    short, long = plan("--prompt", 64), plan("--prompt", 448)
    assert long["predict"]["ttft_ms"] > short["predict"]["ttft_ms"]
    assert long["predict"]["decode_tps"] <= short["predict"]["decode_tps"]


def test_parallel_and_draft_add(plan, tiny):
    alone = plan("--ctx", 128)
    together = plan("--ctx", 128, "--parallel", 4)
    assert together["bytes"]["kv"] > alone["bytes"]["kv"] and together["settings"]["parallel"] == 4
    with_draft = plan("--ctx", 128, "--draft", tiny("qwen3"))
    assert with_draft["bytes"]["draft"] > 200_000 and alone["bytes"]["draft"] == 0
    assert with_draft["total_bytes"] == alone["total_bytes"] + with_draft["bytes"]["draft"]


@pytest.mark.parametrize(
    ("machine", "model", "fits"),
    [
        ("M1 8GB", "llama-8b:q4_k_m", True),
        ("M1 8GB", "llama-8b:f16", False),
        ("M1 Max 64GB", "llama-70b:q4_k_m", True),
        ("M1 Max 64GB", "llama-70b:f16", False),
        ("M2 Ultra 192GB", "llama-70b:f16", True),
    ],
)
def test_what_fits_a_mac(plan, machine, model, fits):
    planned = plan("--machine", machine, "--ctx", 2048, model=f"synthetic:{model}")
    assert planned["fits"] is fits
    assert bool(planned["alternatives"]) is not fits


def test_alternatives_fit_and_the_nearest_is_first(plan):
    options = ["--machine", "M1 8GB"]
    model = "synthetic:llama-8b:q4_k_m"
    planned = plan(*options, model=model)
    assert planned["fits"] is False and 1 <= len(planned["alternatives"]) <= 3
    for other in planned["alternatives"]:
        assert other["bytes"] <= planned["limit_bytes"]
        if other["model"].startswith("synthetic") or not other["model"]:
            again = plan(*options, *shlex.split(other["flags"]), model=other["model"] or model)
            assert again["fits"] is True
    first = planned["alternatives"][0]
    assert not first["model"] and first["settings"]["context"] >= 8192


def test_a_catalogue_model_that_is_not_here(plan, medlar):
    planned = plan("--memory-limit", "100G", model="llama3.1:8b")
    assert planned["fits"] and any("not pulled" in note for note in planned["notes"])
    assert abs(planned["bytes"]["weights_mapped"] - 4.92e9) < 0.1e9
    assert "medlar pull gpt-oss:20b" in medlar.fail("plan", "gpt-oss:20b")
    assert "medlar pull hf.co/a/b" in medlar.fail("plan", "hf.co/a/b")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--machine", "M9 16GB"], 2, "It has M1 to M5"),
        (["--machine", "M2 64GB"], 2, "It comes with 8, 16 or 24 GB"),
        (["--memory-limit", "lots"], 2, "is no size"),
        (["--memory-limit=-1G"], 2, "is no size"),
        (["--memory-limit", "10X"], 2, "is no size"),
        (["--kv-type", "q2_k"], 2, "--kv-type"),
        (["--parallel", "0"], 2, "--parallel"),
        (["--calibrate", "--machine", "M1 8GB"], 2, "--calibrate measures this machine"),
    ],
)
def test_wrong_usage(medlar, tiny, options, code, message):
    assert message in medlar.fail("plan", tiny("llama"), *options, code=code)


def test_needs_a_model(medlar):
    assert "there is no model" in medlar.fail("plan", code=2)
    assert "there is no shape" in medlar.fail("plan", "synthetic:x:q4_0", code=2)


def test_sizes_have_decimal_and_binary_units(plan):
    for text, size in {"1G": 10**9, "1gb": 10**9, "1.5 GiB": 3 * 2**29, "300M": 3 * 10**8, "123456789": 123456789}.items():
        assert plan("--memory-limit", text)["limit_bytes"] == size


@pytest.fixture
def long_model(medlar, tmp_path):
    """A model whose default KV cache is much larger than its weights."""
    path = tmp_path / "long.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    return path


def test_run_reduces_what_was_left_open_and_says_so(medlar, long_model):
    options = ["--raw", "--json", "-n", 2, "-t", 2]
    free = medlar.try_run("run", long_model, "the", *options)
    assert free.returncode == 0 and b"note:" not in free.stderr
    done = medlar.try_run("run", long_model, "the", *options, "--memory-limit", "180M")
    assert done.returncode == 0, done.stderr
    note = done.stderr.decode()
    assert re.fullmatch(r"note: a context of \d+ tokens.* are enough \(--memory-limit is 180 MB\)\n", note), note
    assert json.loads(done.stdout)["memory"]["kv"] < json.loads(free.stdout)["memory"]["kv"]


def test_a_refusal_names_settings_that_run(medlar, long_model):
    options = ["--raw", "--json", "-n", 2, "-t", 2, "--memory-limit", "180M"]
    message = medlar.fail("run", long_model, "the", "--ctx", 8192, "--kv-type", "q8_0", *options)
    assert "needs " in message and "These fit: " in message
    offers = re.findall(r"(--ctx \d+(?: --kv-type \w+)?|--kv-type \w+(?: --ctx \d+)?) \(\d+ MB\)", message)
    assert offers, message
    for offer in offers:
        answer = medlar.json("run", long_model, "the", *options, *shlex.split(offer))
        assert answer["usage"]["completion_tokens"] > 0


def test_chat_and_serve_refuse_at_once(medlar, long_model):
    for command in (["chat", long_model], ["serve", long_model, "--port", 0]):
        message = medlar.fail(*command, "--memory-limit", "40M", timeout=60)
        assert "needs " in message and "--memory-limit" in message


def test_predictions_are_kept_beside_what_happened(medlar, tiny, tmp_path):
    env = {"MEDLAR_HOME": str(tmp_path)}
    text = "the thing " * 20
    medlar.run("run", tiny("llama"), text, "--raw", "-n", 30, env=env)
    assert not (tmp_path / "speed.jsonl").exists()  # this machine is not calibrated
    medlar.json("plan", tiny("llama"), "--json", env=env)
    assert len(json.loads((tmp_path / "calibration.json").read_text())) == 1
    medlar.run("run", tiny("llama"), text, "--raw", "-n", 30, env=env)
    records = [json.loads(line) for line in (tmp_path / "speed.jsonl").read_text().splitlines()]
    assert "prompt" in {record["of"] for record in records}
    assert all(record["predicted"] > 0 and record["measured"] > 0 for record in records)
    (tmp_path / "calibration.json").write_text("{")
    (tmp_path / "speed.jsonl").write_bytes(b"\xff\x00 nonsense")
    assert medlar.json("plan", tiny("llama"), "--json", env=env)["fits"]
