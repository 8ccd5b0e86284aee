"""BPE over characters with a merge list, as Gemma 4 has it, against Hugging Face's."""

import json

import gguf
import pytest
import tokenizers
from tokenizer_support import SPACE_MARK, Ours, all_lines, assert_same
from tokenizers import AddedToken, normalizers, pre_tokenizers

LINES = 3000
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
NAMES = ["<bos>", "<|turn>", "<turn|>"]


@pytest.fixture(scope="module")
def theirs():
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.normalizer = normalizers.Replace(" ", SPACE_MARK)
    # In Gemma's vocabulary newlines stand together and alone.
    trained.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"\n+"), "isolated")
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=3000, limit_alphabet=600, show_progress=False, special_tokens=["<unk>", *NAMES, *BYTES])
    trained.train_from_iterator(all_lines(LINES)[::2] + ["\n" * n for n in range(2, 20)] * 50, trainer)
    model = json.loads(trained.to_str())["model"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        model["vocab"], [tuple(merge) for merge in model["merges"]], byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE_MARK)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in NAMES])
    return tokenizer


def write_gguf(path, tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    types = [3 if token in NAMES else 2 if token == "<unk>" else 6 if token in BYTES else 1 for token in tokens]
    writer = gguf.GGUFWriter(path, "gemma4")
    writer.add_tokenizer_model("gemma4")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(tokens.index("<bos>"))
    writer.add_unk_token_id(tokens.index("<unk>"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def test_same_tokens(theirs, medlar, tmp_path):
    write_gguf(tmp_path / "model.gguf", theirs)
    texts = all_lines(LINES, NAMES)
    expected = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    ours = Ours(medlar, tmp_path / "model.gguf", tmp_path)
    found = ours.encode([text.encode() for text in texts], "--parse-special")
    assert_same(texts, found, expected)
    assert_same(texts, ours.decode(found), [text.replace(SPACE_MARK, " ").encode() for text in texts])
