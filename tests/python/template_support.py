"""For the template tests: Jinja2 set up as Transformers does, our renderer, and conversations of every kind."""

import datetime
import functools
import json
import os
import pathlib
import random
import subprocess

import jinja2
import jinja2.ext
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MEDLAR_BUILD", ROOT / "build" / "release"))
NOW = datetime.datetime(2024, 7, 26, 14, 5, 9)


class GenerationTag(jinja2.ext.Extension):
    """{% generation %}: its body, in a scope like that of a call block."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


ENVIRONMENT = environment()


@functools.lru_cache(maxsize=64)
def compiled(template):
    return ENVIRONMENT.from_string(template)


def theirs(template, context):
    """Jinja2's text, or None where it raises."""
    try:
        text = compiled(template).render(**context)
        text.encode()
        return text
    except Exception:
        return None


class Ours:
    """template_tool, kept running."""

    def __init__(self):
        tool = BUILD / "tests" / "text" / "template_tool"
        if not tool.exists():
            pytest.skip(f"{tool} is not built")
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def answer(self, **job):
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def render(self, template, context):
        """Our text, or None where we raise."""
        return self.answer(template=template, context=context).get("text")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def chat_context(case, add_generation_prompt):
    """What apply_chat_template hands to the template."""
    return {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "tools": None,
        "documents": None,
        **case.get("variables", {}),
        "messages": case["messages"],
        "add_generation_prompt": add_generation_prompt,
    }


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def call(name, arguments, identity="call_1"):
    return {"type": "function", "id": identity, "function": {"name": name, "arguments": arguments}}


def tool(content, name="get_weather", identity="call_1"):
    return {"role": "tool", "tool_call_id": identity, "name": name, "content": content}


def function(name, description, properties, required):
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = function(
    "get_weather",
    "Current weather in a city",
    {
        "city": {"type": "string", "description": "City and country, e.g. \"Zürich, CH\""},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
    },
    ["city"],
)
SEARCH = function(
    "search",
    "Searches.\nSeveral lines, <b>tags</b> & 'quotes'",
    {
        "query": {"type": ["string", "null"], "description": "What to look for", "nullable": True},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10},
        "ratio": {"type": "number", "default": 0.5},
        "exact": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"type": "string"}},
        "range": {
            "type": "object",
            "description": "Dates",
            "properties": {"from": {"type": "string", "format": "date"}, "to": {"type": "string"}},
            "required": ["from"],
        },
        "mode": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "shape": {"oneOf": [{"type": "object", "description": "o"}, {"type": "string", "default": "s"}]},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}},
    },
    ["query", "tags"],
)
BARE = {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {}}}
NO_PARAMETERS = {"type": "function", "function": {"name": "ping", "description": "Pings"}}

VALUES = [0, 1, -7, 2.5, 1e-7, 1e22, 100000.0, True, False, None, "", "text", "ünï", '"q"', [], [1, [2, "x"]], {},
          {"k": {"n": None}}, "a\nb", "<&>'"]


