"""medlar quantize: files read back by the gguf package, and beside llama-quantize where it is installed."""

import shutil
import subprocess

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
from gguf.quants import dequantize, quantize  # noqa: E402

LAYERS, DIM, FFN = 8, 256, 512
MIXES = ["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_S",
         "Q5_K_M", "Q6_K", "Q8_0", "MXFP4", "F16", "BF16"]  # fmt: skip
KNOWN_TO_GGUF = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]  # that it can also encode


def tensors(experts=0):
    """Names to values of a small model: matrices whose rows are whole blocks of every type, and some odd ones."""
    random = np.random.default_rng(1)

    def matrix(*shape):
        return (random.standard_t(4, shape) * 0.02).astype(np.float16)

    yield "token_embd.weight", matrix(64, DIM)
    yield "output_norm.weight", np.ones(DIM, np.float32)
    yield "output.weight", matrix(64, DIM)
    for i in range(LAYERS):
        yield f"blk.{i}.attn_norm.weight", np.ones(DIM, np.float32)
        for name, rows in ("attn_q", DIM), ("attn_k", 64), ("attn_v", 64), ("attn_output", DIM):
            yield f"blk.{i}.{name}.weight", matrix(rows, DIM)
        yield f"blk.{i}.ffn_norm.weight", np.ones(DIM, np.float32)
        if experts:
            yield f"blk.{i}.ffn_gate_inp.weight", matrix(experts, DIM).astype(np.float32)
        mats, end = ((experts,), "_exps") if experts else ((), "")
        yield f"blk.{i}.ffn_gate{end}.weight", matrix(*mats, FFN, DIM)
        yield f"blk.{i}.ffn_up{end}.weight", matrix(*mats, FFN, DIM)
        yield f"blk.{i}.ffn_down{end}.weight", matrix(*mats, DIM, FFN)


def write_model(path, experts=0):
    architecture = "qwen3moe" if experts else "llama"
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(DIM)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(8)
    writer.add_head_count_kv(2)
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_vocab_size(64)
    writer.add_rope_dimension_count(32)
    writer.add_layer_norm_rms_eps(1e-5)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(FFN)
    writer.add_tokenizer_model("no_vocab")
    for name, values in tensors(experts):
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read(path):
    reader = gguf.GGUFReader(path)
    fields = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return fields, {t.name: t for t in reader.tensors}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("quantize") / "f16.gguf")


@pytest.fixture(scope="module")
def llama_quantize():
    path = shutil.which("llama-quantize")
    if not path:
        pytest.skip("llama-quantize is not installed")
    return path


@pytest.mark.parametrize("mix", MIXES)
def test_values_are_near(medlar, model, tmp_path, mix):
    done = medlar.json("quantize", model, tmp_path / "out.gguf", mix, "--json")
    fields, found = read(tmp_path / "out.gguf")
    original = dict(tensors())
    assert fields["general.quantization_version"] == 2
    assert done["bytes"] == (tmp_path / "out.gguf").stat().st_size
    assert {t["name"]: t["to"] for t in done["tensors"]} == {n: t.tensor_type.name.lower() for n, t in found.items()}
    for name, tensor in found.items():
        values = dequantize(tensor.data, tensor.tensor_type).reshape(original[name].shape)
        x = original[name].astype(np.float32)
        bits = 8 * tensor.n_bytes / x.size
        # Each bit halves the error, of blocks; a fifth of the values' own size is left at four.
        assert np.sqrt(np.mean((values - x) ** 2)) <= 0.2 * 2 ** (4 - min(bits, 10)) * x.std() + 1e-12, (name, bits)


@pytest.mark.parametrize("kind", KNOWN_TO_GGUF)
def test_no_worse_than_the_gguf_package(medlar, model, tmp_path, kind):
    medlar.run("quantize", model, tmp_path / "out.gguf", kind)
    _, found = read(tmp_path / "out.gguf")
    for name, x in tensors():
        tensor = found[name]
        if tensor.tensor_type.name != kind:
            continue
        x = x.astype(np.float32)
        theirs = quantize(x, tensor.tensor_type)
        if kind == "Q8_0":
            np.testing.assert_array_equal(tensor.data, theirs)
        weight = np.sqrt(np.mean(x**2) + x**2)
        errors = [np.sum(weight * (dequantize(d, tensor.tensor_type) - x) ** 2) for d in (tensor.data, theirs)]
        assert errors[0] <= errors[1], name


