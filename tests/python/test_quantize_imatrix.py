"""medlar imatrix: sums against NumPy's of the same embeddings, experts' counts, going on and merging; llama-imatrix."""

import shutil
import subprocess

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

CTX = 32
TEXT = "the thin thread, then the other thing\n" * 30


def read(path):
    reader = gguf.GGUFReader(path)
    fields = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return fields, {t.name: np.array(t.data, np.float64) for t in reader.tensors}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("imatrix") / "text.txt"
    path.write_text(TEXT)
    return path


def tokens_of(medlar, model):
    return medlar.json("tokenize", "-m", model, "--no-special", input=TEXT.rstrip("\n").encode())["tokens"]


def test_the_first_layer_reads_normed_embeddings(medlar, tiny, text, tmp_path):
    model = tiny("llama")
    done = medlar.json("imatrix", model, "-f", text, "-o", tmp_path / "m.gguf", "-c", CTX, "--json")
    fields, found = read(tmp_path / "m.gguf")
    tokens = tokens_of(medlar, model)
    windows = len(tokens) // CTX
    assert done["chunks"] == windows == fields["imatrix.chunk_count"] and done["complete"]
    assert fields["imatrix.chunk_size"] == CTX and fields["imatrix.datasets"] == [str(text)]
    assert fields["general.type"] == "imatrix"
    weights = {t.name: np.array(t.data, np.float64) for t in gguf.GGUFReader(model).tensors}
    x = weights["token_embd.weight"][tokens[: windows * CTX]]
    x *= weights["blk.0.attn_norm.weight"] / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-5)
    for name in "attn_q", "attn_k", "attn_v":
        np.testing.assert_allclose(found[f"blk.0.{name}.weight.in_sum2"].ravel(), np.sum(x**2, axis=0), rtol=1e-4)
        np.testing.assert_allclose(found[f"blk.0.{name}.weight.in_sum"].ravel(), np.sum(x, axis=0), rtol=1e-3, atol=1e-3)
    assert {name.split(".")[2] for name in found} == {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}
    assert all(np.all(v == windows * CTX) for name, v in found.items() if name.endswith(".counts"))


def test_experts_count_their_own_rows(medlar, tiny, text, tmp_path):
    medlar.run("imatrix", tiny("qwen3moe"), "-f", text, "-o", tmp_path / "m.gguf", "-c", CTX)
    fields, found = read(tmp_path / "m.gguf")
    rows, experts, used = fields["imatrix.chunk_count"] * CTX, 9, 3
    for layer in range(2):
        counts = [found[f"blk.{layer}.ffn_{part}_exps.weight.counts"].ravel() for part in ("gate", "up", "down")]
        assert len(counts[0]) == experts and counts[0].sum() == used * rows
        np.testing.assert_array_equal(counts[0], counts[1])
        np.testing.assert_array_equal(counts[0], counts[2])
        # Every expert reads what the router reads.
        for end in "in_sum2", "in_sum":
            read_by_all = found[f"blk.{layer}.ffn_gate_exps.weight.{end}"].sum(axis=0)
            np.testing.assert_allclose(read_by_all, used * found[f"blk.{layer}.ffn_gate_inp.weight.{end}"].ravel(), rtol=1e-4, atol=1e-3)
    done = medlar.json("quantize", tiny("qwen3moe"), tmp_path / "q.gguf", "Q8_0", "--imatrix", tmp_path / "m.gguf", "--json")
    assert done["tensors"]


def test_going_on_and_merging(medlar, tiny, text, tmp_path):
    def run(name, *options):
        medlar.run("imatrix", *options, "-o", tmp_path / name)
        return read(tmp_path / name)

    model = [tiny("llama"), "-f", text, "-c", CTX]
    whole, expected = run("whole.gguf", *model, "--chunks", 6)
    run("parts.gguf", *model, "--chunks", 2)
    fields, found = run("parts.gguf", *model, "--chunks", 6, "--resume")
    assert fields == whole
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, err_msg=name)
    fields, found = run("twice.gguf", "--in", tmp_path / "whole.gguf", "--in", tmp_path / "whole.gguf")
    assert fields["imatrix.chunk_count"] == 12 and fields["imatrix.datasets"] == whole["imatrix.datasets"]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], 2 * values, rtol=1e-6, err_msg=name)


def test_wrong_use(medlar, tiny, text, tmp_path):
    out = tmp_path / "m.gguf"
    model = tiny("llama")
    assert "there is no text" in medlar.fail("imatrix", model, "-o", out, code=2)
    assert "there is no model" in medlar.fail("imatrix", "-f", text, "-o", out, code=2)
    assert "no importance matrix" in medlar.fail("imatrix", "--in", model, "-o", out)
    medlar.run("imatrix", model, "-f", text, "-c", CTX, "--chunks", 1, "-o", out)
    before = out.read_bytes()
    assert "not 64" in medlar.fail("imatrix", model, "-f", text, "-c", 64, "--resume", "-o", out, code=2)
    assert "Merge importance matrices of one model" in medlar.fail(
        "imatrix", tiny("qwen3"), "-f", text, "-c", CTX, "--in", out, "-o", out, code=2
    )
    assert out.read_bytes() == before


def test_beside_llama_imatrix(medlar, pulled, tmp_path):
    program = shutil.which("llama-imatrix")
    if not program:
        pytest.skip("llama-imatrix is not installed")
    model, text = pulled("smollm2:135m"), tmp_path / "text.txt"
    text.write_text("A quick brown fox jumps over the lazy dog, and then it reads a book about numbers.\n" * 80)
    medlar.run("imatrix", model, "-f", text, "--chunks", 2, "-o", tmp_path / "ours.gguf")
    command = [program, "-m", model, "-f", text, "--chunks", "2", "-c", "512", "-b", "512", "-ngl", "0", "--no-ppl"]
    subprocess.run([*command, "-o", tmp_path / "theirs.gguf"], check=True, capture_output=True)
    _, ours = read(tmp_path / "ours.gguf")
    _, theirs = read(tmp_path / "theirs.gguf")
    theirs = {name: values for name, values in theirs.items() if not name.endswith(".stats")}
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        assert ours[name].shape == values.shape
        if name.endswith(".counts"):
            np.testing.assert_array_equal(ours[name], values)
        elif name.endswith(".in_sum2"):
            # The model's weights are quantized, and llama.cpp multiplies them with 8-bit activations.
            assert np.abs(ours[name] - values).sum() < 0.05 * values.sum(), name
