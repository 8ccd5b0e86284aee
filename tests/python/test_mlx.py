"""Folders as MLX quantizes them, packed here by the documented layout, against the values that this means."""

import json

import gguf
import numpy as np
import pytest
from huggingface_support import make_folder, read_safetensors, write_safetensors

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
DIM = 128  # of the models here: a multiple of every group


def pack(codes, bits):
    """(rows, n) codes as little-endian words of 32 bits, lowest bits first."""
    as_bits = (codes[..., None] >> np.arange(bits)) & 1
    return np.packbits(as_bits.reshape(*codes.shape[:-1], -1).astype(np.uint8), axis=-1, bitorder="little").view("<u4")


def e4m3(bits):
    exponent, mantissa = bits >> 3, bits & 7
    return np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent.astype(float) - 7))


def quantized(rng, shape, mode, bits, group):
    """{suffix: (dtype, shape, bytes)} of random weights, and their values."""
    rows, columns = shape
    codes = rng.integers(0, 1 << bits, shape)
    groups = (rows, columns // group)
    if mode == "affine":
        scale = (rng.random(groups) * 0.1).astype(np.float16)
        bias = (rng.random(groups) - 0.5).astype(np.float16)
        values = np.repeat(scale.astype(np.float32), group, 1) * codes.astype(np.float32) + np.repeat(
            bias.astype(np.float32), group, 1)
        extra = {"scales": ("F16", groups, scale.tobytes()), "biases": ("F16", groups, bias.tobytes())}
    else:
        scale = rng.integers(100, 140, groups) if mode == "mxfp4" else rng.integers(0, 120, groups)
        factors = 2.0 ** (scale - 127.0) if mode == "mxfp4" else e4m3(scale)
        values = E2M1[codes] * np.repeat(factors, group, 1).astype(np.float32)
        extra = {"scales": ("U8", groups, scale.astype(np.uint8).tobytes())}
    words = pack(codes, bits)
    return {"weight": ("U32", words.shape, words.tobytes())} | extra, values.astype(np.float32)


def make_quantized(folder, mode, bits, group, own=None):
    """A folder whose products are random and quantized, and {name: values}. `own`: of layer 1's v, (bits, group)."""
    rng = np.random.default_rng(bits * 1000 + group)
    model = make_folder(folder, "olmo2")
    config = json.loads((model / "config.json").read_text())
    config |= {"hidden_size": DIM, "intermediate_size": DIM, "num_attention_heads": 4, "num_key_value_heads": 2}
    config["quantization"] = {"group_size": group, "bits": bits} | ({} if mode == "affine" else {"mode": mode})
    if own:
        config["quantization"]["model.layers.1.self_attn.v_proj"] = {"bits": own[0], "group_size": own[1]}
    config["quantization_config"] = config["quantization"]
    (model / "config.json").write_text(json.dumps(config))
    tensors, values = {}, {}
    for name, (_, shape, _) in read_safetensors(model / "model.safetensors").items():
        if len(shape) == 1:
            width = DIM // 2 if "k_norm" in name else DIM
            tensors[name] = ("F32", [width], np.ones(width, np.float32).tobytes())
            continue
        is_kv = name.split(".")[-2] in ("k_proj", "v_proj")
        rows = shape[0] if "layers" not in name else DIM // 2 if is_kv else DIM
        how = own if own and name == "model.layers.1.self_attn.v_proj.weight" else (bits, group)
        parts, values[name] = quantized(rng, (rows, DIM), mode, *how)
        tensors |= {name.replace("weight", suffix): part for suffix, part in parts.items()}
    write_safetensors(model / "model.safetensors", tensors)
    return model, values


def check(path, values, kinds, rounded=False):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.OLMO2, 2)
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    for name, expected in values.items():
        tensor = tensors[names.get_name(name, try_suffixes=(".weight",))]
        assert tensor.tensor_type.name == kinds(name)
        actual = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        wanted = expected.astype(np.float16).astype(np.float32) if rounded else expected
        assert np.array_equal(actual, wanted), name


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_affine(medlar, tmp_path, bits, group):
    model, values = make_quantized(tmp_path / "m", "affine", bits, group)
    report = medlar.json("convert", model, "-o", tmp_path / "m.gguf", "--json")
    kind = "Q4_1" if bits < 5 else "Q5_1" if bits == 5 else "F16"
    check(tmp_path / "m.gguf", values, lambda name: kind, rounded=kind == "F16")
    assert len(report["rounded"]) == (len(values) if kind == "F16" else 0)
    medlar.run("run", tmp_path / "m.gguf", "x", "-n", 1)
    assert "medlar convert" in medlar.fail("run", model, "x", "-n", 1)


@pytest.mark.parametrize("mode, group, kind", [("mxfp4", 32, "MXFP4"), ("nvfp4", 16, "F16")])
def test_floating_point_codes(medlar, tmp_path, mode, group, kind):
    model, values = make_quantized(tmp_path / "m", mode, 4, group)
    medlar.run("convert", model, "-o", tmp_path / "m.gguf")
    check(tmp_path / "m.gguf", values, lambda name: kind)


def test_layers_of_their_own_width(medlar, tmp_path):
    model, values = make_quantized(tmp_path / "m", "affine", 4, 64, own=(5, 32))
    medlar.run("convert", model, "-o", tmp_path / "m.gguf")
    check(tmp_path / "m.gguf", values, lambda name: "Q5_1" if "layers.1.self_attn.v_proj" in name else "Q4_1")


def test_any_type_can_be_asked_for(medlar, tmp_path):
    model, values = make_quantized(tmp_path / "m", "affine", 6, 64)
    medlar.run("convert", model, "-o", tmp_path / "m.gguf", "--type", "f32")
    check(tmp_path / "m.gguf", values, lambda name: "F32")


@pytest.mark.parametrize("change, part", [
    ({"group_size": 48}, "group_size"),
    ({"group_size": 0}, "group_size"),
    ({"mode": "nf4"}, 'mode "nf4"'),
    ({"mode": "mxfp4", "group_size": 32}, "none of that mode"),
])
def test_quantizations_that_cannot_be(medlar, tmp_path, change, part):
    model, _ = make_quantized(tmp_path / "m", "affine", 4, 64)
    config = json.loads((model / "config.json").read_text())
    config["quantization"] |= change
    (model / "config.json").write_text(json.dumps(config))
    message = medlar.fail("convert", model, "-o", tmp_path / "m.gguf")
    assert part in message
