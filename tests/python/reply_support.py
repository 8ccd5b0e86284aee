"""For the tests of answers: reply_tool, kept running, and grammars judged by llguidance."""

import json
import os
import pathlib
import re
import subprocess

import llguidance
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MEDLAR_BUILD", ROOT / "build" / "release"))
BYTES = llguidance.LLTokenizer("byte")


class ReplyTool:
    """Answers one job after the other."""

    def __init__(self):
        tool = BUILD / "tests" / "text" / "reply_tool"
        if not tool.exists():
            pytest.skip(f"{tool} is not built")
        self.process = subprocess.Popen([tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, do, **job):
        self.process.stdin.write(json.dumps({"do": do} | job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[A-Za-z0-9-]+|\S')


def lark_token(token):
    """A token of GBNF in llguidance's form of Lark. A literal becomes its characters, one lexeme each: the longest
    lexeme wins there, while GBNF has none."""
    if token[0] == "[":
        return f"/{token}/"
    if token[0] == '"':
        return "(" + " ".join(f'"{c}"' for c in re.findall(r"\\.|[^\\]", token[1:-1])) + ")" if token != '""' else '""'
    return token.replace("-", "_") if token[0].isalnum() else token


def lark_rule(line):
    name, expression = line.split(" ::= ")
    return f"{name.replace('-', '_')}: {' '.join(lark_token(t) for t in TOKEN.findall(expression))}"


class Grammar:
    """A tool grammar with its holes filled, which accepts texts or not."""

    def __init__(self, grammar):
        lines = ["%llguidance {}", "start: root"]
        lines += [lark_rule(line) for line in grammar["gbnf"].splitlines()]
        lines += [f"{h['rule'].replace('-', '_')}: %json {json.dumps(h['schema'])}" for h in grammar["holes"]]
        self.lark = "\n".join(lines) + "\n"
        self.grammar = llguidance.LLMatcher.grammar_from_lark(self.lark)

    def accepts(self, text):
        matcher = llguidance.LLMatcher(BYTES, self.grammar)
        assert not matcher.get_error(), matcher.get_error() + self.lark
        tokens = BYTES.tokenize_str(text)
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
