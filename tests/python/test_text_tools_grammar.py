"""Grammars for tool calls, judged by llguidance: what they take, and that whatever they allow is read as calls
that fulfil the schemas."""

import json
import random

import jsonschema
import llguidance
import pytest
from reply_support import BYTES, Grammar, ReplyTool

FORMATS = """generic hermes qwen-coder seed minimax glm deepseek-v4 deepseek-v3.2 deepseek-v3.1 deepseek-v3 llama3
llama4 mistral mistral-args harmony kimi command gemma4 functiongemma granite phi4 nemotron hunyuan lfm2 olmo3
functionary-v3.1 functionary-v3.2 apertus gigachat mcp""".split()
ONE_CALL = {"llama3", "harmony", "gigachat"}

WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "exact": {"type": "boolean"},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}
SEARCH = {
    "name": "search_web",
    "parameters": {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "limit": {"type": ["number", "null"]},
            "where": {"$ref": "#/$defs/place"},
        },
        "$defs": {"place": {"enum": ["here", "there"]}},
        "additionalProperties": False,
    },
}
NOW = {"name": "now", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}
TOOLS = [WEATHER, SEARCH, NOW]

PARIS = {"name": "get_weather", "arguments": json.dumps({"city": "Paris", "days": 3, "unit": "celsius"})}
WEB = {"name": "search_web", "arguments": json.dumps({"tags": ["a", "b"], "where": "here"})}
EMPTY = {"name": "now", "arguments": "{}"}


@pytest.fixture(scope="module")
def tool():
    tool = ReplyTool()
    yield tool
    tool.close()


def grammar(tool, format, **request):
    return tool("grammar", format=format, **({"tools": TOOLS, "choice": "required"} | request))


def rendered(tool, format, *calls):
    return tool("render", format=format, calls=list(calls))["text"]


@pytest.mark.parametrize("format", FORMATS)
def test_takes_calls_and_nothing_else(tool, format):
    judge = Grammar(grammar(tool, format))
    for call in PARIS, WEB, EMPTY:
        assert judge.accepts(rendered(tool, format, call))
    assert not judge.accepts("")
    assert not judge.accepts("It is sunny.")
    assert not judge.accepts(rendered(tool, format, EMPTY) + "And more.")
    assert not judge.accepts(rendered(tool, format, {"name": "other", "arguments": "{}"}))
    assert not judge.accepts(rendered(tool, format, {"name": "now", "arguments": '{"x": 1}'}))
    for arguments in ({"city": "Paris"}, {"city": "Paris", "unit": "kelvin"},
                      {"city": "Paris", "days": "many", "unit": "celsius"}):
        assert not judge.accepts(rendered(tool, format, {"name": "get_weather", "arguments": json.dumps(arguments)}))


@pytest.mark.parametrize("format", FORMATS)
def test_several_calls_where_they_are_welcome(tool, format):
    text = rendered(tool, format, PARIS, EMPTY, WEB)
    assert Grammar(grammar(tool, format)).accepts(text) == (format not in ONE_CALL)
    assert not Grammar(grammar(tool, format, parallel=False)).accepts(text)


@pytest.mark.parametrize("format", FORMATS)
def test_the_named_tool_only(tool, format):
    judge = Grammar(grammar(tool, format, choice="now"))
    assert judge.accepts(rendered(tool, format, EMPTY))
    assert not judge.accepts(rendered(tool, format, PARIS))


@pytest.mark.parametrize("format", FORMATS)
def test_automatic_begins_with_its_trigger(tool, format):
    automatic = grammar(tool, format, choice="auto")
    assert automatic["triggers"]
    judge = Grammar(automatic)
    for call in PARIS, WEB, EMPTY:
        text = rendered(tool, format, call)
        assert judge.accepts(text)
        assert any(text.startswith(trigger) for trigger in automatic["triggers"])
    assert automatic["trigger_at_start"] == (format in ("llama3", "llama4"))


