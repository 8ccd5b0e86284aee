"""Embeddings: vectors against Transformers' hidden states, asked for by the official clients."""

import base64
import json
import threading
import time

import golden
import numpy as np
import ollama
import openai
import pytest
from gguf_support import derive
from server_support import Server

POOLINGS = {"none": 0, "mean": 1, "cls": 2, "last": 3}


def hidden(name):
    return np.load(golden.FOLDER / f"tiny-{name}-hidden.npy")


def tokens(name):
    return json.loads((golden.FOLDER / f"tiny-{name}.json").read_text())["tokens"]


def unit(vector):
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--exact", "--parallel", "2") as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def ollama_client(server):
    return ollama.Client(host=server.url)


def vectors(client, **arguments):
    answer = client.embeddings.create(model="tiny-llama", **arguments)
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    return np.array([item.embedding for item in answer.data])


@pytest.mark.parametrize("device", ["cpu", "emulator"])
@pytest.mark.parametrize("name", golden.HIDDEN)
def test_hidden_states_are_transformers_own(medlar, tiny, name, device):
    with Server(medlar, tiny(name), "--exact", "--pooling", "none", "--device", device) as server:
        answer = server.json("/embedding", {"content": tokens(name)})
    actual = np.array(answer[0]["embedding"])
    expected = hidden(name)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 2e-3 * np.abs(expected).max()
    assert (unit(actual) * unit(expected)).sum(-1).min() > 1 - 1e-6


@pytest.mark.parametrize("device", ["cpu", "emulator"])
@pytest.mark.parametrize("name", golden.ENCODERS)
def test_hidden_states_of_encoders(medlar, name, device):
    stem = golden.FOLDER / f"encoder-{name}"
    content = json.loads(stem.with_suffix(".json").read_text())["tokens"]
    expected = np.load(stem.with_suffix(".npy"))[: len(content)]
    path = stem.with_suffix(".gguf")
    with Server(medlar, path, "--exact", "--pooling", "none", "--device", device, context=96) as server:
        answer = server.json("/embedding", {"content": content})
    actual = np.array(answer[0]["embedding"])
    assert np.abs(actual - expected).max() < 2e-3 * np.abs(expected).max()
    with Server(medlar, path, "--device", device, context=96) as server:
        answer = server.json("/embedding", {"content": content})
    assert (unit(np.array(answer[0]["embedding"][0])) * unit(expected.mean(0))).sum() > 0.998


def test_an_encoder_writes_nothing(medlar):
    with Server(medlar, golden.FOLDER / "encoder-bert.gguf", context=96) as server:
        error = server.json("/v1/completions", {"prompt": "a"}, status=400)["error"]
    assert "embeds texts and writes none" in error["message"]


@pytest.mark.parametrize("name", golden.HIDDEN)
def test_hidden_states_in_the_default_mode(medlar, tiny, name):
    with Server(medlar, tiny(name)) as server:
        answer = server.json("/embedding", {"content": tokens(name)})
    actual = unit(np.array(answer[0]["embedding"][0]))
    assert (actual * unit(hidden(name)[-1])).sum() > 0.998


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("given", ["file", "flag"])
def test_poolings(medlar, tiny, tmp_path, pooling, given):
    path, options = tiny("qwen3"), ["--pooling", pooling]
    if given == "file":
        path = derive(path, tmp_path / "pooled.gguf", {"qwen3.pooling_type": POOLINGS[pooling]})
        options = []
    states = hidden("qwen3")
    expected = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling]
    with Server(medlar, path, "--exact", *options) as server:
        for norm, size in [(-1, 1), (2, np.linalg.norm(expected)), (1, np.abs(expected).sum()),
                           (0, np.abs(expected).max() / 32760), (3, (np.abs(expected) ** 3).sum() ** (1 / 3))]:
            body = {"content": tokens("qwen3"), "embd_normalize": norm}
            actual = np.array(server.json("/embeddings", body)[0]["embedding"])
            assert actual.shape == (1, len(expected))
            assert np.abs(actual[0] - expected / size).max() < 2e-3 * np.abs(expected / size).max()


