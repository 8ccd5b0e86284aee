"""The grammar tool as a Python object: compile a grammar, ask which texts it accepts, generate random ones."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build_directory():
    return pathlib.Path(os.environ.get("MEDLAR_BUILD", ROOT / "build" / "release"))


class GrammarTool:
    """kind: "gbnf", "regex", "schema" or "open-schema" (properties that the schema does not name are allowed)."""

    def __init__(self, kind):
        path = build_directory() / "tests" / "text" / "grammar_tool"
        if not path.exists():
            pytest.skip(f"{path} is not built")
        self.process = subprocess.Popen([path, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, grammar, **request):
        if not isinstance(grammar, str):
            grammar = json.dumps(grammar)
        self.process.stdin.write(json.dumps({"grammar": grammar, **request}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the tool died on {grammar[:500]}"
        return json.loads(line)

    def accepts(self, grammar, texts):
        answer = self.ask(grammar, accept=list(texts))
        assert "error" not in answer, answer
        return answer["accept"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


def tool_fixture(kind):
    @pytest.fixture(scope="module")
    def tool():
        tool = GrammarTool(kind)
        yield tool
        tool.close()

    return tool
