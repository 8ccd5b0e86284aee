"""Schemas, grammars, tool calls and reasoning over every protocol, asked for by the official clients."""

import enum
import json
import re
import subprocess
import sys

import anthropic
import jsonschema
import ollama
import openai
import pydantic
import pytest
from server_support import Server

HELLO = [{"role": "user", "content": "Hello"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"enum": [1, 2]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "A forecast", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]
SCHEMAS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
# The tiny models write at random: this keeps them from writing pages of white space.
CALM = {"temperature": 1.0, "max_tokens": 600}


class City(enum.StrEnum):
    paris = "Paris"
    rome = "Rome"


class Trip(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    city: City
    sunny: bool


def with_template(source, path, template):
    subprocess.run([sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--force", "--chat-template", template,
                    source, path], check=True, capture_output=True)
    return path


CHATML = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n")


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "2", "--alias", "tiny", context=2048) as running:
        yield running


@pytest.fixture(scope="module")
def mistral(medlar, tiny, tmp_path_factory):
    """A model whose calls begin with a special token: its name takes the place of one of the same length."""
    path = tmp_path_factory.mktemp("mistral") / "mistral.gguf"
    path.write_bytes(tiny("llama").read_bytes().replace(b"<|im_start|>", b"[TOOL_CALLS]"))
    with Server(medlar, path, "--parallel", "2", "--alias", "tiny", context=2048) as running:
        yield running


@pytest.fixture(scope="module")
def thinking(medlar, tiny, tmp_path_factory):
    """A model whose prompt opens its reasoning, whatever it is told."""
    path = tmp_path_factory.mktemp("thinking") / "thinking.gguf"
    with_template(tiny("llama"), path, CHATML + "<think>\n{% endif %}")
    with Server(medlar, path, "--parallel", "2", "--alias", "tiny", context=2048) as running:
        yield running


def openai_client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def chat(server, seed=1, **arguments):
    return openai_client(server).chat.completions.create(
        **({"model": "tiny", "messages": HELLO, "seed": seed} | CALM | arguments))


def check_calls(message):
    assert message.tool_calls
    for call in message.tool_calls:
        jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])
    assert len({call.id for call in message.tool_calls}) == len(message.tool_calls)


# --- the content's form


@pytest.mark.parametrize("seed", range(4))
def test_a_pydantic_model(server, seed):
    answer = openai_client(server).chat.completions.parse(
        model="tiny", messages=HELLO, response_format=Trip, seed=seed, **CALM)
    assert isinstance(answer.choices[0].message.parsed, Trip)
    assert answer.choices[0].finish_reason == "stop"


def test_a_stream_says_the_same(server):
    form = {"type": "json_schema", "json_schema": {"name": "trip", "schema": Trip.model_json_schema()}}
    whole = chat(server, response_format=form)
    chunks = list(chat(server, response_format=form, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content


@pytest.mark.parametrize("body, pattern", [
    ({"grammar": 'root ::= "yes" | "no"'}, "yes|no"),
    ({"regex": "[a-c]{3}-\\d"}, "[a-c]{3}-[0-9]"),
    ({"json_schema": {"enum": ["up", "down"]}}, '"(up|down)"'),
    ({"response_format": {"type": "json_object", "schema": {"const": 7}}}, "7"),
])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/completion"])
def test_every_notation_on_every_route(server, path, body, pattern):
    asked = {"messages": HELLO} if "chat" in path else {"prompt": "Hello"}
    answer = server.json(path, asked | body | {"temperature": 1})
    if "choices" in answer:
        choice = answer["choices"][0]
        assert choice["finish_reason"] == "stop"
        text = choice["message"]["content"] if "chat" in path else choice["text"]
    else:
        text = answer["content"]
    assert re.fullmatch(pattern, text)


@pytest.mark.parametrize("arguments, param, text", [
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
     "response_format.json_schema.schema", "required"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "type": "array", "uniqueItems": True}}}}, "response_format.json_schema.schema", "uniqueItems"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
    ({"extra_body": {"grammar": "root ::= nowhere"}}, "grammar", "nowhere"),
    ({"extra_body": {"regex": "("}}, "regex", "("),
    ({"extra_body": {"regex": "a", "grammar": 'root ::= "a"'}}, "regex", "both"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "web_search"),
    ({"tools": [{"type": "function", "function": {"parameters": {}}}]}, "tools[0].function.name", "required"),
    ({"tools": TOOLS + TOOLS[:1]}, "tools[2]", "two tools"),
    ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "fly"}}},
     "tool_choice.function.name", "fly"),
    ({"tool_choice": "required"}, "tool_choice", "no tools"),
    ({"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {
        "type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}}}]}, "tools", "uniqueItems"),
    ({"functions": [{"name": "f"}]}, "functions", "tools"),
    ({"reasoning_effort": "extreme"}, "reasoning_effort", "none"),
])
def test_errors_name_the_field(server, arguments, param, text):
    with pytest.raises(openai.BadRequestError) as error:
        chat(server, **arguments)
    assert error.value.body["param"] == param
    assert text in error.value.body["message"]