def test_openai(client, server):
    ids = tokens("llama")
    expected = unit(hidden("llama")[-1])
    one = vectors(client, input=ids)  # this client asks for base64 by itself
    assert np.abs(one[0] - expected).max() < 1e-5
    both = vectors(client, input=[ids, ids[:10]], encoding_format="float")
    assert np.abs(both - np.array([expected, unit(hidden("llama")[9])])).max() < 1e-5
    texts = vectors(client, input=["one", "two", "Caf\u00e9 \u2615"])
    spelled = [server.json("/tokenize", {"content": text})["tokens"] for text in ("one", "two", "Caf\u00e9 \u2615")]
    assert np.abs(texts - vectors(client, input=spelled)).max() < 1e-5
    assert np.abs(np.linalg.norm(texts, axis=1) - 1).max() < 1e-5


def test_base64_is_of_floats(server):
    body = {"input": tokens("llama"), "model": "tiny-llama"}
    plain = server.json("/v1/embeddings", body)
    coded = server.json("/v1/embeddings", body | {"encoding_format": "base64"})
    decoded = np.frombuffer(base64.b64decode(coded["data"][0]["embedding"]), "<f4")
    assert decoded.tolist() == np.array(plain["data"][0]["embedding"], np.float32).tolist()
    assert plain["usage"] == {"prompt_tokens": 96, "total_tokens": 96} and plain["model"] == "tiny-llama"


def test_dimensions(client):
    ids = tokens("llama")
    expected = unit(hidden("llama")[-1][:7])
    assert np.abs(vectors(client, input=ids, dimensions=7)[0] - expected).max() < 1e-5
    with pytest.raises(openai.BadRequestError, match="48") as error:
        vectors(client, input=ids, dimensions=49)
    assert error.value.body["param"] == "dimensions"


