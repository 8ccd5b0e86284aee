"""Ollama's API, asked by the official client."""

import socket

import ollama
import pytest
from server_support import Server

MODEL = "tiny-llama"
HELLO = [{"role": "user", "content": "Hello"}]
FIXED = {"temperature": 0, "ignore_eos": True, "num_predict": 12}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def client(medlar, tiny):
    port = free_port()
    with Server(medlar, tiny("llama"), "--ollama-port", str(port)):
        yield ollama.Client(host=f"http://127.0.0.1:{port}")


def test_models(client):
    assert MODEL in [model.model for model in client.list().models]
    running = client.ps().models[0]
    assert running.context_length == 512 and running.size > 0
    shown = client.show(MODEL + ":latest")
    assert shown.details.family == "llama" and shown.modelinfo["llama.context_length"] == 512
    assert "im_start" in shown.template and shown.capabilities == ["completion", "tools"]


def test_chat(client):
    answer = client.chat(MODEL, HELLO, options=FIXED, keep_alive="5m")
    assert answer.done and answer.done_reason == "length" and answer.eval_count == 12
    assert answer.total_duration > 0 and answer.eval_duration > 0 and answer.prompt_eval_count > 0
    parts = list(client.chat(MODEL, HELLO, options=FIXED, stream=True))
    assert "".join(part.message.content for part in parts) == answer.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]


def test_generate(client):
    answer = client.generate(MODEL, "Hello", options=FIXED, keep_alive=-1)
    assert answer.response == client.chat(MODEL, HELLO, options=FIXED).message.content
    parts = list(client.generate(MODEL, "Hello", system="Be brief", options=FIXED, stream=True))
    assert parts[-1].done and parts[-1].eval_count == 12
    raw = client.generate(MODEL, "Hello", raw=True, options=FIXED)
    assert raw.prompt_eval_count < answer.prompt_eval_count


def test_asking_for_nothing_loads(client):
    assert client.generate(MODEL).done_reason == "load"
    assert client.chat(MODEL).done_reason == "load"


@pytest.mark.parametrize("call, status, expected", [
    (lambda c: c.chat("llama3", HELLO), 404, 'model "llama3" not found'),
    (lambda c: c.show("llama3"), 404, "llama3"),
    (lambda c: c.chat(MODEL, HELLO, options={"num_ctx": 4096}), 400, "num_ctx"),
    (lambda c: c.chat(MODEL, HELLO, options={"top_p": 2}), 400, "options.top_p"),
    (lambda c: c.chat(MODEL, HELLO, format={"type": "thing"}), 400, "format"),
    (lambda c: c.chat(MODEL, [{"role": "user", "content": "x", "images": [b"png"]}]), 400, "messages[0].images"),
    (lambda c: c.generate(MODEL, "x", suffix="y"), 400, "fim_pre"),
    (lambda c: c.generate(MODEL, "x" * 1000), 400, "512"),
])
def test_errors(client, call, status, expected):
    with pytest.raises(ollama.ResponseError) as error:
        call(client)
    assert error.value.status_code == status and expected in error.value.error
