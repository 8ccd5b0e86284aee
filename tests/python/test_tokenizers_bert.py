"""WordPiece against Hugging Face's, with the vocabulary of a published BERT model."""

import gguf
import pytest
import tokenizers
from tokenizer_support import SPACE_MARK, Ours, all_lines, assert_same

LINES = 10_000


def hugging_face(tokens):
    """GGUF marks what starts a word, BERT's own vocabulary what continues it."""
    def spelled(token):
        if token.startswith("[") and token.endswith("]"):
            return token
        return token[1:] if token.startswith(SPACE_MARK) else "##" + token

    vocabulary = {spelled(token): i for i, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return tokenizer


def test_same_tokens(medlar, shared_data, tmp_path):
    path = shared_data / "tokenizers" / "ggml-vocab-bert-bge.gguf"
    if not path.exists():
        pytest.skip(f"no {path}")
    tokens = gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"].contents()
    theirs = hugging_face(tokens)
    texts = [*all_lines(LINES), "a" * 100, "a" * 101, "x" * 5000]
    expected = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    assert_same(texts, Ours(medlar, path, tmp_path).encode([text.encode() for text in texts]), expected)
