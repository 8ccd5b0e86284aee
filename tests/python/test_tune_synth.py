"""Synthetic models are read by the gguf package, and medlar bench runs them."""

import signal
import subprocess
import time

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def model(medlar, tmp_path_factory):
    path = tmp_path_factory.mktemp("synth") / "m.gguf"
    assert medlar.json("synth", "smollm2-135m:q4_k_m", path, "--json")["bytes"] == path.stat().st_size
    return path


def test_metadata_and_tensors(model):
    reader = gguf.GGUFReader(model)
    value = lambda key: reader.fields[key].contents()
    assert value("general.architecture") == "llama"
    assert value("llama.block_count") == 30
    assert value("llama.rope.freq_base") == 100000
    assert value("general.file_type") == gguf.LlamaFileType.MOSTLY_Q4_K_M
    tensors = {t.name: t for t in reader.tensors}
    assert len(tensors) == 2 + 30 * 9
    assert sum(t.n_elements for t in tensors.values()) == 134_515_008
    assert list(tensors["blk.0.ffn_down.weight"].shape) == [1536, 576]
    assert tensors["blk.0.ffn_down.weight"].tensor_type == gguf.GGMLQuantizationType.Q6_K
    assert tensors["blk.0.attn_q.weight"].tensor_type == gguf.GGMLQuantizationType.Q5_0


def test_weights_have_the_promised_spread(model):
    tensors = {t.name: t for t in gguf.GGUFReader(model).tensors}
    for name in ("blk.3.attn_q.weight", "blk.0.ffn_down.weight"):
        values = gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        columns = int(tensors[name].shape[0])
        assert np.isfinite(values).all()
        assert abs(values.std() * columns**0.5 - 1) < 0.05


def test_vocabulary_is_whole(model):
    fields = gguf.GGUFReader(model).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert len(tokens) == len(set(tokens)) == 49152
    assert len(fields["tokenizer.ggml.token_type"].contents()) == 49152
    assert fields["tokenizer.ggml.merges"].contents() == ["t h"]


def test_bench_prints_llama_bench_json(medlar, model):
    rows = medlar.json("bench", "-m", model, "-p", "16,32", "-n", "2", "-d", "0,8", "-r", "2", "-t", "1", "-o", "json")
    assert [row["test"] for row in rows] == ["pp16", "pp16 @ d8", "pp32", "pp32 @ d8", "tg2", "tg2 @ d8"]
    for row in rows:
        assert row["n_threads"] == 1 and len(row["samples_ts"]) == 2
        assert row["min_ts"] <= row["median_ts"] <= row["max_ts"]
        assert row["rss_anon_mb"] > 0


def test_bench_prints_csv(medlar, model):
    lines = medlar.run("bench", "-m", model, "-p", "0", "-n", "1", "-r", "1", "-o", "csv").decode().splitlines()
    assert len(lines) == 2 and lines[0].startswith("model_filename,")


def start_synthetic_bench(medlar, folder):
    """A bench whose synthetic model is being written."""
    command = [medlar.path, "bench", "--synthetic", "smollm2-135m:f32", "-p", "0", "-n", "64", "-r", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=medlar.environment(TMPDIR=str(folder)))
    while not list(folder.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    return process


def test_ctrl_c_leaves_no_synthetic_model(medlar, tmp_path):
    process = start_synthetic_bench(medlar, tmp_path)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 1 and b"Ctrl-C" in message
    assert not list(tmp_path.iterdir())


def test_a_synthetic_model_has_no_name_while_it_is_measured(medlar, tmp_path):
    process = start_synthetic_bench(medlar, tmp_path)
    while list(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not list(tmp_path.iterdir())


def test_wrong_usage(medlar, tmp_path):
    assert "llama-1b" in medlar.fail("synth", "llama-2b:q4_0", tmp_path / "x", code=2)
    assert "moe-4b-a0.6b" in medlar.fail("synth", "moe-a9b:q4_0", tmp_path / "x", code=2)
    medlar.fail("bench", "-p", "8", code=2)
    medlar.fail("bench", "--synthetic", "llama-1b", code=2)
    assert not list(tmp_path.iterdir())
