"""Anthropic's API, asked by the official client."""

import anthropic
import pytest
from server_support import Server

MODEL = "tiny-llama"
HELLO = [{"role": "user", "content": "Hello"}]
FIXED = {"model": MODEL, "extra_body": {"temperature": 0, "ignore_eos": True}}


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--api-key", "secret") as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return anthropic.Anthropic(base_url=server.url, api_key="secret", max_retries=0)


def test_a_message(client):
    message = client.messages.create(messages=HELLO, max_tokens=8, **FIXED)
    assert message.role == "assistant" and message.content[0].type == "text" and message.content[0].text
    assert message.stop_reason == "max_tokens" and message.stop_sequence is None
    assert message.usage.output_tokens == 8
    counted = client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens
    assert message.usage.input_tokens + message.usage.cache_read_input_tokens == counted
    again = client.messages.create(messages=HELLO, max_tokens=8, **FIXED)
    assert again.content == message.content and again.usage.cache_read_input_tokens == counted - 1


def test_a_stream(client):
    whole = client.messages.create(messages=HELLO, max_tokens=20, system="Be brief", **FIXED)
    with client.messages.stream(messages=HELLO, max_tokens=20, system=[{"type": "text", "text": "Be brief"}],
                                **FIXED) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert final.content[0].text == whole.content[0].text
    assert final.stop_reason == "max_tokens" and final.usage.output_tokens == 20
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert [kind for kind in kinds if kind.startswith("content_block_") and not kind.endswith("delta")] == [
        "content_block_start", "content_block_stop"]


def test_a_stop_sequence_is_named(client):
    text = client.messages.create(messages=HELLO, max_tokens=40, **FIXED).content[0].text
    stop = next(text[i : i + 2] for i in range(5, len(text)) if text[i : i + 2].isascii())
    message = client.messages.create(messages=HELLO, max_tokens=40, stop_sequences=["§", stop], **FIXED)
    assert message.stop_reason == "stop_sequence" and message.stop_sequence == stop
    assert message.content[0].text == text.split(stop)[0]


def test_an_assistants_last_message_is_continued(client, server):
    messages = [*HELLO, {"role": "assistant", "content": "My name is"}]
    prompt = server.json("/apply-template", {"messages": HELLO}, headers={"x-api-key": "secret"})["prompt"]
    tokens = server.json("/tokenize", {"content": prompt + "My name is"}, headers={"x-api-key": "secret"})["tokens"]
    assert client.messages.count_tokens(model=MODEL, messages=messages).input_tokens == len(tokens)


@pytest.mark.parametrize("arguments, expected", [
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"system": 5}, "system"),
    ({"messages": [{"role": "user", "content": "x" * 1000}]}, "512"),
])
def test_errors(client, arguments, expected):
    with pytest.raises(anthropic.BadRequestError) as error:
        client.messages.create(**({"model": MODEL, "messages": HELLO, "max_tokens": 5} | arguments))
    assert error.value.body["type"] == "error"
    assert error.value.body["error"]["type"] == "invalid_request_error"
    assert expected in error.value.body["error"]["message"]


def test_wrong_names_and_keys(client, server):
    with pytest.raises(anthropic.NotFoundError, match=MODEL):
        client.messages.create(model="claude", messages=HELLO, max_tokens=5)
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=server.url, api_key="wrong", max_retries=0).messages.create(
            model=MODEL, messages=HELLO, max_tokens=5)
    assert server.json("/v1/messages", {"messages": HELLO}, status=400, headers={"x-api-key": "secret"})["error"][
        "message"].startswith("model: is required")
