"""Small templates, one construct each: the same bytes as Jinja2, or an error where it raises one."""

import pytest

import template_support as support
from template_expressions import EXPRESSIONS
from template_statements import STATEMENTS

CONTEXT = {
    "i": 7, "neg": -3, "zero": 0, "f": 2.5, "big": 9007199254740993, "tiny": 1e-7, "huge": 1e22, "yes": True, "no": False,
    "n": None, "s": "Hello World", "e": "", "u": "ünï ßİΣ ς ǅ 你好 👍🏽", "html": "<a href='x'>\"&\"</a>", "ws": " \t a b\n c \u00a0",
    "lines": "one\ntwo\r\nthree\u2028four\n\nfive", "num": "42", "inf": "inf", "minus_inf": "-inf", "nan": "nan", "e999": "1e999", "infinity": "+Infinity", "fl": " 3.75 ", "hex": "0x1F", "csv": "a,b,,c",
    "l": [3, 1, 2], "el": [], "mixed": [1, "a", None, 2.5, True, [1], {"k": 1}], "words": ["banana", "Apple", "cherry", "apple"],
    "d": {"b": 1, "a": 2, "C": 3}, "ed": {}, "nested": {"x": {"y": [10, {"z": "deep"}]}, "items": "shadow", "keys": 5},
    "people": [{"name": "Bob", "age": 30, "city": "Oslo"}, {"name": "alice", "age": 25, "city": "oslo"},
               {"name": "Carol", "age": 30, "city": "Bern", "tags": ["x"]}, {"name": "Dan", "age": None}],
    "tree": [{"n": 1, "c": [{"n": 2, "c": [{"n": 3}]}, {"n": 4}]}, {"n": 5}],
    "pairs": [["k1", 1], ["k2", 2]],
    "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "U"},
                 {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}],
}  # fmt: skip


def statements():
    """The table's entries: a line each; lines that do not begin with a brace go on with the entry before."""
    entries = []
    for line in STATEMENTS.split("\n"):
        if entries and (not line.startswith("{") or entries[-1].endswith(("-%}", "\n"))):
            entries[-1] += "\n" + line
        else:
            entries.append(line)
    return entries + STATEMENTS.split("\n")


@pytest.fixture(scope="module")
def ours():
    tool = support.Ours()
    yield tool
    tool.close()


def differing(ours, templates):
    wrong = []
    for template in templates:
        expected = support.theirs(template, CONTEXT)
        answer = ours.answer(template=template, context=CONTEXT)
        if answer.get("text") != expected:
            wrong.append((template, expected, answer))
    return wrong


def report(wrong):
    return "\n".join(f"{t!r}\n  Jinja2: {e!r}\n  ours:   {o!r}" for t, e, o in wrong[:20])


def test_expressions(ours):
    wrong = differing(ours, ["{{ " + line + " }}" for line in EXPRESSIONS])
    assert not wrong, f"{len(wrong)} of {len(EXPRESSIONS)} differ:\n{report(wrong)}"


def test_expressions_in_statements(ours):
    wrong = differing(ours, ["{% set x = " + line + " %}{{ x }}|{% if x %}t{% endif %}" for line in EXPRESSIONS])
    assert not wrong, f"{len(wrong)} of {len(EXPRESSIONS)} differ:\n{report(wrong)}"


def test_statements(ours):
    templates = statements()
    wrong = differing(ours, templates)
    assert not wrong, f"{len(wrong)} of {len(templates)} differ:\n{report(wrong)}"


def test_whitespace(ours):
    """Every sign on every side of every kind of tag, between every kind of text."""
    tags = ["{{S i S}}", "{%S set q = 1 S%}", "{#S c S#}", "{%S if yes S%}x{%S endif S%}", "{%S raw S%} r {%S endraw S%}"]
    texts = ["", " ", "\n", " \n ", "a", " a ", "\n\n", "\t", "a\n  ", "  \nb"]
    templates = [
        before + tag.replace("S%}", right + "%}").replace("S}}", right + "}}").replace("S#}", right + "#}")
        .replace("{%S", "{%" + left).replace("{{S", "{{" + left).replace("{#S", "{#" + left) + after
        for tag in tags for left in ["", "-", "+"] for right in ["", "-", "+"] for before in texts for after in texts
    ]  # fmt: skip
    wrong = differing(ours, templates)
    assert not wrong, f"{len(wrong)} of {len(templates)} differ:\n{report(wrong)}"