# --- tools, OpenAI


@pytest.mark.parametrize("kind", ["server", "mistral"])
@pytest.mark.parametrize("seed", range(4))
def test_required_calls_fulfil_their_schemas(request, kind, seed):
    answer = chat(request.getfixturevalue(kind), seed, tools=TOOLS, tool_choice="required",
                  parallel_tool_calls=False)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert len(choice.message.tool_calls) == 1
    check_calls(choice.message)


def test_a_marker_is_the_special_token(mistral):
    answer = chat(mistral, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, logprobs=True)
    tokens = [entry.token for entry in answer.choices[0].logprobs.content]
    assert tokens[0] == "[TOOL_CALLS]" and "[TOOL_CALLS]" not in tokens[1:]


@pytest.mark.parametrize("kind", ["server", "mistral"])
def test_a_named_tool_streams_its_arguments(request, kind):
    server = request.getfixturevalue(kind)
    arguments = {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "weather"}}}
    whole = chat(server, **arguments).choices[0].message
    deltas = [c.choices[0].delta for c in chat(server, stream=True, **arguments) if c.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert calls[0].function.name == "weather" and calls[0].id and len(calls) > 2
    assert "".join(c.function.arguments or "" for c in calls) == whole.tool_calls[0].function.arguments
    check_calls(whole)


def test_the_clients_own_stream_of_calls(server):
    with openai_client(server).chat.completions.stream(
            model="tiny", messages=HELLO, tools=TOOLS, tool_choice="required", parallel_tool_calls=False, seed=3,
            **CALM) as stream:
        check_calls(stream.get_final_completion().choices[0].message)


def test_no_tool_and_a_free_choice(server):
    assert not chat(server, tools=TOOLS, tool_choice="none", max_tokens=8).choices[0].message.tool_calls
    assert chat(server, tools=TOOLS, max_tokens=8).choices[0].finish_reason in ("length", "stop")


def test_a_call_cut_short_is_content(server):
    choice = chat(server, tools=TOOLS, tool_choice="required", max_tokens=12).choices[0]
    assert choice.finish_reason == "length" and not choice.message.tool_calls
    assert choice.message.content.startswith("<tool_call>")


def test_tools_or_content_of_a_form(server):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": "done"}}}
    seen = set()
    for seed in range(12):
        message = chat(server, seed, tools=TOOLS[1:], parallel_tool_calls=False, response_format=form).choices[0].message
        seen.add("call" if message.tool_calls else message.content)
    assert seen <= {"call", '"done"'}


def test_arguments_beyond_the_supported_keywords(server):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}}}]
    answer = server.json("/v1/chat/completions", {"messages": HELLO, "tools": tools, "max_tokens": 4})
    assert any("uniqueItems" in message for message in answer["medlar"]["messages"])


@pytest.mark.parametrize("kind", ["server", "mistral"])
def test_the_next_turn_finds_all_of_the_last(request, kind):
    server = request.getfixturevalue(kind)
    arguments = {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "weather"}}}
    first = chat(server, 5, **arguments)
    message = first.choices[0].message
    messages = HELLO + [message.model_dump(exclude_none=True)] + [
        {"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in message.tool_calls]
    second = chat(server, tools=TOOLS, messages=messages, max_tokens=1)
    # The last token sampled was never read.
    known = first.usage.prompt_tokens + first.usage.completion_tokens - 1
    assert second.usage.prompt_tokens_details.cached_tokens >= known


def test_an_edited_turn_is_what_the_client_says(server):
    first = chat(server, 6, max_tokens=8, stop=None)
    edited = HELLO + [{"role": "assistant", "content": "Something else"}, *HELLO]
    prompt = server.json("/apply-template", {"messages": edited})["prompt"]
    tokens = server.json("/tokenize", {"content": prompt})["tokens"]
    assert chat(server, messages=edited, max_tokens=1).usage.prompt_tokens == len(tokens)
    assert first.usage.prompt_tokens < len(tokens)


# --- reasoning


def test_a_budget_closes_reasoning(thinking):
    answer = thinking.json("/v1/chat/completions", {
        "messages": HELLO, "reasoning_budget": 5, "max_tokens": 40, "seed": 1, "ignore_eos": True})
    message = answer["choices"][0]["message"]
    assert message["reasoning_content"] and message["content"]
    assert len(thinking.json("/tokenize", {"content": message["reasoning_content"]})["tokens"]) <= 8
    assert "think>" not in message["content"] + message["reasoning_content"]


def test_no_reasoning(thinking):
    for field in ({"reasoning_effort": "none"}, {"reasoning_budget": 0}):
        message = thinking.json("/v1/chat/completions", {"messages": HELLO, "max_tokens": 20} | field)
        assert "reasoning_content" not in message["choices"][0]["message"]


def test_reasoning_comes_before_the_schema(thinking):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["a", "b"]}}}
    message = chat(thinking, response_format=form, extra_body={"reasoning_budget": 6}).choices[0].message
    assert message.content in ('"a"', '"b"') and message.reasoning_content
    chunks = list(chat(thinking, response_format=form, stream=True, extra_body={"reasoning_budget": 6}))
    reasoning = "".join(getattr(c.choices[0].delta, "reasoning_content", None) or "" for c in chunks if c.choices)
    assert reasoning == message.reasoning_content


