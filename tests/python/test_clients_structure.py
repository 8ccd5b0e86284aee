"""Tools, schemas, reasoning and embeddings, asked by OpenAI's official client."""

import json

import jsonschema
import openai
import pytest
from client_support import HELLO, MODEL, SCHEMA, TOOL, is_forecast
from server_support import Server

# Greedy, and it ends where the grammar ends.
GREEDY = {"model": MODEL, "temperature": 0, "max_tokens": 400}


@pytest.fixture(scope="module")
def client(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "4", context=4096) as running:
        yield openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0)


def ask(client, **arguments):
    return client.chat.completions.create(**{**GREEDY, "messages": HELLO, **arguments})


def test_a_required_tool_is_called(client):
    choice = ask(client, tools=[TOOL], tool_choice="required").choices[0]
    assert choice.finish_reason == "tool_calls"
    for call in choice.message.tool_calls:
        assert call.type == "function" and call.id and call.function.name == "forecast"
        assert is_forecast(json.loads(call.function.arguments))
    assert len({call.id for call in choice.message.tool_calls}) == len(choice.message.tool_calls)


def test_a_named_tool_is_called(client):
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}
    named = {"type": "function", "function": {"name": "forecast"}}
    message = ask(client, tools=[other, TOOL], tool_choice=named).choices[0].message
    assert {call.function.name for call in message.tool_calls} == {"forecast"}


def test_without_parallel_calls_there_is_one(client):
    message = ask(client, tools=[TOOL], tool_choice="required", parallel_tool_calls=False).choices[0].message
    assert len(message.tool_calls) == 1


def test_no_tool_is_called_where_none_is_chosen(client):
    message = ask(client, tools=[TOOL], tool_choice="none", max_tokens=10).choices[0].message
    assert not message.tool_calls


def test_streamed_calls_add_up_to_the_whole_ones(client):
    arguments = {"tools": [TOOL], "tool_choice": "required"}
    whole = ask(client, **arguments).choices[0].message.tool_calls
    calls, reason = {}, None
    for chunk in ask(client, **arguments, stream=True):
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": None, "name": "", "arguments": ""})
                if delta.id:
                    assert call["id"] is None, "an id comes once"
                    call["id"] = delta.id
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
    assert reason == "tool_calls"
    assert [(c["name"], json.loads(c["arguments"])) for _, c in sorted(calls.items())] == [
        (c.function.name, json.loads(c.function.arguments)) for c in whole]  # fmt: skip
    assert all(call["id"] for call in calls.values())


def test_a_tools_answer_is_taken(client):
    call = ask(client, tools=[TOOL], tool_choice="required").choices[0].message.tool_calls[0]
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    assert ask(client, tools=[TOOL], messages=messages, max_tokens=10).usage.completion_tokens > 0


@pytest.mark.parametrize("strict", [True, False])
def test_a_schema_is_kept(client, strict):
    format = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": SCHEMA, "strict": strict}}
    choice = ask(client, response_format=format).choices[0]
    jsonschema.validate(json.loads(choice.message.content), SCHEMA)
    assert choice.finish_reason == "stop"


def test_a_streamed_schema_is_kept(client):
    format = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": SCHEMA, "strict": True}}
    text = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, response_format=format, stream=True)
                   if chunk.choices)  # fmt: skip
    jsonschema.validate(json.loads(text), SCHEMA)


def test_an_unsupported_keyword_is_named(client):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "unevaluatedProperties": {"$dynamicRef": "#x"}}
    format = {"type": "json_schema", "json_schema": {"name": "odd", "schema": schema, "strict": True}}
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, response_format=format)
    assert "unevaluatedProperties" in error.value.body["message"] or "$dynamicRef" in error.value.body["message"]


@pytest.mark.parametrize("arguments, param", [
    ({"tools": 5}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0]"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": "perhaps"}, "tool_choice"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"response_format": {"type": "poem"}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
])
def test_a_wrong_demand_is_named(client, arguments, param):
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, **arguments)
    assert error.value.body["param"].startswith(param)


def test_reasoning_is_kept_apart(client):
    answer = ask(client, reasoning_effort="low", max_tokens=20)
    message = answer.choices[0].message
    assert "<think>" not in (message.content or "")


@pytest.mark.parametrize("format", ["float", "base64"])
def test_embeddings(client, format):
    texts = ["one", "two words", "one"]
    answer = client.embeddings.create(model=MODEL, input=texts, encoding_format=format)
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens > 0
    if format == "float":
        vectors = [item.embedding for item in answer.data]
        assert len({len(vector) for vector in vectors}) == 1 and vectors[0] == vectors[2] != vectors[1]
