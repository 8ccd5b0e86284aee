"""Every pre-tokenizer against Hugging Face's engine, with the patterns as the models' publishers write them.

The merges are trained without any splitting, so they reach across every boundary that a pre-tokenizer should make:
a boundary in the wrong place shows as another token.
"""

import json

import gguf
import pytest
import tokenizers
from tokenizer_support import Ours, all_lines, assert_same
from tokenizers import pre_tokenizers as pre

LINES = 3000


def split(pattern):
    return pre.Split(tokenizers.Regex(pattern), "isolated")


WORDS = pre.ByteLevel(add_prefix_space=False, use_regex=True)  # GPT-2's own pattern
BYTES = pre.ByteLevel(add_prefix_space=False, use_regex=False)

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LLAMA3 = rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}{{1,3}}|{SIGNS}|{TAIL}"
QWEN2 = rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}|{SIGNS}|{TAIL}"
ASCII_SIGNS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
DEEPSEEK3 = (ASCII_SIGNS + r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+")


def capitals(upper, lower, ending, digits, signs):
    start = r"[^\r\n\p{L}\p{N}]?"
    return f"{start}{upper}*{lower}+{ending}|{start}{upper}+{lower}*{ending}|{digits}|{signs}|{TAIL}"


GPT4O = capitals(UPPER, LOWER, CONTRACTIONS + "?", r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*")
TEKKEN = capitals(UPPER, LOWER, "", r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*")
YOUTU = capitals(UPPER, LOWER, CONTRACTIONS + "?", r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*")
KIMI = r"[\p{Han}]+|" + capitals(
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]", CONTRACTIONS + "?",
    r"\p{N}{1,3}", SIGNS)
JAIS2 = (rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}{{1,3}}|{SIGNS}|\s*[\r\n]+|"
         + "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4)) + r"|\s{1,2}(?!\S)|\s{1}")
CASED = (
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ\u1e00-\u1f15"
    "\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc"
    "\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc"
    "\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f"
    "\u2145-\u2149\u214e\u2183\u2184Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
EAST_ASIAN = "[一-龥ࠀ-一가-퟿]+"
KANA = "[一-龥぀-ゟ゠-ヿ]+"
TRIPLES = r"(?=(\d{3})+(?!\d))"

# name in GGUF -> the publisher's pre-tokenizers, one after the other
PUBLISHED = {
    "gpt-2": [WORDS],
    "smollm": [pre.Digits(True), WORDS],
    "falcon": [pre.Punctuation("contiguous"), WORDS, split("[0-9][0-9][0-9]")],
    "llama-bpe": [split(LLAMA3), BYTES],
    "dbrx": [split(LLAMA3), BYTES],
    "jais-2": [split(JAIS2), BYTES],
    "qwen2": [split(QWEN2), BYTES],
    "qwen35": [split(rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}|"
                     rf" ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{TAIL}"), BYTES],
    "minicpm5": [split(r"\p{N}{1,3}"), split(rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}+|{SIGNS}|{TAIL}"), BYTES],
    "ufakzeka": [split(rf"{LETTERS}|\p{{N}}|{SIGNS}|{TAIL}"), BYTES],
    "laguna": [split(r"[^\n]+|[\n]+"), split(QWEN2), BYTES],
    "seed-coder": [split(rf"{CONTRACTIONS}|{LETTERS}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{TAIL}"), BYTES],
    "bailingmoe": [split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|"
                         r"\s*[\r\n]|\s+(?!\S)|\s+"), BYTES],
    "exaone-moe": [split(rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}|"
                         r" ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"), BYTES],
    "gpt-4o": [split(GPT4O), BYTES],
    "tekken": [split(TEKKEN), BYTES],
    "tiny_aya": [split(r"\d{1,3}(?=(?:\d{3})*\b)"), split(GPT4O), BYTES],
    "youtu": [split("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + KANA), split(YOUTU), BYTES],
    "kimi-k2": [split(KIMI), BYTES],
    "deepseek-llm": [split(r"[\r\n]"), split(CASED), split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"), split(r"\s+$"),
                     split(EAST_ASIAN), pre.Digits(True), BYTES],
    "deepseek-coder": [split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(EAST_ASIAN),
                       pre.Digits(True), BYTES],
    "deepseek-v3": [split(r"\p{N}{1,3}"), split(KANA), split(DEEPSEEK3), BYTES],
    "spark2_5": [split(r"\p{N}{1,3}"), split(KANA),
                 split(DEEPSEEK3.replace(r"+[\r\n]*|\s*[\r\n]+", r"+|[\r\n]")), split(r"\p{N}"), BYTES],
    "afmoe": [split(r"\p{N}+"), split(TRIPLES),
              split("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf"
                    "\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff]+"),
              split(DEEPSEEK3), BYTES],
    "superbpe": [split(r"\p{N}+"), split(TRIPLES), BYTES],
    "bloom": [split(BLOOM), BYTES],
    "viking": [split(BLOOM), pre.Digits(True), BYTES],
    "chameleon": [split(r"<sentinel:[0-9]+>"), split(r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"), split(r"([\t\n]|    |  )"),
                  pre.Digits(True), split(r"[\p{P}!-/:-@\[-`{-~]"), WORDS],
}
WHOLE_WORDS = {"llama-bpe", "minicpm5", "tekken", "youtu"}


@pytest.fixture(scope="module")
def vocabulary():
    """Tokens by id and merges of a model that was trained on unsplit lines."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = BYTES
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=6000, initial_alphabet=pre.ByteLevel.alphabet(), show_progress=False, special_tokens=["<s>"])
    trained.train_from_iterator(lines()[::2], trainer)
    model = json.loads(trained.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(merge) for merge in model["merges"]]


def lines():
    return all_lines(LINES) + ["12²345½ 1234567 a1234 1234a 1234567, 12345678", "<sentinel:12>IMGIMGABCZ IMGIMGABCDEZ",
                               "   " * 300 + "x", " " * 513, "'ſ 'LL 'Ve", "ǅungla ǅ ʰ ˠ𠀋々〇", "１２３４ ٣٤٥٦ ४५६७८"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_same_words(name, vocabulary, medlar, tmp_path):
    tokens, merges = vocabulary
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE(
        {token: i for i, token in enumerate(tokens)}, merges, ignore_merges=name in WHOLE_WORDS))
    theirs.pre_tokenizer = pre.Sequence(PUBLISHED[name])

    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<s>" else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()

    texts = lines()
    expected = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    ours = Ours(medlar, tmp_path / "model.gguf", tmp_path).encode([text.encode() for text in texts])
    assert_same(texts, ours, expected)
