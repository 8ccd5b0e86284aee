"""Hugging Face folders: run as they stand, and converted, against files that tests/goldens/export_gguf.py wrote from
the same models with the gguf package, and against Transformers' log-probabilities."""

import json
import resource
import struct
import subprocess

import gguf
import golden
import numpy as np
import pytest
import tokenizers
from huggingface_support import GOLDENS, make_folder, read_safetensors, shard, write_safetensors
from test_tokenizers_pretokenizers import PUBLISHED
from tokenizer_support import Ours, all_lines, assert_same
from tokenizers import pre_tokenizers as pre

FOLDERS = [name for name in golden.TINY if (GOLDENS / "hf" / f"tiny-{name}").exists()]
EXPERTS = {"qwen3moe", "mixtral", "granitemoe", "qwen2moe"}  # of which the folder has matrices in several places
# What the goldens' exporter writes, and other converters do not, or with the same meaning in other words.
OTHER_KEYS = {"general.name", "general.file_type", "general.size_label", "general.type", "general.quantization_version"}
IDENTIFIED = ["gpt-2", "smollm", "falcon", "llama-bpe", "dbrx", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-v3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """folder(name): the folder of a tiny model."""
    root = tmp_path_factory.mktemp("hf")

    def make(name):
        path = root / f"tiny-{name}"
        return path if path.exists() else make_folder(path, name)

    return make


def tensors_of(path):
    return {t.name: (t.tensor_type.name, [n for n in t.shape if n != 1], t.data) for t in gguf.GGUFReader(path).tensors}


def keys_of(path):
    return {f.name: f.contents() for f in gguf.GGUFReader(path).fields.values() if not f.name.startswith("GGUF.")}


def check_log_probs(medlar, tmp_path, model, name):
    tokens = json.loads((golden.FOLDER / f"tiny-{name}.json").read_text())["tokens"]
    medlar.run("logits", "-m", model, "--tokens", ",".join(map(str, tokens)), "--npy", tmp_path / "l.npy",
               "--exact", "--ctx", 128)
    expected, actual = np.load(golden.FOLDER / f"tiny-{name}.npy"), np.load(tmp_path / "l.npy")
    assert golden.full_kl(expected, actual).mean() < 1e-8


@pytest.mark.parametrize("name", FOLDERS)
def test_converted_tensors_and_keys_are_the_goldens(medlar, tmp_path, folder, tiny, name):
    out = tmp_path / "m.gguf"
    report = medlar.json("convert", folder(name), "-o", out, "--json")
    ours, theirs = tensors_of(out), tensors_of(tiny(name))
    assert report["tensors"] == len(ours) and report["bytes"] == out.stat().st_size
    assert ours.keys() == theirs.keys()
    for tensor, (kind, shape, data) in theirs.items():
        assert (ours[tensor][0], ours[tensor][1]) == (kind, shape) or "gate_inp" in tensor, tensor
        assert np.allclose(ours[tensor][2].astype(np.float32), data.astype(np.float32), rtol=2e-6, atol=0), tensor
    ours, theirs = keys_of(out), keys_of(tiny(name))
    for key in (ours.keys() & theirs.keys()) - OTHER_KEYS:
        if not key.startswith("tokenizer."):
            number = isinstance(theirs[key], float)
            assert ours[key] == (pytest.approx(theirs[key], rel=1e-6) if number else theirs[key]), key
    check_log_probs(medlar, tmp_path, out, name)


@pytest.mark.parametrize("name", [name for name in FOLDERS if name not in EXPERTS])
def test_folders_run_as_they_stand(medlar, tmp_path, folder, name):
    check_log_probs(medlar, tmp_path, folder(name), name)


@pytest.mark.parametrize("name", sorted(EXPERTS))
def test_experts_in_several_places_are_refused_with_the_command_that_helps(medlar, folder, name):
    message = medlar.fail("run", folder(name), "x", "-n", 1)
    assert "not in one piece" in message and "medlar convert" in message


def test_shards_run_and_show_and_plan(medlar, tmp_path, folder):
    model = make_folder(tmp_path / "sharded", "llama")
    shard(model)
    check_log_probs(medlar, tmp_path, model, "llama")
    shown = medlar.json("show", model, "--json")
    assert shown["architecture"] == "llama" and shown["name"] == "sharded" and "f32" in shown["types"]
    assert medlar.json("plan", model, "--json")
    next(model.glob("*-00002-of-*")).unlink()
    assert "is missing" in medlar.fail("show", model)


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16", "q8_0", "q4_0"])
def test_types_are_what_the_gguf_package_makes(medlar, tmp_path, folder, kind):
    """Rows of 32 and more; the package cannot write K-quants, whose encoders have tests of their own."""
    out = tmp_path / "m.gguf"
    medlar.run("convert", folder("olmo2"), "-o", out, "--type", kind)
    plain = tmp_path / "f32.gguf"
    medlar.run("convert", folder("olmo2"), "-o", plain, "--type", "f32")
    wanted = gguf.GGMLQuantizationType[kind.upper()]
    block = gguf.GGML_QUANT_SIZES[wanted][0]
    for tensor, (_, shape, data) in tensors_of(plain).items():
        got, _, bytes_ = tensors_of(out)[tensor]
        is_vector = len(shape) == 1
        expected = gguf.GGMLQuantizationType.F32 if is_vector else wanted if shape[0] % block == 0 else \
            gguf.GGMLQuantizationType.F16
        assert got == expected.name
        assert bytes_.tobytes() == gguf.quants.quantize(data, expected).tobytes(), tensor


@pytest.mark.parametrize("value, kind, why", [(1e6, "f16", "too large"), (np.nan, "q8_0", "not finite"),
                                              (-np.inf, "q4_0", "not finite")])
def test_values_that_a_type_cannot_hold_are_named(medlar, tmp_path, value, kind, why):
    model, out = make_folder(tmp_path / "m", "olmo2"), tmp_path / "out.gguf"
    tensors = read_safetensors(model / "model.safetensors")
    name = "model.layers.1.self_attn.v_proj.weight"
    changed = np.frombuffer(tensors[name][2], np.float16).astype(np.float32)
    changed[39] = value
    tensors[name] = ("F32", tensors[name][1], changed.tobytes())
    write_safetensors(model / "model.safetensors", tensors)
    message = medlar.fail("convert", model, "-o", out, "--type", kind)
    assert "blk.1.attn_v.weight: element 39 is" in message and why in message
    assert not out.exists()
    medlar.run("convert", model, "-o", out, "--type", "f32")


def test_memory_does_not_grow_with_the_model(medlar, tmp_path):
    """A table of 256 MB, converted with 128 MB of anonymous memory."""
    model = make_folder(tmp_path / "m", "olmo2")
    config = json.loads((model / "config.json").read_text())
    rows = (256 << 20) // (2 * config["hidden_size"])
    (model / "config.json").write_text(json.dumps(config | {"vocab_size": rows}))
    tensors = read_safetensors(model / "model.safetensors")
    small = {n: t for n, t in tensors.items() if "embed" not in n and "lm_head" not in n}
    length = rows * config["hidden_size"] * 2
    header, at = {}, 0
    for name, (dtype, shape, data) in small.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    end = at + length
    header["lm_head.weight"] = {
        "dtype": "F16", "shape": [rows, config["hidden_size"]], "data_offsets": [at, end]}
    header["model.embed_tokens.weight"] = {
        "dtype": "F16", "shape": [264, config["hidden_size"]],
        "data_offsets": [end, end + 264 * config["hidden_size"] * 2]}
    text = json.dumps(header).encode()
    with (model / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in small.values()))
        file.truncate(8 + len(text) + at + length + 264 * config["hidden_size"] * 2)
    limit = 128 << 20
    done = subprocess.run(
        [medlar.path, "convert", model, "-o", tmp_path / "m.gguf", "--type", "q8_0", "-t", "2"],
        capture_output=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.gguf").stat().st_size > length * 17 // 32


@pytest.mark.parametrize("change, part", [
    ({"model_type": "martian"}, 'model_type "martian"'),
    ({"quantization_config": {"quant_method": "gptq"}}, "quantized by gptq"),
    ({"hidden_size": "48"}, "field hidden_size: expected an integer"),
    ({"hidden_size": None}, "field hidden_size is missing"),
    ({"num_attention_heads": 0}, "heads"),
    ({"num_attention_heads": -3}, "heads"),
    ({"num_hidden_layers": 2**40}, "out of range"),
    ({"num_hidden_layers": 3}, "blk.2."),
    ({"rope_parameters": {"rope_type": "wobbly"}}, "wobbly"),
    ({"rope_parameters": {"rope_type": "llama3", "low_freq_factor": 4, "high_freq_factor": 1}}, "low_freq_factor"),
])
def test_configurations_that_cannot_be(medlar, tmp_path, change, part):
    model = make_folder(tmp_path / "m", "llama")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | change))
    assert part in medlar.fail("run", model, "x", "-n", 1)


