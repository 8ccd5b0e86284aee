"""medlar eval: choices against the log-probabilities that Transformers gives (tests/goldens), written answers against its greedy
ones; intervals against the closed formula; stopping and going on."""

import json
import math
import signal
import subprocess
import time

import golden
import numpy as np
import pytest

MODEL = "smollm2:135m"
SEPARATOR = "__ggml_vocab_test__"
PLACES = range(20, 100, 16)  # of the prompt
CHOICES = 6


@pytest.fixture(scope="module")
def english():
    return next(g for g in golden.load(golden.FOLDER / "smollm2-135m.npz") if g.name == "english")


@pytest.fixture(scope="module")
def detokenize(medlar, pulled):
    def text(tokens):
        asked = json.dumps({"tokens": [int(token) for token in tokens]}).encode()
        return medlar.run("tokenize", "-m", pulled(MODEL), "--detokenize", input=asked).decode(errors="surrogateescape")

    return text


def write(path, items):
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def wilson(correct, of):
    z, p = 1.959963984540054, correct / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return pytest.approx({"value": p, "low": middle - half, "high": middle + half}, abs=1e-12)


@pytest.fixture(scope="module")
def questions(medlar, pulled, english, detokenize, tmp_path_factory):
    """Items whose choices are likely next tokens, with what Transformers says of each: ln p."""
    items, log_p = [], []
    for place in PLACES:
        prompt = detokenize(english.tokens[:place])
        texts = [detokenize([token]) for token in english.top_ids[place - 1][:CHOICES]]
        items.append({"id": f"at {place}", "task": "next token", "prompt": prompt, "choices": texts, "answer": place % CHOICES})
        log_p.append(english.top[place - 1][:CHOICES].astype(np.float64))
    # Each text must be read as the tokens that the golden has.
    cases = tmp_path_factory.mktemp("eval") / "cases.txt"
    cases.write_text(f"\n{SEPARATOR}\n".join(item["prompt"] + text for item in items for text in item["choices"]))
    read = medlar.run("tokenize", "-m", pulled(MODEL), "--cases", cases).decode().splitlines()
    expected = [[*english.tokens[:place], token] for place in PLACES for token in english.top_ids[place - 1][:CHOICES]]
    assert [[int(token) for token in line.split()] for line in read] == [[int(t) for t in tokens] for tokens in expected]
    return items, log_p


def test_choices_are_as_likely_as_transformers_finds_them(medlar, pulled, questions, tmp_path):
    items, log_p = questions
    file, out = write(tmp_path / "items.jsonl", items), tmp_path / "results.jsonl"
    result = medlar.json("eval", "-m", pulled(MODEL), "-f", file, "--out", out, "--exact", "--json")
    by_sum, by_bytes = [], []
    for line, item, expected in zip(lines(out)[1:], items, log_p, strict=True):
        assert line["log_p"] == pytest.approx(expected, abs=1e-3)
        size = np.array([len(text.encode()) for text in item["choices"]])
        assert line["chosen"] == int(np.argmax(expected / size))
        by_bytes.append(line["chosen"] == item["answer"])
        by_sum.append(int(np.argmax(expected)) == item["answer"])
        assert line["correct"] == by_bytes[-1] and line["correct_sum"] == by_sum[-1]
    assert result["accuracy"] == wilson(sum(by_bytes), len(items))
    assert result["accuracy_sum"] == wilson(sum(by_sum), len(items))
    assert result["tasks"][0]["task"] == "next token" and result["complete"]


def test_a_choice_of_many_tokens_is_the_sum_over_them(medlar, pulled, english, detokenize, tmp_path):
    """The prompt's own ending, whose every token the golden has."""
    for first in (30, 70):
        texts = [detokenize(english.tokens[:first]), detokenize(english.tokens[first : english.prompt])]
        items = [{"prompt": texts[0], "choices": [texts[1], " no"], "answer": 0}]
        out = tmp_path / f"{first}.jsonl"
        asked = ["eval", "-m", pulled(MODEL), "-f", write(tmp_path / "items.jsonl", items), "--out", out, "--exact"]
        medlar.run(*asked)
        expected = english.next[first - 1 : english.prompt - 1].astype(np.float64).sum()
        assert lines(out)[1]["log_p"][0] == pytest.approx(expected, abs=1e-3 * (english.prompt - first))


def test_written_answers_are_the_greedy_ones(medlar, pulled, english, detokenize, tmp_path):
    tokens = english.tokens[english.prompt : english.prompt + 16]
    assert min(gap for _, _, gap in english.greedy[:16]) > 0.02  # no other implementation may choose differently
    prompt, text = detokenize(english.tokens[: english.prompt]), detokenize(tokens)
    word = text.split()[2]
    items = [
        {"task": "exact", "prompt": prompt, "expect": ["something else", f" {text}\n"]},
        {"task": "exact", "prompt": prompt, "expect": "something else"},
        {"task": "pattern", "prompt": prompt, "pattern": rf"[^a-z]{word}[^a-z]|\d{{40}}"},
        {"task": "pattern", "prompt": prompt, "pattern": f"^{word}$"},
        {"task": "stop", "prompt": prompt, "expect": text.split(word)[0], "stop": word},
    ]
    out = tmp_path / "results.jsonl"
    asked = ["eval", "-m", pulled(MODEL), "-f", write(tmp_path / "items.jsonl", items), "--out", out, "-n", 16, "--exact"]
    result = medlar.json(*asked, "--json")
    said = lines(out)[1:]
    assert [line["correct"] for line in said] == [True, False, True, False, True]
    assert said[0]["text"] == text and said[0]["finish_reason"] == "length" and said[4]["finish_reason"] == "stop"
    assert result["accuracy"] == wilson(3, 5) and "accuracy_sum" not in result
    assert {task["task"]: task["correct"] for task in result["tasks"]} == {"exact": 1, "pattern": 1, "stop": 1}