def test_odd_widths_are_told(medlar, tiny, tmp_path):
    done = medlar.try_run("quantize", tiny("llama"), tmp_path / "out.gguf", "Q4_K_M")
    assert done.returncode == 0
    assert b"note: rows of 48 are no whole blocks of q4_k: 10 tensors are f16 instead" in done.stderr
    _, found = read(tmp_path / "out.gguf")
    assert found["blk.0.attn_q.weight"].tensor_type.name == "F16"
    assert b"the" != medlar.run("logits", "-m", tmp_path / "out.gguf", "--tokens", "1,2,3", "--top", "1")


def test_rules(medlar, model, tmp_path):
    medlar.run("quantize", model, tmp_path / "out.gguf", "Q4_K_S", "--tensor", "ffn_down=q8_0", "--tensor", r"blk\.3\.=q2_k")
    _, found = read(tmp_path / "out.gguf")
    assert found["blk.3.ffn_down.weight"].tensor_type.name == "Q8_0"
    assert found["blk.3.ffn_up.weight"].tensor_type.name == "Q2_K"
    assert found["blk.3.attn_norm.weight"].tensor_type.name == "F32"


def test_wrong_use(medlar, model, tmp_path):
    out = tmp_path / "out.gguf"
    assert "there is no type" in medlar.fail("quantize", model, out, "Q9", code=2)
    assert "REGEX=TYPE" in medlar.fail("quantize", model, out, "Q4_0", "--tensor", "x", code=2)
    assert "is also what is read" in medlar.fail("quantize", model, model, "Q4_0", code=2)
    assert "no importance matrix" in medlar.fail("quantize", model, out, "Q4_0", "--imatrix", model)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(medlar, model, tmp_path):
    out = tmp_path / "out.gguf"
    out.write_bytes(b"older")
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 200; trap "" XFSZ; exec "$0" quantize "$1" "$2" Q8_0', medlar.path, model, out],
        capture_output=True, env=medlar.environment(),
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out.gguf"] and out.read_bytes() == b"older"


@pytest.mark.parametrize("experts", [0, 4])
def test_types_are_llama_quantizes(medlar, llama_quantize, tmp_path, experts):
    source = write_model(tmp_path / "f16.gguf", experts)
    for mix in MIXES:
        medlar.run("quantize", source, tmp_path / "ours.gguf", mix)
        name = {"MXFP4": "MXFP4_MOE"}.get(mix, mix)
        subprocess.run([llama_quantize, source, tmp_path / "theirs.gguf", name], check=True, capture_output=True)
        (our_fields, ours), (their_fields, theirs) = read(tmp_path / "ours.gguf"), read(tmp_path / "theirs.gguf")
        assert our_fields == their_fields, mix
        assert {n: t.tensor_type for n, t in ours.items()} == {n: t.tensor_type for n, t in theirs.items()}, mix
        original = dict(tensors(experts))
        for tensor, other in ((ours[n], theirs[n]) for n in ours):
            x = original[tensor.name].astype(np.float32)
            weight = np.sqrt(np.mean(x**2) + x**2)
            errors = [np.sum(weight * (dequantize(t.data, t.tensor_type).reshape(x.shape) - x) ** 2) for t in (tensor, other)]
            assert errors[0] <= errors[1] * (1 + 1e-6), (mix, tensor.name)


def test_targets(medlar, tiny, tmp_path):
    model, text, out = tiny("gemma3"), tmp_path / "text.txt", tmp_path / "out.gguf"
    text.write_text("the thin thread, then the other thing\n" * 30)
    windows = ["-f", text, "-c", 32, "--chunks", 8]

    def divergence(file):
        return medlar.json("perplexity", "-m", file, *windows, "--kl-against", model, "--exact", "--json")["kl"]["mean"]

    coarse = medlar.json("quantize", model, out, "Q4_0", "--json")
    most = divergence(out) / 4
    done = medlar.json("quantize", model, out, "--max-kl", most, *windows, "--json")
    assert done["measured_kl"] <= most
    assert divergence(out) == pytest.approx(done["measured_kl"], rel=0.05, abs=5e-6)
    assert done["bytes"] < model.stat().st_size
    middle = (coarse["bits_per_weight"] + done["bits_per_weight"]) / 2
    found = medlar.json("quantize", model, out, "--target-bpw", middle, *windows, "--json")
    assert middle - 1 <= found["bits_per_weight"] <= middle
    size = medlar.json("quantize", model, out, "--target-size", f"{out.stat().st_size}", *windows, "--json")
    assert size["bytes"] <= found["bytes"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.gguf", "text.txt"]
    assert "the coarsest types take" in medlar.fail("quantize", model, out, "--target-bpw", 1, *windows)
    assert "there is no text" in medlar.fail("quantize", model, out, "--target-bpw", 5, code=2)
    assert "contradict" in medlar.fail("quantize", model, out, "Q4_0", "--target-bpw", 5, *windows, code=2)
    assert "there is no type" in medlar.fail("quantize", model, out, code=2)