def test_reasoning_left_in_the_content(thinking):
    message = chat(thinking, max_tokens=5, extra_body={"reasoning_format": "none"}).choices[0].message
    assert not hasattr(message, "reasoning_content") and message.content


# --- Anthropic


def anthropic_client(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0)


ANTHROPIC_TOOLS = [{"name": "weather", "description": "A forecast", "input_schema": PARAMETERS}]


def test_anthropic_tools(server):
    client = anthropic_client(server)
    arguments = {"model": "tiny", "messages": HELLO, "tools": ANTHROPIC_TOOLS, "max_tokens": 600,
                 "tool_choice": {"type": "tool", "name": "weather"}, "extra_body": {"seed": 4}}
    message = client.messages.create(**arguments)
    assert message.stop_reason == "tool_use"
    (use,) = message.content
    jsonschema.validate(use.input, PARAMETERS)
    with client.messages.stream(**arguments) as stream:
        assert stream.get_final_message().content[0].input == use.input
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "sun"}]}
    messages = HELLO + [{"role": "assistant", "content": message.model_dump()["content"]},
                        {"role": "user", "content": [result, {"type": "text", "text": "Thanks"}]}]
    again = client.messages.create(model="tiny", messages=messages, tools=ANTHROPIC_TOOLS, max_tokens=2)
    read = message.usage.input_tokens + message.usage.cache_read_input_tokens + message.usage.output_tokens
    assert again.usage.cache_read_input_tokens >= read - 1
    counted = client.messages.count_tokens(model="tiny", messages=messages, tools=ANTHROPIC_TOOLS)
    assert counted.input_tokens == again.usage.input_tokens + again.usage.cache_read_input_tokens


def test_anthropic_thinking(thinking):
    arguments = {"model": "tiny", "messages": HELLO, "max_tokens": 30,
                 "thinking": {"type": "enabled", "budget_tokens": 5}, "extra_body": {"seed": 2, "ignore_eos": True}}
    client = anthropic_client(thinking)
    message = client.messages.create(**arguments)
    assert [block.type for block in message.content] == ["thinking", "text"]
    with client.messages.stream(**arguments) as stream:
        streamed = stream.get_final_message()
    assert [b.type for b in streamed.content] == ["thinking", "text"]
    assert streamed.content[0].thinking == message.content[0].thinking
    assert streamed.content[1].text == message.content[1].text
    off = client.messages.create(**arguments | {"thinking": {"type": "disabled"}})
    assert [block.type for block in off.content] == ["text"]


@pytest.mark.parametrize("arguments, text", [
    ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"thinking": {"type": "perhaps"}}, "thinking.type"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "x", "name": "f", "input": {}}]}]},
     "messages[0].content[0].type"),
])
def test_anthropic_errors(server, arguments, text):
    with pytest.raises(anthropic.BadRequestError) as error:
        anthropic_client(server).messages.create(**({"model": "tiny", "messages": HELLO, "max_tokens": 5} | arguments))
    assert text in str(error.value)


# --- Ollama


def test_ollama_format(server):
    client = ollama.Client(host=server.url)
    for form in (Trip.model_json_schema(), "json"):
        answer = client.chat("tiny", HELLO, format=form, options={"seed": 1, "num_predict": 400, "temperature": 0.2})
        if form != "json":
            Trip.model_validate_json(answer.message.content)
    answer = client.generate("tiny", "Hello", format={"enum": ["a"]})
    assert answer.response == '"a"'


def test_ollama_tools(server):
    client = ollama.Client(host=server.url)
    answer = client.chat("tiny", HELLO, tools=TOOLS, options={"num_predict": 4})
    assert answer.message.role == "assistant"
    messages = HELLO + [
        {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "weather", "arguments": {"city": "Rome", "days": 1}}}]},
        {"role": "tool", "tool_name": "weather", "content": "sun"}]
    assert client.chat("tiny", messages, tools=TOOLS, options={"num_predict": 4}).prompt_eval_count > 0


def test_ollama_thinking(thinking):
    client = ollama.Client(host=thinking.url)
    assert client.chat("tiny", HELLO, think=True, options={"num_predict": 5, "seed": 1}).message.thinking
    assert not client.chat("tiny", HELLO, think=False, options={"num_predict": 20}).message.thinking
    parts = list(client.chat("tiny", HELLO, think=True, stream=True, options={"num_predict": 5, "seed": 1}))
    assert "".join(part.message.thinking or "" for part in parts)
