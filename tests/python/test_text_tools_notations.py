"""Calls in other notations than JSON, judged by who defines them: Python's own reader and writer, Jinja2's
rendering of the models' templates."""

import ast
import json
import random

import pytest
from reply_support import ReplyTool
from template_support import call, chat_context, function, theirs, user

TEXTS = ["", "Paris", "7", "-1.5", "True", "None", "null", "it's", 'say "hi"', "back\\slash", "a\nb\tc\r", "日本 😀 é",
         "\u0001\u007f", "{}", "[1]", "f(x=1)", "a=b, c", "\\n", "\\u0041", "</parameter>x", "#", "'''", '"""']


@pytest.fixture(scope="module")
def tool():
    tool = ReplyTool()
    yield tool
    tool.close()


def value(dice, depth=3):
    kind = dice.randrange(7 if depth else 5)
    if kind == 0:
        return dice.choice(TEXTS) + dice.choice(TEXTS)
    if kind == 1:
        return dice.randrange(-(10**20), 10**20)
    if kind == 2:
        return dice.uniform(-1e9, 1e9) * 10 ** dice.randrange(-30, 30)
    if kind == 3:
        return dice.random() < 0.5
    if kind == 4:
        return None
    if kind == 5:
        return [value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {dice.choice(TEXTS): value(dice, depth - 1) for _ in range(dice.randrange(4))}


def arguments(dice):
    return {f"arg_{i}": value(dice) for i in range(dice.randrange(5))}


def schema_of(item):
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return {"type": kinds[type(item)]} if item is not None else {}


def tools_for(name, values):
    return [{"name": name, "parameters": {"type": "object",
                                          "properties": {key: schema_of(item) for key, item in values.items()}}}]


@pytest.mark.parametrize("format", ["lfm2", "llama4", "olmo3"])
def test_python_reads_what_we_write(tool, format):
    dice = random.Random(1)
    for _ in range(100):
        calls = [{"name": f"tool_{i}", "arguments": json.dumps(arguments(dice))} for i in range(2)]
        text = tool("render", format=format, calls=calls)["text"]
        text = text.replace("<|tool_call_start|>", "").replace("<|tool_call_end|>", "")
        text = text.removeprefix("<function_calls>\n").removesuffix("\n</function_calls>")
        body = ast.parse(text).body
        nodes = body[0].value.elts if format != "olmo3" else [line.value for line in body]
        for node, wanted in zip(nodes, calls, strict=True):
            assert node.func.id == wanted["name"]
            read = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
            assert read == json.loads(wanted["arguments"])


def test_we_read_what_python_writes(tool):
    dice = random.Random(2)
    for _ in range(200):
        values = arguments(dice)
        written = ", ".join(f"{key}={item!r}" for key, item in values.items())
        reply = tool("parse", format="lfm2", tools=tools_for("f", values),
                     text=f"<|tool_call_start|>[f({written})]<|tool_call_end|>")
        assert [json.loads(c["arguments"]) for c in reply["calls"]] == [values], written


def test_python_literals_become_json(tool):
    for written, wanted in [("(1, 2)", [1, 2]), ("()", []), ("[1, 2,]", [1, 2]), ("1.", 1.0), (".5", 0.5), ("+3", 3),
                            ("'\\x41\\u00e9\\U0001F600\\0'", "Aé😀\0"), ("'a\\\nb'", "ab"), ("'\\d'", "\\d"),
                            ("{'a': {'b': None,},}", {"a": {"b": None}}), ("true", True), ("null", None)]:
        reply = tool("parse", format="lfm2", text=f"<|tool_call_start|>[f(x={written})]<|tool_call_end|>")
        assert json.loads(reply["calls"][0]["arguments"]) == {"x": wanted}, written


def test_the_schema_decides_what_is_text(tool):
    tools = [{"name": "f", "parameters": {"properties": {
        "text": {"type": "string"}, "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "number": {"$ref": "#/$defs/n"}, "either": {"type": ["string", "number"]}, "choice": {"enum": ["1", "2"]},
        "all": {"allOf": [{"type": "string"}]}}, "$defs": {"n": {"type": "number"}}}}]
    values = {"text": "007", "maybe": "null", "number": "7", "either": "7", "choice": "1", "all": "1", "other": "7",
              "unknown": "seven"}
    wanted = {"text": "007", "maybe": None, "number": 7, "either": 7, "choice": "1", "all": "1", "other": 7,
              "unknown": "seven"}
    written = "".join(f"<parameter={key}>\n{item}\n</parameter>\n" for key, item in values.items())
    reply = tool("parse", format="qwen-coder", tools=tools,
                 text=f"<tool_call>\n<function=f>\n{written}</function>\n</tool_call>")
    assert json.loads(reply["calls"][0]["arguments"]) == wanted
    reply = tool("parse", format="lfm2", tools=tools, text="<|tool_call_start|>[f(text=007, number=7)]")
    assert json.loads(reply["calls"][0]["arguments"]) == {"text": "007", "number": 7}


# Templates whose history of calls Jinja2 renders, each with a mark that ends the prompt.
HISTORIES = """Apertus-8B-Instruct Bielik-11B-v3.0-Instruct Cohere2MoE
CohereForAI-c4ai-command-r7b-12-2024-tool_use GLM-4.7-Flash NVIDIA-Nemotron-3-Nano-30B-A3B-BF16
NousResearch-Hermes-3-Llama-3.1-8B-tool_use Qwen-Qwen2.5-7B-Instruct Qwen3-Coder Reka-Edge
deepseek-ai-DeepSeek-V3.1 deepseek-ai-DeepSeek-V4 google-gemma-4-31B-it meetkai-functionary-medium-v3.1
mistralai-Ministral-3-14B-Reasoning-2512 moonshotai-Kimi-K2 stepfun-ai-Step-3.5-Flash
unsloth-mistral-Devstral-Small-2507""".split()


@pytest.mark.parametrize("name", HISTORIES)
def test_we_read_the_calls_that_jinja2_renders(tool, shared_data, name):
    template = (shared_data / "chat-templates" / f"{name}.jinja").read_text()
    dice = random.Random(3)
    question = "A question of its own."
    for _ in range(20):
        values = [{key: item for key, item in arguments(dice).items() if "</parameter>" not in json.dumps(item)}
                  for _ in range(2)]
        if "gemma" in name:  # keys are written as they are there
            values = [{key: item for key, item in each.items() if not isinstance(item, (dict, list))} for each in values]
        calls = [call(f"tool_{i}", each) for i, each in enumerate(values)]
        tools = [function(f"tool_{i}", "Does.", tools_for("f", each)[0]["parameters"]["properties"], [])
                 for i, each in enumerate(values)]
        messages = [user(question), {"role": "assistant", "content": "", "tool_calls": calls}]
        text = theirs(template, chat_context({"messages": messages, "variables": {"tools": tools}}, False))
        assert text is not None
        reply = tool("parse", template=template, text=text[text.rindex(question) + len(question):],
                     tools=[t["function"] for t in tools])
        assert [c["name"] for c in reply["calls"]] == ["tool_0", "tool_1"], text
        assert [json.loads(c["arguments"]) for c in reply["calls"]] == values, text