def test_tensors_that_do_not_belong(medlar, tmp_path):
    model = make_folder(tmp_path / "m", "llama")
    tensors = read_safetensors(model / "model.safetensors")
    extra = tensors | {"model.layers.0.self_attn.lora_A.weight": ("F32", [1], b"\0\0\0\0")}
    write_safetensors(model / "model.safetensors", extra)
    assert "lora_A" in medlar.fail("convert", model, "-o", tmp_path / "m.gguf")
    write_safetensors(model / "model.safetensors", tensors | {"model.norm.weight": ("I32", [48], bytes(192))})
    assert "I32 is no type of weights" in medlar.fail("convert", model, "-o", tmp_path / "m.gguf")
    (model / "tokenizer.json").unlink()
    write_safetensors(model / "model.safetensors", tensors)
    assert "neither tokenizer.json nor tokenizer.model" in medlar.fail("convert", model, "-o", tmp_path / "m.gguf")


@pytest.fixture(scope="module")
def trained():
    """Tokens by id and merges, trained without any splitting."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = pre.ByteLevel(add_prefix_space=False, use_regex=False)
    model.train_from_iterator(all_lines(1000), tokenizers.trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False))
    state = json.loads(model.to_str())["model"]
    return state["vocab"], [tuple(merge) for merge in state["merges"]]


def with_tokenizer(tokenizer, path, size):
    """The folder of a model whose embedding has `size` rows; only its tokenizer can be used."""
    model = make_folder(path, "llama")
    tokenizer.save(str(model / "tokenizer.json"))
    tensors = read_safetensors(model / "model.safetensors")
    tensors["model.embed_tokens.weight"] = ("F32", [size, 48], bytes(size * 48 * 4))
    write_safetensors(model / "model.safetensors", tensors)
    return model


@pytest.mark.parametrize("name", IDENTIFIED)
def test_pre_tokenizers_are_known_by_their_steps(medlar, tmp_path, trained, name):
    vocab, merges = trained
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges, ignore_merges=name in ("llama-bpe", "tekken")))
    theirs.pre_tokenizer = pre.Sequence(PUBLISHED[name])
    model = with_tokenizer(theirs, tmp_path / "m", len(vocab))
    texts = all_lines(300)
    expected = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    assert_same(texts, Ours(medlar, model, tmp_path).encode([text.encode() for text in texts]), expected)


def test_an_unknown_pre_tokenizer_is_named(medlar, tmp_path, trained):
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(*trained))
    theirs.pre_tokenizer = pre.Sequence([pre.Split(tokenizers.Regex("[a-m]+"), "isolated"), pre.ByteLevel()])
    model = with_tokenizer(theirs, tmp_path / "m", len(trained[0]))
    assert "split [a-m]+" in medlar.fail("tokenize", "-m", model, input=b"x")


@pytest.mark.parametrize("original", [True, False], ids=["tokenizer.model", "tokenizer.json"])
def test_sentencepiece(medlar, tmp_path, original):
    """Trained here; once as its own file, once as Hugging Face writes it: BPE with a merge list and bytes."""
    sentencepiece = pytest.importorskip("sentencepiece")
    lines = [line for line in all_lines(3000) if "\x00" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(tmp_path / "sp"), model_type="bpe", vocab_size=3000,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        character_coverage=0.99, minloglevel=2)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model"))
    model = with_tokenizer(characters(theirs), tmp_path / "m", len(theirs))
    if original:
        (tmp_path / "sp.model").rename(model / "tokenizer.model")
        (model / "tokenizer.json").unlink()
        (model / "tokenizer_config.json").unlink()
    texts = [line for line in lines[:1000] if line and not line.startswith(" ")]
    ours = Ours(medlar, model, tmp_path).encode([text.encode() for text in texts])
    assert_same(texts, ours, [theirs.encode(text) for text in texts])


def characters(sp):
    """A SentencePiece model in Hugging Face's words."""
    pieces = [sp.id_to_piece(i) for i in range(len(sp))]
    ids = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for piece, i in ids.items():
        for cut in range(1, len(piece)):
            if sp.is_byte(i) or sp.is_control(i) or sp.is_unknown(i):
                break
            if piece[:cut] in ids and piece[cut:] in ids:
                merges.append((sp.get_score(i), ids[piece[:cut]], ids[piece[cut:]], (piece[:cut], piece[cut:])))
    merges.sort(key=lambda m: (-m[0], m[1], m[2]))
    model = tokenizers.Tokenizer(tokenizers.models.BPE(
        ids, [m[3] for m in merges], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    model.normalizer = tokenizers.normalizers.Sequence([
        tokenizers.normalizers.Prepend("\u2581"), tokenizers.normalizers.Replace(" ", "\u2581")])
    return model
