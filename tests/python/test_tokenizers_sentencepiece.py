"""Our tokenizers against the SentencePiece library, on models that it trains here.

Two ways to write a text can be equally probable to a Unigram model, as in a long run of one character; the library
then decides by how its float sums round. Sums of doubles, which we share with Hugging Face, decide otherwise: there
the same tokens in another order are right, and Hugging Face's own implementation says which order.
"""

import gguf
import pytest
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2 as model_pb2  # needs protobuf
from tokenizer_support import Ours, all_lines, assert_same

LINES = 3000

# name -> how SentencePiece trains it
MODELS = {
    "llama": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                  remove_extra_whitespaces=False),
    "no-prefix": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                      remove_extra_whitespaces=False, add_dummy_prefix=False),
    "no-bytes": dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False),
    "across-words": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity",
                         remove_extra_whitespaces=False, split_by_whitespace=False),
    "t5": dict(model_type="unigram", normalization_rule_name="nmt_nfkc"),
    "t5-folding": dict(model_type="unigram", normalization_rule_name="nmt_nfkc_cf", byte_fallback=True),
    "t5-spaces": dict(model_type="unigram", normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=False),
    "t5-no-prefix": dict(model_type="unigram", normalization_rule_name="identity", add_dummy_prefix=False,
                         remove_extra_whitespaces=False, byte_fallback=True),
}


def write_gguf(path, model):
    proto = model_pb2.ModelProto()
    proto.ParseFromString(model.serialized_model_proto())
    unigram = proto.trainer_spec.model_type == 1
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("t5" if unigram else "llama")
    writer.add_token_list([piece.piece for piece in proto.pieces])
    writer.add_token_scores([piece.score for piece in proto.pieces])
    writer.add_token_types([int(piece.type) for piece in proto.pieces])
    writer.add_unk_token_id(proto.trainer_spec.unk_id)
    writer.add_bos_token_id(proto.trainer_spec.bos_id)
    writer.add_eos_token_id(proto.trainer_spec.eos_id)
    writer.add_add_space_prefix(proto.normalizer_spec.add_dummy_prefix)
    writer.add_remove_extra_whitespaces(proto.normalizer_spec.remove_extra_whitespaces)
    if proto.normalizer_spec.precompiled_charsmap:
        writer.add_precompiled_charsmap(proto.normalizer_spec.precompiled_charsmap)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@pytest.fixture(scope="module", params=MODELS)
def pair(request, medlar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentencepiece")
    prefix = folder / "model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(all_lines(LINES)[1::2]), model_prefix=str(prefix), vocab_size=2000,
        character_coverage=0.98, num_threads=1, minloglevel=2, hard_vocab_limit=False, **MODELS[request.param],
    )
    model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    write_gguf(folder / "model.gguf", model)
    texts = [text for text in all_lines(LINES) if "\0" not in text]
    ours = Ours(medlar, folder / "model.gguf", folder)
    return ours, model, texts, ours.encode([text.encode() for text in texts])


UNIGRAM = [name for name, how in MODELS.items() if how["model_type"] == "unigram"]
BPE = [name for name in MODELS if name not in UNIGRAM]


@pytest.mark.parametrize("pair", BPE, indirect=True)
def test_bpe_gives_the_same_tokens(pair):
    _, model, texts, found = pair
    assert_same(texts, found, model.encode(texts))


@pytest.mark.parametrize("pair", UNIGRAM, indirect=True)
def test_unigram_gives_the_same_tokens_in_some_order(pair):
    _, model, texts, found = pair
    assert_same(texts, [sorted(ids) for ids in found], [sorted(ids) for ids in model.encode(texts)])


@pytest.mark.parametrize("pair", UNIGRAM, indirect=True)
def test_unigram_gives_the_order_of_hugging_face(pair):
    _, model, texts, found = pair
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    has_bytes = any(model.is_byte(i) for i in range(model.get_piece_size()))
    other = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, model.unk_id(), byte_fallback=has_bytes))
    normalized = [model.normalize(text) for text in texts]
    expected = [encoding.ids for encoding in other.encode_batch(normalized, add_special_tokens=False)]
    assert_same(texts, found, expected)


def test_text_comes_back(pair):
    ours, model, texts, ids = pair
    found = [text.decode("utf-8") for text in ours.decode(ids)]
    # The library writes its own sign for what it does not know.
    assert_same(texts, found, [text.replace(" \u2047 ", "<unk>") for text in model.decode(ids)])
