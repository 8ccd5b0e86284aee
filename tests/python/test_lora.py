"""LoRA adapters, as PEFT saves them and as GGUF files, against PEFT's log-probabilities and merged weights."""

import json
import shutil

import gguf
import golden
import numpy as np
import pytest
from huggingface_support import make_folder, read_safetensors, write_safetensors
from server_support import Server

PEFT = golden.FOLDER / "lora"


@pytest.fixture
def log_probs(medlar, tmp_path):
    """log_probs(model, tokens, adapters...): float32 (tokens, vocab)"""

    def read(model, tokens, *adapters):
        options = [word for adapter in adapters for word in ("--lora", adapter)]
        medlar.run("logits", "-m", model, "--tokens", ",".join(map(str, tokens)), "--npy", tmp_path / "l.npy",
                   "--exact", "--ctx", 128, *options)
        return np.load(tmp_path / "l.npy")

    return read


def tokens_of(base):
    return json.loads((golden.FOLDER / f"tiny-{base}.json").read_text())["tokens"]


def matrices(adapter):
    """{module: (A, B, scale)}"""
    config = json.loads((adapter / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / (config["r"] ** 0.5 if config["use_rslora"] else config["r"])
    arrays = {
        name.removeprefix("base_model.model."): np.frombuffer(data, np.float32).reshape(shape)
        for name, (_, shape, data) in read_safetensors(adapter / "adapter_model.safetensors").items()
    }
    modules = {name.partition(".lora_")[0] for name in arrays}
    return {m: (arrays[f"{m}.lora_A.weight"], arrays[f"{m}.lora_B.weight"], scale) for m in modules}


def write_gguf(adapter, path, change=None):
    """The adapter of a tiny llama as other engines' converters write it. `change` edits {name: array}."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    tensors, alpha = {}, 0.0
    for module, (a, b, scale) in matrices(adapter).items():
        alpha = float(scale * a.shape[0])
        if module.endswith(("q_proj", "k_proj")):
            heads = 3 if module.endswith("q_proj") else 1
            b = b.reshape(heads, 2, b.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(b.shape)
        name = names.get_name(module)
        tensors |= {f"{name}.weight.lora_a": a, f"{name}.weight.lora_b": b}
    if change:
        change(tensors)
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("as_folder", [False, True], ids=["gguf", "folder"])
@pytest.mark.parametrize("name", golden.LORA)
def test_peft_adapters_agree(log_probs, tiny, tmp_path, name, as_folder):
    base = golden.LORA[name][0]
    model = make_folder(tmp_path / "m", base) if as_folder else tiny(base)
    actual = log_probs(model, tokens_of(base), PEFT / name)
    assert golden.full_kl(np.load(PEFT / name / "log_probs.npy"), actual).mean() < 1e-8


@pytest.mark.parametrize("name", ["llama-all", "llama-rslora"])
def test_gguf_adapters_agree(log_probs, tiny, tmp_path, name):
    adapter = write_gguf(PEFT / name, tmp_path / "a.gguf")
    actual = log_probs(tiny("llama"), tokens_of("llama"), adapter)
    assert golden.full_kl(np.load(PEFT / name / "log_probs.npy"), actual).mean() < 1e-8


def test_several_with_scales_are_the_merged_model(log_probs, tmp_path):
    model = make_folder(tmp_path / "m", "llama")
    scales = {"llama-all": 0.5, "llama-rslora": -0.25}
    merged = make_folder(tmp_path / "merged", "llama")
    tensors = read_safetensors(merged / "model.safetensors")
    for name, by in scales.items():
        for module, (a, b, scale) in matrices(PEFT / name).items():
            kind, shape, data = tensors[f"{module}.weight"]
            weight = np.frombuffer(data, np.float32).reshape(shape) + by * scale * (b @ a)
            tensors[f"{module}.weight"] = (kind, shape, weight.astype(np.float32).tobytes())
    write_safetensors(merged / "model.safetensors", tensors)
    tokens = tokens_of("llama")
    actual = log_probs(model, tokens, *[f"{PEFT / name}={by}" for name, by in scales.items()])
    assert golden.full_kl(log_probs(merged, tokens), actual).mean() < 1e-8


def test_a_scale_of_0_is_the_model_itself(log_probs, tiny):
    tokens = tokens_of("llama")
    plain = log_probs(tiny("llama"), tokens)
    assert np.array_equal(plain, log_probs(tiny("llama"), tokens, f"{PEFT / 'llama-all'}=0"))


@pytest.mark.parametrize("base, part", [
    ("llama3", "q_proj.lora_B.weight has 60 rows"),
    ("qwen3", "but the model wants"),
    ("phi3", "blk.0.attn_output.weight.lora_a is (4, 60), but the model wants (4, 36)"),
])
def test_the_wrong_base_is_refused_by_the_tensors_name(medlar, tiny, base, part):
    message = medlar.fail("run", tiny(base), "x", "-n", 1, "--lora", PEFT / "llama-all")
    assert part in message and "llama-all" in message


def test_gguf_adapters_that_do_not_fit(medlar, tiny, tmp_path):
    def refusal(change, model=None):
        path = write_gguf(PEFT / "llama-all", tmp_path / "a.gguf", change)
        return medlar.fail("run", model or tiny("llama"), "x", "-n", 1, "--lora", path)

    assert "architecture" not in refusal(lambda t: t.pop("blk.0.attn_v.weight.lora_b"))
    assert "blk.0.attn_v.weight.lora_b is missing" in refusal(lambda t: t.pop("blk.0.attn_v.weight.lora_b"))
    assert "has the rank 0" in refusal(lambda t: t.update({"blk.0.attn_v.weight.lora_a": np.ones(4, np.float32)}))
    wide = {"blk.1.ffn_up.weight.lora_b": np.ones((72, 5), np.float32)}
    assert "blk.1.ffn_up.weight.lora_b is (72, 5)" in refusal(lambda t: t.update(wide))
    more = {"blk.9.ffn_up.weight.lora_a": np.ones((4, 48), np.float32)}
    assert "blk.9.ffn_up.weight.lora_a adapts nothing" in refusal(lambda t: t.update(more))
    assert "adapts a llama model" in refusal(None, tiny("qwen2"))
    assert "medlar convert" in refusal(None, make_folder(tmp_path / "m", "llama"))
    assert "no LoRA adapter" in medlar.fail("run", tiny("llama"), "x", "-n", 1, "--lora", tiny("llama"))


@pytest.mark.parametrize("change, part", [
    ({"use_dora": True}, "field use_dora"),
    ({"bias": "all"}, "field bias"),
    ({"peft_type": "IA3"}, "field peft_type"),
    ({"lora_alpha": None}, "field lora_alpha is missing"),
    ({"lora_alpha": "x"}, "field lora_alpha: expected a number"),
    ({"alpha_pattern": {"q_proj": 2}}, "field alpha_pattern"),
    ({"alora_invocation_tokens": [1]}, "field alora_invocation_tokens"),
])
def test_kinds_of_adapters_that_cannot_be_read(medlar, tiny, tmp_path, change, part):
    adapter = tmp_path / "a"
    shutil.copytree(PEFT / "llama-all", adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | change))
    assert part in medlar.fail("run", tiny("llama"), "x", "-n", 1, "--lora", adapter)


def test_a_server_lists_its_adapters(medlar, tiny, tmp_path):
    adapter = PEFT / "llama-all"
    with Server(medlar, tiny("llama"), "--lora", f"{adapter}=0.5") as server:
        assert server.json("/lora-adapters") == [{"id": 0, "path": str(adapter), "scale": 0.5}]
        assert server.json("/lora-adapters", [{"id": 0, "scale": 0.5}]) == {"success": True}
        error = server.json("/lora-adapters", [{"id": 0, "scale": 1.0}], status=400)["error"]
        assert "adapter 0 has the scale 0.5" in error["message"]
        assert "adapter 1" in server.json("/lora-adapters", [{"id": 1, "scale": 1.0}], status=404)["error"]["message"]
        body = {"prompt": "a", "max_tokens": 1}
        server.json("/v1/completions", body | {"lora": [{"id": 0, "scale": 0.5}]})
        server.json("/v1/completions", body | {"lora": []}, status=400)
