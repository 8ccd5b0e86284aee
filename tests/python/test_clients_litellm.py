"""LiteLLM, unmodified, by each of the protocols that it can speak to this server."""

import json
import os

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its price list from the network

import litellm  # noqa: E402
from client_support import HELLO, MODEL, TOOL, is_forecast  # noqa: E402
from server_support import Server  # noqa: E402

litellm.telemetry = False
litellm.suppress_debug_info = True


@pytest.fixture(scope="module")
def url(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "4", context=2048) as running:
        yield running.url


@pytest.fixture(params=["openai", "ollama_chat", "anthropic"])
def protocol(request, url):
    """(name, arguments of litellm.completion)"""
    base = url + "/v1" if request.param == "openai" else url
    arguments = {"model": f"{request.param}/{MODEL}", "api_base": base, "api_key": "none", "messages": HELLO,
                 "temperature": 0, "max_tokens": 12, "num_retries": 0}  # fmt: skip
    return request.param, arguments


def test_chat(protocol):
    name, arguments = protocol
    answer = litellm.completion(**arguments)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert 0 < answer.usage.completion_tokens <= 12 and answer.usage.prompt_tokens > 0
    assert litellm.completion(**arguments).choices[0].message.content == answer.choices[0].message.content


def test_the_stream_says_what_the_whole_answer_says(protocol):
    name, arguments = protocol
    whole = litellm.completion(**arguments).choices[0].message.content
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**arguments, stream=True)]
    assert "".join(pieces) == whole


def test_completion_of_a_text(url):
    answer = litellm.text_completion(model=f"text-completion-openai/{MODEL}", prompt="one two", max_tokens=6,
                                     temperature=0, api_base=url + "/v1", api_key="none")  # fmt: skip
    assert answer.choices[0].text and answer.usage.completion_tokens <= 6


def test_errors(protocol):
    name, arguments = protocol
    with pytest.raises(litellm.exceptions.NotFoundError if name != "ollama_chat" else Exception, match=MODEL):
        litellm.completion(**(arguments | {"model": f"{name}/nobody"}))
    with pytest.raises(Exception, match="2048") as error:
        litellm.completion(**(arguments | {"messages": [{"role": "user", "content": "x" * 5000}]}))
    assert not isinstance(error.value, litellm.exceptions.InternalServerError)


def test_tools(protocol):
    name, arguments = protocol
    if name == "ollama_chat":
        pytest.skip("Ollama's API knows no tool_choice, and a random model calls no tool by itself")
    answer = litellm.completion(**(arguments | {"max_tokens": 400}), tools=[TOOL], tool_choice="required", parallel_tool_calls=False)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "forecast" and is_forecast(json.loads(call.function.arguments))
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_schema(protocol):
    name, arguments = protocol
    if name == "anthropic":
        pytest.skip("LiteLLM asks Anthropic for a schema by a tool, which test_tools covers")
    schema = TOOL["function"]["parameters"]
    format = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": schema, "strict": True}}
    answer = litellm.completion(**(arguments | {"max_tokens": 400}), response_format=format)
    assert is_forecast(json.loads(answer.choices[0].message.content))


def test_embeddings(url):
    answer = litellm.embedding(model=f"openai/{MODEL}", input=["one", "two"], api_base=url + "/v1", api_key="none")
    assert len(answer.data) == 2 and answer.data[0]["embedding"] != answer.data[1]["embedding"]