def written_cases():
    question = [user("What is 2+2?")]
    talk = [user("Hi"), assistant("Hello! How can I help?"), user("Tell me a joke.")]
    used = [
        user("Weather in Paris?"),
        assistant(None, tool_calls=[call("get_weather", {"city": "Paris, FR", "unit": "celsius"})]),
        tool('{"temperature": 21.5, "sky": "clear"}'),
        assistant("It is 21.5 °C and clear."),
        user("And in Rome?"),
    ]
    parallel = [
        system("You can use tools."),
        user("Compare Paris and Rome."),
        assistant("Let me look.", tool_calls=[call("get_weather", {"city": "Paris"}, "abcdefghi"),
                                              call("get_weather", {"city": "Rome"}, "jklmnopqr")]),
        tool("20", identity="abcdefghi"),
        tool("25", identity="jklmnopqr"),
    ]
    thought = [
        user("Think."),
        assistant("42", reasoning_content="Six times seven.", thinking="t", reasoning="r"),
        user("Sure?"),
        assistant("<think>\nHm.\n</think>\n\nYes.", reasoning_content=""),
        user("Thanks"),
    ]
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image"}, {"type": "image_url", "image_url": {"url": "x"}},
             {"type": "text", "text": " And that?"}]
    documents = [{"title": "One", "text": "First", "snippet": "s"}, {"title": "Two", "contents": "Second"}]
    cases = {
        "question": {"messages": question},
        "system": {"messages": [system("Be brief.")] + question},
        "talk": {"messages": [system("You are a pirate.\n\n- Arr")] + talk},
        "answered": {"messages": talk[:2]},
        "tools": {"messages": question, "variables": {"tools": [WEATHER]}},
        "tools_system": {"messages": [system("Be brief.")] + question, "variables": {"tools": [WEATHER, SEARCH, BARE]}},
        "bare_tools": {"messages": question, "variables": {"tools": [NO_PARAMETERS]}},
        "used": {"messages": used, "variables": {"tools": [WEATHER]}},
        "used_now": {"messages": used[:3], "variables": {"tools": [WEATHER]}},
        "used_called": {"messages": used[:2], "variables": {"tools": [WEATHER]}},
        "used_without_tools": {"messages": used},
        "parallel": {"messages": parallel, "variables": {"tools": [WEATHER, SEARCH]}},
        "text_arguments": {
            "messages": [user("x"), assistant("", tool_calls=[call("search", '{"query": "é", "limit": 3}')]), tool("{}")],
            "variables": {"tools": [SEARCH]},
        },
        "odd_arguments": {
            "messages": [user("x"), assistant("", tool_calls=[call("search", {f"k{i}": v for i, v in enumerate(VALUES)})]),
                         tool({"list": VALUES}), assistant("done")],
            "variables": {"tools": [SEARCH], "enable_thinking": False},
        },
        "thought": {"messages": thought},
        "thought_on": {"messages": [system("s")] + thought, "variables": {"enable_thinking": True, "thinking": True}},
        "thought_off": {"messages": thought, "variables": {"enable_thinking": False, "thinking": False}},
        "effort": {"messages": [{"role": "developer", "content": "Dev."}] + question,
                   "variables": {"reasoning_effort": "high", "model_identity": "You are X."}},
        "parts": {"messages": [user(parts)]},
        "part_lists": {"messages": [{"role": "system", "content": parts[:1]}, user(parts[:1]),
                                    {"role": "assistant", "content": parts[3:]}, user(parts[3:])]},
        "documents": {"messages": question, "variables": {"documents": documents}},
        "blank": {"messages": [system(""), user("  \n padded \t\n"), assistant("\n\n"), user("")]},
        "two_users": {"messages": [user("a"), user("b")]},
        "assistant_first": {"messages": [assistant("I start."), user("ok")]},
        "late_system": {"messages": [user("a"), assistant("b"), system("c"), user("d")]},
        "unknown_role": {"messages": [user("a"), {"role": "narrator", "content": "b"}]},
        "null_content": {"messages": [user("a"), assistant(None), user("b")]},
        "no_content": {"messages": [user("a"), {"role": "assistant"}, user("b")]},
        "no_messages": {"messages": []},
        "unicode": {"messages": [system("你好 — «ça va»"), user("👩‍👩‍👧‍👦 ﬁne ß İ Σ\u2028x\u00a0y \\ \" ' <|im_end|> {{ x }}")]},
        "dated": {"messages": question, "variables": {"date_string": "1 Jan 2025", "tools_in_user_message": False,
                                                      "tools": [WEATHER]}},
        "builtin": {"messages": question, "variables": {"builtin_tools": ["brave_search", "code_interpreter"],
                                                        "custom_tools": [WEATHER]}},
    }
    return cases


def random_case(rng):
    """A conversation whose turns follow no rule but that they look like messages."""
    words = ["alpha", "beta\n", " gamma", "δ", "<think>x</think>y", "{\"a\": 1}", "", "`code`", "2 + 2 = 4"]
    text = lambda: " ".join(rng.choice(words) for _ in range(rng.randint(0, 6)))
    messages = [system(text())] if rng.random() < 0.5 else []
    for turn in range(rng.randint(1, 5)):
        messages.append(user(text() if rng.random() < 0.8 else [{"type": "text", "text": text()}]))
        if rng.random() < 0.4:
            arguments = {f"p{i}": rng.choice(VALUES) for i in range(rng.randint(0, 3))}
            calls = [call(rng.choice(["get_weather", "search"]), arguments, f"call{turn}{i:04d}")
                     for i in range(rng.randint(1, 2))]
            messages.append(assistant(rng.choice([None, "", text()]), tool_calls=calls))
            messages += [tool(text(), c["function"]["name"], c["id"]) for c in calls]
        if turn > 0 or rng.random() < 0.6:
            more = {"reasoning_content": text()} if rng.random() < 0.3 else {}
            messages.append(assistant(text(), **more))
    variables = {}
    if rng.random() < 0.4:
        variables["tools"] = rng.sample([WEATHER, SEARCH, BARE], rng.randint(1, 3))
    if rng.random() < 0.4:
        variables["enable_thinking"] = rng.random() < 0.5
    return {"messages": messages, "variables": variables}


def all_cases(random_count=20):
    rng = random.Random(20240726)
    return written_cases() | {f"random{i}": random_case(rng) for i in range(random_count)}
