"""Reranking, against the scores that Transformers gives (tests/goldens/make_rerank.py)."""

import json

import golden
import pytest
from gguf_support import derive
from server_support import Server

GOLDEN = json.loads((golden.FOLDER / "rerank.json").read_text())
QUERIES = {}
for _pair in GOLDEN["pairs"]:
    QUERIES.setdefault(_pair["query"], []).append(_pair)
RANK = 4


@pytest.fixture(scope="module")
def yes_no(medlar, tiny, tmp_path_factory):
    keys = {
        "qwen3.pooling_type": RANK,
        "qwen3.classifier.output_labels": ["yes", "no"],
        "tokenizer.chat_template.rerank": GOLDEN["prompt"],
    }
    path = tmp_path_factory.mktemp("rerank") / "tiny-reranker.gguf"
    derive(tiny("qwen3"), path, keys, {"cls.output.weight": GOLDEN["yes_no_head"]})
    with Server(medlar, path, "--exact") as server:
        yield server


@pytest.fixture(scope="module")
def number(medlar, tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("rerank") / "tiny-classifier.gguf"
    derive(tiny("qwen2"), path, {"qwen2.pooling_type": RANK}, {"cls.output.weight": GOLDEN["number_head"]})
    with Server(medlar, path, "--exact") as server:
        yield server


@pytest.mark.parametrize("head", ["yes_no", "number"])
@pytest.mark.parametrize("path", ["/rerank", "/reranking", "/v1/rerank", "/v1/reranking"])
def test_scores_are_transformers_own(request, head, path):
    server = request.getfixturevalue(head)
    for query, pairs in QUERIES.items():
        answer = server.json(path, {"query": query, "documents": [pair["document"] for pair in pairs]})
        assert answer["object"] == "list" and answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
        got = {result["index"]: result["relevance_score"] for result in answer["results"]}
        assert got == pytest.approx({i: pair[head] for i, pair in enumerate(pairs)}, rel=1e-3, abs=1e-4)
        scores = [result["relevance_score"] for result in answer["results"]]
        assert scores == sorted(scores, reverse=True)


def test_options(yes_no):
    query, pairs = next(iter(QUERIES.items()))
    documents = [pair["document"] for pair in pairs]
    best = max(range(len(pairs)), key=lambda i: pairs[i]["yes_no"])
    body = {"query": query, "documents": [{"text": text} for text in documents], "model": "tiny-reranker"}
    first = yes_no.json("/v1/rerank", body | {"top_n": 1, "return_documents": True})["results"]
    assert [(r["index"], r["document"]["text"]) for r in first] == [(best, documents[best])]
    assert yes_no.json("/v1/rerank", body | {"top_n": 0})["results"] == []
    plain = yes_no.json("/rerank", {"query": query, "texts": documents, "return_text": True})
    assert plain[0]["index"] == best and plain[0]["text"] == documents[best] and len(plain) == len(documents)


@pytest.mark.parametrize("change, param", [
    ({"query": None}, "query"), ({"query": 5}, "query"), ({"documents": []}, "documents"),
    ({"documents": None}, "documents"), ({"documents": ["a", 5]}, "documents[1]"),
    ({"documents": [{"title": "x"}]}, "documents[0].text"), ({"top_n": -1}, "top_n"), ({"top_n": "x"}, "top_n"),
])
def test_errors_name_the_field(yes_no, change, param):
    error = yes_no.json("/v1/rerank", {"query": "a", "documents": ["b"]} | change, status=400)["error"]
    assert param in error["message"]


def test_what_does_not_fit(yes_no):
    body = {"query": "a", "documents": ["b", "\u00e9" * 400]}
    error = yes_no.json("/v1/rerank", body, status=400)["error"]
    assert "documents[1]" in error["message"] and "512" in error["message"] and error["n_ctx"] == 512
    answer = yes_no.json("/v1/rerank", body | {"truncate": True})
    dropped = answer["medlar"]["dropped"]
    assert [item["input"] for item in dropped] == [1] and dropped[0]["end"] == error["n_prompt_tokens"]
    assert dropped[0]["begin"] in (511, 512)  # a character of two bytes stays whole
    shorter = "\u00e9" * (400 - (dropped[0]["end"] - dropped[0]["begin"]) // 2)
    same = yes_no.json("/v1/rerank", {"query": "a", "documents": ["b", shorter]})
    assert same["results"] == answer["results"]


def test_a_reranker_has_no_embeddings(yes_no):
    assert "rank" in yes_no.json("/v1/embeddings", {"input": "a"}, status=400)["error"]["message"]


def test_a_model_that_cannot_rank_says_so(medlar, tiny, tmp_path):
    with Server(medlar, tiny("llama")) as server:
        for path in ("/rerank", "/v1/rerank"):
            error = server.json(path, {"query": "a", "documents": ["b"]}, status=400)["error"]
            assert "cls.output.weight" in error["message"]


@pytest.mark.parametrize("keys, tensors, expected", [
    ({"qwen2.pooling_type": RANK}, {}, "cls.output.weight"),
    ({"qwen2.pooling_type": RANK}, {"cls.output.weight": [[1.0] * 3]}, "cls.output.weight"),
    ({"qwen2.pooling_type": RANK}, {"cls.output.weight": [[1.0] * 40], "cls.weight": [[1.0] * 40]}, "cls.weight"),
    ({"qwen2.pooling_type": RANK}, {"cls.output.weight": [[1.0] * 40], "cls.output.bias": [1.0, 2.0]}, "bias"),
    ({"qwen2.pooling_type": RANK, "qwen2.classifier.output_labels": ["a", "b"]},
     {"cls.output.weight": [[1.0] * 40]}, "output_labels"),
    ({"qwen2.pooling_type": 9}, {}, "pooling_type"),
])
def test_damaged_heads_are_named(medlar, tiny, tmp_path, keys, tensors, expected):
    path = derive(tiny("qwen2"), tmp_path / "bad.gguf", keys, tensors)
    assert expected in medlar.fail("serve", path, "--port", 0)