@pytest.mark.parametrize("value, param", [
    ("", "input"), ([], "input"), (["a", ""], "input[1]"), ([[]], "input[0]"), ([[1], [280]], "input[1][0]"),
    ([-1], "input[0]"), (5, "input"), ({"a": 1}, "input"), ([{"a": 1}], "input[0]"), ([1, "a"], "input[1]"),
    (["a", None], "input[1]"), (None, "input"), (["a"] * 5000, "input"),
])
def test_errors_name_the_field(server, value, param):
    error = server.json("/v1/embeddings", {"input": value}, status=400)["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error"


def test_what_does_not_fit_is_an_error_with_the_numbers(client):
    with pytest.raises(openai.BadRequestError) as error:
        vectors(client, input=["short", "x" * 600])
    body = error.value.body
    assert body["code"] == "context_length_exceeded" and body["param"] == "input[1]"
    assert body["n_prompt_tokens"] == 600 and body["n_ctx"] == 512 and body["largest_context"] == 512
    assert "600" in body["message"] and "512" in body["message"]


def test_truncation_is_asked_for_and_told(server):
    ids = tokens("llama") * 7
    body = {"input": [ids[:3], ids], "truncate": True}
    status, headers, answer = server.request("/v1/embeddings", body)
    answer = json.loads(answer)
    assert status == 200 and headers["x-medlar-dropped-tokens"] == str(len(ids) - 512)
    assert answer["medlar"]["dropped"] == [{"input": 1, "begin": 512, "end": len(ids)}]
    assert answer["usage"]["prompt_tokens"] == 515
    kept = server.json("/v1/embeddings", {"input": [ids[:3], ids[:512]]})
    assert kept["data"] == answer["data"] and "medlar" not in kept


def test_truncation_leaves_the_end_token(medlar, tiny, tmp_path):
    """Embedding models end every text with a token that was trained to hold its meaning."""
    path = derive(tiny("qwen3"), tmp_path / "ends.gguf",
                  {"tokenizer.ggml.add_eos_token": True, "tokenizer.ggml.eos_token_id": 257})
    with Server(medlar, path, "--exact", context=64) as server:
        exact = server.json("/v1/embeddings", {"input": [*b"a" * 63, 257]})
        text = server.json("/v1/embeddings", {"input": "a" * 63})
        cut = server.json("/v1/embeddings", {"input": "a" * 80, "truncate": True})
        assert exact["data"] == text["data"] == cut["data"]
        assert cut["medlar"]["dropped"] == [{"input": 0, "begin": 63, "end": 80}]


def test_ollama(ollama_client, client):
    expected = vectors(client, input=["one", "two"])
    answer = ollama_client.embed("tiny-llama", ["one", "two"], keep_alive="5m")
    assert np.abs(np.array(answer.embeddings) - expected).max() < 1e-5
    assert answer.prompt_eval_count == 6 and answer.total_duration > 0
    assert np.abs(np.array(ollama_client.embed("tiny-llama", "one").embeddings) - expected[:1]).max() < 1e-5
    assert np.array(ollama_client.embed("tiny-llama", "one", dimensions=5).embeddings).shape == (1, 5)
    older = np.array(ollama_client.embeddings("tiny-llama", "one").embedding)
    assert np.abs(unit(older) - expected[0]).max() < 1e-5
    assert ollama_client.embed("tiny-llama", "").embeddings == []


def test_ollama_truncates_only_when_asked(ollama_client, server):
    for options in ({}, {"truncate": False}, {"options": {"num_ctx": 100}}):
        with pytest.raises(ollama.ResponseError, match="600") as error:
            ollama_client.embed("tiny-llama", "x" * 600, **options)
        assert error.value.status_code == 400
    body = {"model": "tiny-llama", "input": "x" * 600, "truncate": True, "options": {"num_ctx": 100}}
    assert server.json("/api/embed", body)["medlar"]["dropped"] == [{"input": 0, "begin": 100, "end": 600}]
    older = {"model": "tiny-llama", "prompt": "x" * 600}
    assert "600" in server.json("/api/embeddings", older, status=400)["error"]
    assert server.json("/api/embeddings", older | {"truncate": True})["medlar"]["dropped"][0]["begin"] == 512


def test_vectors_of_tokens_are_no_openai_embedding(medlar, tiny):
    with Server(medlar, tiny("llama"), "--pooling", "none") as server:
        assert "pooling" in server.json("/v1/embeddings", {"input": "a"}, status=400)["error"]["message"]
        assert len(server.json("/embedding", {"content": "abcde"})[0]["embedding"]) == 5


def test_long_inputs_hold_nobody_up(medlar, server):
    """A stream goes on, and a short text is answered, while 800 long ones are read."""
    done = {}

    def ask(name, body):
        done[name] = (server.request("/v1/embeddings", body)[0], time.monotonic())

    ids = (tokens("llama") * 6)[:512]
    many = threading.Thread(target=ask, args=("many", {"input": [ids] * (40 if medlar.sanitized else 800)}))
    many.start()
    time.sleep(0.05)
    body = {"prompt": "a", "temperature": 0, "ignore_eos": True, "max_tokens": 50}
    server.json("/v1/completions", body)
    ask("one", {"input": "short"})
    many.join()
    assert done["many"][0] == done["one"][0] == 200
    assert done["one"][1] < done["many"][1]


def test_a_client_that_leaves_frees_the_embedder(server):
    ids = (tokens("llama") * 6)[:512]
    body = json.dumps({"input": [ids] * 2000}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(3):
        with server.connect() as connection:
            connection.sendall(head.encode() + body)
            time.sleep(0.2)
    start = time.monotonic()
    server.json("/v1/embeddings", {"input": "short"})
    assert time.monotonic() - start < 20
