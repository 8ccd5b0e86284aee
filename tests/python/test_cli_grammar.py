"""medlar run --grammar and --json-schema on tiny random models: whatever they would say, the answer has the form."""

import json
import re

import pytest

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["cat", "dog"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 30},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 2},
    },
    "required": ["kind", "age", "tags"],
    "additionalProperties": False,
}


@pytest.fixture
def files(tmp_path):
    """files(text): the path of a file with this text."""

    def write(text, name="input"):
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path

    return write


@pytest.fixture
def run(medlar, tiny):
    def call(*options, model="llama"):
        return medlar.json("run", tiny(model), "the thing", "--raw", "--json", *options)

    return call


@pytest.mark.parametrize("model", ["llama", "qwen3"])
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_answers_are_valid(run, files, model, temperature):
    jsonschema = pytest.importorskip("jsonschema")
    for seed in range(3):
        answer = run("--json-schema", files(SCHEMA), "--temp", temperature, "--seed", seed, "-n", 300, model=model)
        assert answer["finish_reason"] == "stop", answer
        jsonschema.validate(json.loads(answer["text"]), SCHEMA)


def test_grammar(run, files):
    grammar = files('root ::= " the " [a-c]{2,4} (" é" | "\\n") "!"{3}')
    texts = {run("--grammar", grammar, "--seed", seed, "--temp", 2)["text"] for seed in range(6)}
    assert all(re.fullmatch(r" the [a-c]{2,4}( é|\n)!!!", text) for text in texts), texts
    assert len(texts) > 1


def test_the_answer_ends_where_the_grammar_does(run, files):
    answer = run("--grammar", files('root ::= "abc"'), "-n", 50)
    assert (answer["text"], answer["finish_reason"]) == ("abc", "stop")
    answer = run("--grammar", files('root ::= "a"*'), "-n", 5, "--temp", 0)
    assert re.fullmatch("a*", answer["text"]) and answer["finish_reason"] in ("stop", "length")


def test_a_limit_cuts_the_answer(run, files):
    answer = run("--grammar", files('root ::= "abcabcabcabcabcabcabcabcabcabc"'), "-n", 2)
    assert answer["finish_reason"] == "length" and "abcabcabcabcabcabcabcabcabcabc".startswith(answer["text"])


def test_errors(medlar, tiny, files):
    def fail(*options, code):
        return medlar.fail("run", tiny("llama"), "the thing", "--raw", *options, code=code)

    assert "line 1, column 10" in fail("--grammar", files("root ::= x"), code=2)
    assert "#/properties/a/unevaluatedItems" in fail(
        "--json-schema", files({"properties": {"a": {"unevaluatedItems": False}}}), code=1
    )
    assert "allows no text" in fail("--json-schema", files("false"), code=2)
    assert "missing.json" in fail("--json-schema", "missing.json", code=1)
    assert "--grammar" in fail("--json-schema", files("true"), "--grammar", files('root ::= "a"', "other"), code=2)
