"""Regular expressions against Python's: the same texts match, whatever the pattern."""

import random
import re

import pytest

from grammar_support import tool_fixture

regex = tool_fixture("regex")
schema = tool_fixture("open-schema")


class Patterns:
    pieces = ["a", "b", ".", "[ab]", "[^a]", "[a-c1-3]", r"\d", r"\w", r"\s", r"\.", r"\x62", r"\u0061", "é", r"[\d-]", "1"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pattern(self, depth=3):
        r = self.random
        kind = r.randrange(8) if depth else 0
        if kind < 2:
            return r.choice(self.pieces)
        if kind < 5:
            return "".join(self.pattern(depth - 1) for _ in range(r.randint(1, 3)))
        if kind == 5:
            return "(" + "|".join(self.pattern(depth - 1) for _ in range(r.randint(1, 3))) + ")"
        if kind == 6:
            return r.choice(["^", "$", "^", "$", ""]) + self.pattern(depth - 1)
        return f"(?:{self.pattern(depth - 1)})" + r.choice(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?"])

    def text(self):
        return "".join(self.random.choices("aaabbc13é. -", k=self.random.randrange(7)))


@pytest.mark.parametrize("seed", range(10))
def test_random_patterns(regex, schema, seed):
    patterns = Patterns(seed)
    for _ in range(80):
        pattern = patterns.pattern()
        texts = [patterns.text() for _ in range(60)] + [""]
        whole = [bool(re.fullmatch(f"(?:{pattern})", text, re.ASCII)) for text in texts]
        answer = regex.ask(pattern, accept=texts)
        if "error" in answer:
            assert "allows no text" in answer["error"] and not any(whole), (pattern, answer)
            continue
        assert answer["accept"] == whole, (pattern, [t for t, a, w in zip(texts, answer["accept"], whole) if a != w])
        found = [bool(re.search(pattern, text, re.ASCII)) for text in texts]
        quoted = [f'"{text}"' for text in texts]
        assert schema.accepts({"type": "string", "pattern": pattern}, quoted) == found, pattern
        for text in regex.ask(pattern, generate=10, seed=seed, bytes=20)["texts"]:
            flags = (re.ASCII, re.UNICODE)  # \s has spaces beyond ASCII, \d has no digits there
            assert text is None or any(re.fullmatch(f"(?:{pattern})", text, flag) for flag in flags), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "character 2: a ( without its )"),
        ("a)", "character 2: a ) without its ("),
        ("[a", "a [ without its ]"),
        ("[b-a]", "wrong way round"),
        ("*", "nothing stands before"),
        ("a**", "two quantifiers"),
        (r"\1", "a back reference is not supported"),
        (r"\bword", "a word boundary is not supported"),
        ("(?!a)b", "looking ahead or behind is not supported"),
        (r"\p{Script=Greek}", 'the property "Script=Greek" is not supported'),
        (r"\q", "the escape \\q is not supported"),
        ("a{1000000}", "more than 100000 repetitions"),
        ("((a{1,300}){1,300}){1,300}", "states"),
        (r"\xZ", "hexadecimal"),
        ("a\\", "a \\ at the end"),
    ],
)
def test_errors(regex, pattern, message):
    assert message in regex.ask(pattern, accept=[]).get("error", "no error")


def test_properties(regex):
    assert regex.accepts(r"\p{Lu}\p{Letter}*\P{L}", ["Äbc1", "Éé ", "äb1", "ABC"]) == [True, True, False, False]
