"""Our tokenizers against the Hugging Face `tokenizers` package, on 10,000 lines of everything people type.

The package's tokenizers are built from the vocabulary and merges inside the same GGUF file, with the parts that the
models' publishers use.
"""

import random

import gguf
import pytest
import tokenizers
from tokenizer_support import SPACE_MARK, Ours, all_lines, assert_same, broken, line

LINES = 10_000
CONTROL, USER_DEFINED, NORMAL = gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED, gguf.TokenType.NORMAL


class Vocabulary:
    def __init__(self, path):
        fields = gguf.GGUFReader(path).fields
        self.tokens = fields["tokenizer.ggml.tokens"].contents()
        self.types = fields["tokenizer.ggml.token_type"].contents()
        self.merges = fields["tokenizer.ggml.merges"].contents() if "tokenizer.ggml.merges" in fields else []
        self.scores = fields["tokenizer.ggml.scores"].contents() if "tokenizer.ggml.scores" in fields else []
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    def of_type(self, *types):
        return [token for token, kind in zip(self.tokens, self.types) if kind in types]


def add_special(tokenizer, vocabulary):
    tokenizer.add_special_tokens(
        [tokenizers.AddedToken(token, special=True, normalized=False) for token in vocabulary.of_type(CONTROL)]
    )
    tokenizer.add_tokens(
        [tokenizers.AddedToken(token, special=False, normalized=False) for token in vocabulary.of_type(USER_DEFINED)]
    )
    return tokenizer


def smollm2(vocabulary):
    """As published for SmolLM2: digits one by one, then GPT-2's byte-level BPE."""
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary.ids, merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return add_special(tokenizer, vocabulary)


def gemma3(vocabulary):
    """As published for Gemma 3. The merges that its converter lists are every way to join two tokens into a third,
    best score first."""
    # GGUF writes the runs of spaces, which are user-defined, with plain spaces: by these they are found in text, by
    # marks they are merged.
    ids = vocabulary.ids | {token.replace(" ", SPACE_MARK): i for token, i in vocabulary.ids.items()}
    text = {token.replace(" ", SPACE_MARK) for token in vocabulary.of_type(NORMAL, USER_DEFINED)}
    merges = []
    for token in text:
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in text and right in text:
                merges.append((-vocabulary.scores[ids[token]], ids[left], ids[right], left, right))
    merges.sort()
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            ids, [merge[3:] for merge in merges], byte_fallback=True, fuse_unk=True, unk_token="<unk>"
        )
    )
    tokenizer.normalizer = tokenizers.normalizers.Replace(" ", SPACE_MARK)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(" ", "merged_with_previous")
    return add_special(tokenizer, vocabulary)


MODELS = {"smollm2:135m": smollm2, "gemma3:270m": gemma3}


@pytest.fixture(scope="module", params=MODELS)
def pair(request, medlar, pulled, tmp_path_factory):
    path = pulled(request.param)
    vocabulary = Vocabulary(path)
    return Ours(medlar, path, tmp_path_factory.mktemp("tokenizers")), MODELS[request.param](vocabulary), vocabulary


def names_of(vocabulary):
    return vocabulary.of_type(CONTROL)[:20] + vocabulary.of_type(USER_DEFINED)[:60]


def test_valid_text_gives_the_same_tokens(pair):
    ours, theirs, vocabulary = pair
    texts = all_lines(LINES, names_of(vocabulary))
    expected = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    found = ours.encode([text.encode() for text in texts], "--parse-special")
    assert_same(texts, found, expected)


def test_broken_text_agrees_when_repaired_and_survives_when_not(pair):
    ours, theirs, vocabulary = pair
    rng = random.Random(7)
    # Some vocabularies have no token for bytes that never occur in text.
    unsayable = set(range(256)) - sayable_bytes(vocabulary)
    allowed = [b for b in range(256) if b not in unsayable]
    texts = [broken(rng, line(rng, ["x"]), allowed) for _ in range(LINES // 5)]
    texts = [text for text in texts if not unsayable.intersection(text) and SPACE_MARK.encode() not in text]
    assert sum(text.decode("utf-8", "replace").encode() != text for text in texts) > LINES // 10

    repaired = [text.decode("utf-8", "replace") for text in texts]
    expected = [encoding.ids for encoding in theirs.encode_batch(repaired, add_special_tokens=False)]
    assert_same(repaired, ours.encode([text.encode() for text in repaired], "--parse-special"), expected)

    ids = ours.encode(texts)
    assert_same(ids, ours.decode(ids), texts)


def sayable_bytes(vocabulary):
    if "<0x00>" in vocabulary.ids:
        return {b for b in range(256) if f"<0x{b:02X}>" in vocabulary.ids}
    alphabet = bytes_to_characters()
    return {b for b in range(256) if alphabet[b] in vocabulary.ids}


def bytes_to_characters():
    """GPT-2's alphabet, by its own rule: printable bytes are themselves, the others follow from U+0100."""
    printable = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}