def test_a_seed_gives_the_same_answers_whatever_was_there_already(medlar, tiny, tmp_path):
    items = [{"id": f"i{i}", "prompt": f"the thread {i}", "expect": "x"} for i in range(6)]
    file, whole, parts = write(tmp_path / "items.jsonl", items), tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    asked = ["eval", "-m", tiny("llama"), "-f", file, "-n", 8, "--temp", 1, "--seed", 5, "--json", "--out"]
    medlar.run(*asked, whole)
    kept = whole.read_bytes().splitlines(keepends=True)
    parts.write_bytes(b"".join(kept[:3]) + kept[3][:10])
    result = medlar.json(*asked, parts)
    assert parts.read_bytes() == whole.read_bytes()
    assert result["found"] == 2 and result["complete"]
    assert len({line["text"] for line in lines(whole)[1:]}) > 1
    other = tmp_path / "other.jsonl"
    medlar.run(*["7" if word == 5 else word for word in asked], other)
    assert lines(other)[1]["text"] != lines(whole)[1]["text"]


def test_ctrl_c_keeps_what_there_is(medlar, tiny, tmp_path):
    items = [{"prompt": "the thread", "expect": "x"} for _ in range(400)]
    file, out = write(tmp_path / "items.jsonl", items), tmp_path / "results.jsonl"
    command = [medlar.path, "eval", "-m", tiny("llama"), "-f", file, "--out", out, "--json", "-n", "200"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=medlar.environment())
    for _ in range(600):
        if out.exists() and len(out.read_bytes().splitlines()) > 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    result = json.loads(said)
    assert process.returncode == 0 and not result["complete"] and b"goes on from here" in errors
    assert result["answered"] == len(lines(out)) - 1 < len(items)


@pytest.mark.parametrize(
    "line, expected",
    [
        ('{"prompt": "a"}', "one of choices, expect and pattern"),
        ('{"prompt": "a", "choices": ["b"], "expect": "c"}', "one of choices, expect and pattern"),
        ('{"prompt": "a", "choices": ["b"], "answer": 1}', "answer: must be the number of a choice, from 0 to 0"),
        ('{"prompt": "a", "choices": ["b", ""], "answer": 0}', "choices: one is empty"),
        ('{"prompt": "a", "expects": "b"}', "expects: is none of"),
        ('{"prompt": 1, "expect": "b"}', "prompt: must be a text"),
        ('{"prompt": "a", "expect": []}', "expect: must be a text"),
        ('{"prompt": "a", "pattern": "(b"}', "pattern, character 3"),
        ('["prompt"]', "must be an object"),
        ("{", "line 2"),
        ('{"id": "1", "prompt": "a", "expect": "b"}', 'lines 1 and 2 have the same id "1"'),
    ],
)
def test_a_wrong_line_is_named(medlar, tiny, tmp_path, line, expected):
    file = tmp_path / "items.jsonl"
    file.write_text('{"prompt": "a", "expect": "b"}\n' + line + "\n")
    message = medlar.fail("eval", "-m", tiny("llama"), "-f", file)
    assert expected in message and "items.jsonl" in message


def test_what_cannot_be_is_refused_with_the_reason(medlar, tiny, tmp_path):
    file, out = write(tmp_path / "items.jsonl", [{"prompt": "the", "expect": "x"}]), tmp_path / "results.jsonl"
    asked = ["eval", "-m", tiny("llama"), "-f", file, "-n", 2]
    medlar.run(*asked, "--out", out)
    assert "made with another seed" in medlar.fail(*asked, "--seed", 1, "--out", out, code=2)
    assert "made with another model" in medlar.fail("eval", "-m", tiny("qwen3"), *asked[3:], "--out", out, code=2)
    assert "holds no results" in medlar.fail(*asked, "--out", file)
    empty = write(tmp_path / "empty.jsonl", [])
    assert "holds no item" in medlar.fail("eval", "-m", tiny("llama"), "-f", empty)
    nothing = write(tmp_path / "nothing.jsonl", [{"prompt": "", "choices": ["a", "b"], "answer": 0}])
    assert "item 1: nothing stands before the choice" in medlar.fail("eval", "-m", tiny("llama"), "-f", nothing, code=2)
    long = write(tmp_path / "long.jsonl", [{"prompt": "the " * 100, "choices": ["a", "b"], "answer": 0}])
    assert "item 1: " in medlar.fail("eval", "-m", tiny("llama"), "-f", long, "-c", 16)