def test_reasoning_may_come_first(tool):
    call = rendered(tool, "hermes", EMPTY)
    judge = Grammar(grammar(tool, "hermes", reasoning="think"))
    assert judge.accepts(call)
    assert judge.accepts("<think>\nLook < it </thin up.\n</think>\n\n" + call)
    assert not judge.accepts("<think>Open" + call)
    assert not judge.accepts("Look it up.\n</think>\n" + call)
    opened = Grammar(grammar(tool, "hermes", reasoning="think", opened="<think>"))
    assert opened.accepts("Look it up.\n</think>\n" + call)
    assert not opened.accepts(call)
    assert not Grammar(grammar(tool, "hermes", reasoning="think", think=False)).accepts("<think></think>" + call)


def test_harmony_goes_from_channel_to_channel(tool):
    judge = Grammar(grammar(tool, "harmony", reasoning="harmony", opened="<|start|>assistant"))
    call = rendered(tool, "harmony", EMPTY)
    assert judge.accepts(call)
    assert judge.accepts("<|channel|>analysis<|message|>Look.<|end|><|start|>assistant" + call)
    assert not judge.accepts("<|channel|>final<|message|>No.")


def test_a_call_that_the_prompt_has_begun(tool):
    request = {"reasoning": "functionary", "opened": ">>>"}
    judge = Grammar(grammar(tool, "functionary-v3.2", **request))
    text = rendered(tool, "functionary-v3.2", PARIS, EMPTY)
    assert text.startswith(">>>")
    assert judge.accepts(text[3:])
    assert not judge.accepts("all\nHello.")
    assert ">>>now\n" in grammar(tool, "functionary-v3.2", choice="auto", **request)["triggers"]


def test_text_that_looks_like_the_end_of_a_value(tool):
    judge = Grammar(grammar(tool, "qwen-coder", tools=[WEATHER]))
    for city in "</", "</parameter", "<</parameter", "</param</parameter ", "a\n\n</p", "日本":
        arguments = json.dumps({"city": city, "unit": "celsius"})
        assert judge.accepts(rendered(tool, "qwen-coder", {"name": "get_weather", "arguments": arguments}))


def test_refusals(tool):
    assert "no tool" in grammar(tool, "hermes", choice="missing")["error"]
    assert "cannot be written" in grammar(tool, "glm", tools=[NOW | {"name": "a b"}])["error"]


def walk(judge, dice, limit=500):
    """A random text that the grammar allows, or None where it does not end in time."""
    matcher = llguidance.LLMatcher(BYTES, judge.grammar)
    text = bytearray()
    while len(text) < limit:
        if matcher.is_accepting():
            return text.decode()
        mask = matcher.compute_bitmask()
        allowed = [b for b in range(256) if mask[b // 8] >> (b % 8) & 1]
        assert allowed, bytes(text)
        # Bytes of one character stay together, and brackets and quotes close sooner than chance would have it.
        closing = [b for b in allowed if chr(b) in "\"'})]<>/|\n"]
        plain = [b for b in allowed if 32 <= b < 127]
        byte = dice.choice(closing if closing and dice.random() < 0.6 else plain or allowed)
        assert matcher.consume_token(byte)
        text.append(byte)
    return None


@pytest.mark.parametrize("format", FORMATS)
def test_whatever_is_allowed_is_read_as_calls(tool, format):
    judge = Grammar(grammar(tool, format))
    schemas = {t["name"]: t["parameters"] for t in TOOLS}
    dice = random.Random(5)
    ended = 0
    for _ in range(100):
        text = walk(judge, dice)
        if text is None:
            continue
        ended += 1
        reply = tool("parse", format=format, text=text, tools=TOOLS)
        assert reply["calls"] and not reply["malformed"] and not reply["content"], text
        for call in reply["calls"]:
            jsonschema.validate(json.loads(call["arguments"]), schemas[call["name"]])
        if ended == 3:
            return
    assert ended > 0
