"""Filling in the middle, and adapters, of which there are none."""

import ollama
import openai
import pytest
from gguf_support import derive
from server_support import Server

FIXED = {"temperature": 0, "ignore_eos": True, "n_predict": 12}
PRE, SUF, MID, REP, FILE = 260, 261, 262, 263, 264
KEYS = {f"tokenizer.ggml.fim_{name}_token_id": token
        for name, token in {"pre": PRE, "suf": SUF, "mid": MID, "rep": REP, "sep": FILE}.items()}


@pytest.fixture(scope="module")
def server(medlar, tiny, tmp_path_factory):
    path = derive(tiny("llama"), tmp_path_factory.mktemp("fim") / "tiny-code.gguf", KEYS)
    with Server(medlar, path) as running:
        yield running


@pytest.fixture(scope="module")
def plain(medlar, tiny):
    with Server(medlar, tiny("llama")) as running:
        yield running


def ids(server, text):
    return server.json("/tokenize", {"content": text, "parse_special": False})["tokens"]


@pytest.mark.parametrize("before, begun, after", [
    ("def f(x):\n    ", "", "\n    return y\n"), ("", "", "b"), ("a", "", ""), ("a", "bc", "d <|im_end|> e"),
])
def test_infill_is_prefix_suffix_middle(server, before, begun, after):
    got = server.json("/infill", {"input_prefix": before, "input_suffix": after, "prompt": begun, **FIXED})
    prompt = [PRE, *ids(server, before + begun), SUF, *ids(server, after), MID]
    assert got["content"] == server.json("/completion", {"prompt": prompt, **FIXED})["content"]
    assert got["tokens_evaluated"] == len(prompt)
    if after and not begun:
        body = {"prompt": before, "suffix": after, "model": "tiny-code"}
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
        completion = client.completions.create(**body, max_tokens=12, temperature=0, extra_body={"ignore_eos": True})
        assert completion.choices[0].text == got["content"]
        if before:
            answer = ollama.Client(host=server.url).generate(
                **body, options={"temperature": 0, "ignore_eos": True, "num_predict": 12}
            )
            assert answer.response == got["content"] and answer.prompt_eval_count == len(prompt)


def test_extra_texts_come_first(server):
    extra = [{"filename": "a.py", "text": "x = 1"}, {"filename": "b.py", "text": "y = 2"}]
    body = {"input_prefix": "p", "input_suffix": "s", "input_extra": extra, **FIXED}
    prompt = [REP, *ids(server, "repository\n"), FILE, *ids(server, "a.py\nx = 1\n"), FILE,
              *ids(server, "b.py\ny = 2\n"), FILE, *ids(server, "file\n"), PRE, *ids(server, "p"), SUF,
              *ids(server, "s"), MID]
    assert server.json("/infill", body)["content"] == server.json("/completion", {"prompt": prompt, **FIXED})["content"]
    body["input_extra"] = [{"filename": "a.py"}]
    assert "input_extra[0].text" in server.json("/infill", body, status=400)["error"]["message"]


def test_streams_and_tokens(server):
    body = {"input_prefix": "p", "input_suffix": "s", "stream": True, **FIXED}
    assert b'"stop":true' in server.request("/infill", body)[2]
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
    options = {"max_tokens": 12, "temperature": 0, "extra_body": {"ignore_eos": True}, "model": "tiny-code"}
    by_tokens = client.completions.create(prompt=[112], suffix="s", **options).choices[0].text
    assert by_tokens == client.completions.create(prompt="p", suffix="s", **options).choices[0].text


def test_nothing_is_cut(server):
    error = server.json("/infill", {"input_prefix": "p" * 400, "input_suffix": "s" * 200}, status=400)["error"]
    assert error["n_prompt_tokens"] == 603 and error["n_ctx"] == 512


def test_a_model_without_the_tokens_says_so(plain):
    for path, body in [("/infill", {"input_prefix": "p", "input_suffix": "s"}),
                       ("/v1/completions", {"prompt": "p", "suffix": "s"}),
                       ("/api/generate", {"model": "tiny-llama", "prompt": "p", "suffix": "s"})]:
        error = plain.json(path, body, status=400)["error"]
        assert "fim_pre" in (error if isinstance(error, str) else error["message"])


def test_adapters(plain):
    assert plain.json("/lora-adapters") == []
    assert plain.json("/lora-adapters", []) == {"success": True}
    assert plain.json("/lora-adapters", [{"id": 0, "scale": 0}]) == {"success": True}
    error = plain.json("/lora-adapters", [{"id": 3, "scale": 0.5}], status=404)["error"]
    assert "adapter 3" in error["message"]
    assert "[0].scale" in plain.json("/lora-adapters", [{"id": 3}], status=400)["error"]["message"]
    plain.json("/lora-adapters", {"id": 3}, status=400)
    body = {"prompt": "a", "max_tokens": 1}
    plain.json("/v1/completions", body | {"lora": []})
    error = plain.json("/v1/completions", body | {"lora": [{"id": 1, "scale": 1.0}]}, status=404)["error"]
    assert error["param"] == "lora[0].id" and "adapter 1" in error["message"]
    plain.json("/completion", body | {"lora": [{"id": 1, "scale": 1.0}]}, status=404)


def test_waiting_too_long_is_told_with_numbers(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "1", context=8192) as server:
        with server.connect() as busy:
            body = b'{"prompt": "a", "stream": true, "ignore_eos": true, "max_tokens": 8000}'
            busy.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(body), body))
            assert busy.recv(12) == b"HTTP/1.1 200"
            status, headers, answer = server.request("/v1/completions", {"prompt": "b", "queue_timeout": 0.2})
        assert status == 503 and headers["retry-after"]
        assert b"0.2 s" in answer and b"1 are being answered" in answer
    with Server(medlar, tiny("llama"), "--queue-timeout", "60") as server:
        server.json("/v1/completions", {"prompt": "b", "max_tokens": 2})
