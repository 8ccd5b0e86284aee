"""llama-server's own routes."""

import json
import subprocess
import sys
import time

import pytest
from server_support import Server

FIXED = {"temperature": 0, "ignore_eos": True, "n_predict": 10}


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "3", "--alias", "my-model") as running:
        yield running


def test_health_and_properties(server):
    assert server.json("/health") == {"status": "ok"}
    assert server.request("/")[2] == b"Medlar is running\n"
    props = server.json("/props")
    assert props["total_slots"] == 3 and props["default_generation_settings"]["n_ctx"] == 512
    assert props["default_generation_settings"]["params"]["temperature"] == 0.8
    assert "im_start" in props["chat_template"] and props["model_alias"] == "my-model"
    assert [slot["id"] for slot in server.json("/slots")] == [0, 1, 2]


def test_completion(server):
    whole = server.json("/completion", {"prompt": "one two", **FIXED})
    assert whole["stop"] and whole["stop_type"] == "limit" and whole["tokens_predicted"] == 10
    assert whole["timings"]["predicted_n"] == 10 and whole["tokens_evaluated"] > 0
    status, _, answer = server.request("/completion", {"prompt": "one two", "stream": True, **FIXED})
    parts = [json.loads(line[6:]) for line in answer.decode().split("\n\n") if line.startswith("data: ")]
    assert status == 200 and "".join(part["content"] for part in parts) == whole["content"]
    assert [part["stop"] for part in parts] == [False] * (len(parts) - 1) + [True]
    probabilities = server.json("/completion", {"prompt": "one two", "n_probs": 4, **FIXED})
    assert len(probabilities["completion_probabilities"]) == 10


def test_a_stopping_word_is_named(server):
    text = server.json("/completion", {"prompt": "one two", **FIXED | {"n_predict": 40}})["content"]
    stop = next(text[i : i + 2] for i in range(5, len(text)) if text[i : i + 2].isascii())
    answer = server.json("/completion", {"prompt": "one two", "stop": [stop], **FIXED | {"n_predict": 40}})
    assert answer["stop_type"] == "word" and answer["stopping_word"] == stop
    assert answer["content"] == text.split(stop)[0]


def test_tokens_and_text(server, medlar, tiny):
    for text in ["Hello, world", "naïve 漢字 🙂", "<|im_start|>user", "", " \n\t "]:
        tokens = server.json("/tokenize", {"content": text})["tokens"]
        assert server.json("/detokenize", {"tokens": tokens})["content"] == text
    assert len(server.json("/tokenize", {"content": "<|im_start|>"})["tokens"]) == 1
    assert len(server.json("/tokenize", {"content": "<|im_start|>", "parse_special": False})["tokens"]) > 1
    pieces = server.json("/tokenize", {"content": "ab", "with_pieces": True})["tokens"]
    assert "".join(piece["piece"] for piece in pieces) == "ab"
    assert server.json("/detokenize", {"tokens": [10**6]}, status=400)["error"]["message"]


def test_a_prompt_of_texts_and_tokens(server):
    tokens = server.json("/tokenize", {"content": " two"})["tokens"]
    mixed = server.json("/completion", {"prompt": ["one", *tokens], **FIXED})
    assert mixed["content"] == server.json("/completion", {"prompt": "one two", **FIXED})["content"]


def test_template(server):
    prompt = server.json("/apply-template", {"messages": [{"role": "user", "content": "Hello"}]})["prompt"]
    assert "Hello" in prompt and prompt.rstrip().endswith("assistant")


def test_a_model_without_a_template_completes_only(medlar, tiny, tmp_path):
    path = tmp_path / "plain.gguf"
    subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--force", "--remove-metadata",
                    "tokenizer.chat_template", tiny("llama"), path], check=True, capture_output=True)
    with Server(medlar, path) as server:
        error = server.json("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}, status=400)
        assert error["error"]["code"] == "no_chat_template"
        assert server.json("/v1/completions", {"prompt": "x", "max_tokens": 3})["choices"][0]["text"] is not None


def test_metrics_count(server):
    def values():
        lines = server.request("/metrics")[2].decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}

    before = values()
    server.json("/completion", {"prompt": "quite another prompt", **FIXED})
    server.json("/nothing", status=404)
    after = values()
    for _ in range(50):  # the answer is there a moment before the scheduler has put the request away
        if after["medlar_requests_active"] == 0:
            break
        time.sleep(0.1)
        after = values()

    def grown(name):
        return after[name] - before.get(name, 0)

    assert grown("medlar_generated_tokens_total") == 10
    assert grown("medlar_time_to_first_token_seconds_count") == 1
    assert grown('medlar_requests_total{method="POST",route="/completion",status="200"}') == 1
    assert grown('medlar_requests_total{method="GET",route="?",status="404"}') == 1
    assert after['medlar_memory_bytes{category="weights"}'] > 100_000
    assert after["medlar_requests_active"] == 0


@pytest.mark.parametrize("body, expected", [
    ({"prompt": 5}, "prompt"), ({}, "prompt"), ({"prompt": ["a", 10**9]}, "prompt[1]"), ({"prompt": [None]}, "prompt[0]"),
    ({"prompt": ""}, "empty"), ({"prompt": "x", "n_probs": 101}, "n_probs"), ({"prompt": "x", "grammar": "root ::= x"}, "grammar"),
    ({"prompt": "x", "json_schema": {"type": "thing"}}, "json_schema"), ({"prompt": "x", "mirostat": 3}, "mirostat"),
])
def test_errors(server, body, expected):
    error = server.json("/completion", body, status=400)["error"]
    assert error["code"] == 400 and expected in error["message"]


def test_the_document_describes_every_field_that_errors_name(server):
    document = server.json("/openapi.json")
    assert document["openapi"] == "3.1.0"
    schema = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["messages"]
    for name, field in schema["properties"].items():
        wrong = {"messages": [{"role": "user", "content": "x"}], name: [[[{}]]]}
        answer = server.request("/v1/chat/completions", wrong)
        assert answer[0] == 400 and name in json.loads(answer[2])["error"]["message"], (name, field, answer)
