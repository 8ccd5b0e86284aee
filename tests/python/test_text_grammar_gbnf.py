"""GBNF against lark's Earley parser: the same texts are accepted, and what is generated parses."""

import random
import re

import pytest

from grammar_support import tool_fixture

lark = pytest.importorskip("lark")
gbnf = tool_fixture("gbnf")

# Each grammar of the shared folder as lark writes it, by hand.
LARK = {
    "arithmetic": r"""
        start: (expr "=" ws term "\n")+
        expr: term (/[-+*\/]/ term)*
        term: ident | num | "(" ws expr ")" ws
        ident: /[a-z]/ /[a-z0-9_]/* ws
        num: /[0-9]/+ ws
        ws: /[ \t\n]/*
    """,
    "chess": r"""
        start: "1" "." " " move " " move "\n" (/[1-9]/ /[0-9]/? "." " " move " " move "\n")+
        move: (pawn | nonpawn | castle) /[+#]/?
        nonpawn: /[NBKQR]/ /[a-h]/? /[1-8]/? "x"? /[a-h]/ /[1-8]/
        pawn: (/[a-h]/ "x")? /[a-h]/ /[1-8]/ ("=" /[NBKQR]/)?
        castle: "O" "-" "O" ("-" "O")?
    """,
    "japanese": r"""
        start: jp+ (/[ \t\n]/ jp+)*
        jp: /[ぁ-ゟ]/ | /[ァ-ヿ]/ | /[、-〾]/ | /[一-鿿]/
    """,
    "json_arr": r"""
        start: "[" "\n" ws (value ("," "\n" ws value)*)? "]"
        value: object | array | string | number | (/t/ /r/ /u/ /e/ | /f/ /a/ /l/ /s/ /e/ | /n/ /u/ /l/ /l/) ws
        object: "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws
        array: "[" ws (value ("," ws value)*)? "]" ws
        string: "\"" (/[^"\\\x7F\x00-\x1F]/ | "\\" (/["\\bfnrt]/ | "u" hex hex hex hex))* "\"" ws
        hex: /[0-9a-fA-F]/
        number: ("-"? (/[0-9]/ | /[1-9]/ /[0-9]/~0..15)) ("." /[0-9]/+)? (/[eE]/ /[-+]/? /[1-9]/ /[0-9]/~0..15)? ws
        ws: | " " | "\n" /[ \t]/~0..20
    """,
}


class Earley:
    def __init__(self, grammar):
        # Every terminal is one character, so that the dynamic lexer has nothing to decide.
        self.parser = lark.Lark(grammar, parser="earley", lexer="dynamic", ambiguity="forest")

    def accepts(self, text):
        try:
            self.parser.parse(text)
            return True
        except lark.exceptions.LarkError:
            return False


def changed(text, random_):
    """A text near another one."""
    at = random_.randrange(len(text) + 1)
    piece = random_.choice(list(text or "x") + list('"[]{}(),:=-+ \n.0aOxé日'))
    return random_.choice([text[:at] + piece + text[at:], text[:at] + text[at + 1 :], text[:at] + piece + text[at + 1 :]])


@pytest.mark.parametrize("name", sorted(LARK))
def test_shared_grammars(shared_data, gbnf, name):
    source = (shared_data / "grammars" / f"{name}.gbnf").read_text()
    earley, random_ = Earley(LARK[name]), random.Random(1)
    texts = [text for text in gbnf.ask(source, generate=60, seed=1, bytes=25)["texts"] if text]
    texts = [text for text in texts if len(text) < 90]
    assert len(texts) > 4
    near = [changed(text, random_) for text in texts for _ in range(3)]
    assert all(earley.accepts(text) for text in texts)
    expected = [earley.accepts(text) for text in near]
    assert gbnf.accepts(source, near) == expected
    assert True in expected and False in expected


class Grammars:
    """Random small grammars over a and b, as GBNF and as lark: left and right recursion, nothing, ambiguity."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.rules = ["s", "t", "u", "v"][: self.random.randint(1, 4)]

    def expression(self, depth):
        r = self.random
        kind = r.randrange(7 if depth else 3)
        if kind == 0:
            text = r.choice(["a", "b", "ab", "ba"])
            return f'"{text}"', "(" + " ".join(f'"{c}"' for c in text) + ")"
        if kind == 1:
            return "[ab]", "/[ab]/"
        if kind == 2:
            rule = r.choice(self.rules)
            return rule, rule
        parts = [self.expression(depth - 1) for _ in range(r.randint(2, 3))]
        if kind in (3, 4):
            return tuple("(" + " ".join(part[i] for part in parts) + ")" for i in range(2))
        if kind == 5:
            return tuple("(" + " | ".join(part[i] for part in parts) + ")" for i in range(2))
        count = r.choice([("?", "?"), ("*", "*"), ("+", "+"), ("{2}", "~2"), ("{1,3}", "~1..3"), ("{0,5}", "~0..5")])
        return tuple(f"({parts[0][i]}){count[i]}" for i in range(2))

    def grammar(self):
        bodies = {rule: self.expression(3) for rule in self.rules}
        return (
            "root ::= s\n" + "\n".join(f"{rule} ::= {body[0]}" for rule, body in bodies.items()),
            "start: s\n" + "\n".join(f"{rule}: {body[1]}" for rule, body in bodies.items()),
        )


def words(n):
    return [""] + [word + c for word in words(n - 1) for c in "ab"] if n else [""]


@pytest.mark.parametrize("seed", range(8))
def test_random_grammars(gbnf, seed):
    grammars, compared = Grammars(seed), 0
    texts = sorted(set(words(5)))
    for _ in range(15):
        source, other = Grammars(grammars.random.random()).grammar()
        answer = gbnf.ask(source, accept=texts)
        accepts = answer.get("accept", [False] * len(texts))
        assert "error" not in answer or "allows no text" in answer["error"], (source, answer)
        try:
            earley = Earley(other)
        except lark.exceptions.GrammarError:
            continue
        expected = [earley.accepts(text) for text in texts]
        assert accepts == expected, (source, [t for t, a, e in zip(texts, accepts, expected, strict=True) if a != e])
        compared += 1
    assert compared > 8


def test_notation(gbnf):
    """Pieces of the notation, each with what Python's "re" says about the same language."""
    cases = [
        (r'root ::= "\x41\u00e9\U0001F999\t\n\\\""', 'Aé🦙\t\n\\\\"'),
        (r'root ::= [^a-c\]]+ # comment "', r"[^a-c\]]+"),
        ("root ::= [a-]{2,}", "[a-]{2,}"),
        ('root ::= ("a" | "b"\n  | "c")+ x\nx-y ::= "z"\nx ::= x-y?', "[abc]+z?"),
        ("root ::=\n  .{3}", r"[\s\S]{3}"),
        ('root ::= "ab"* "" | "c"{0} "d"', "(ab)*|d"),
    ]
    random_ = random.Random(1)
    for source, pattern in cases:
        texts = ["".join(random_.choices('abcdzAé🦙\t\n\\"]-', k=random_.randrange(6))) for _ in range(300)]
        texts += ['Aé🦙\t\n\\"', "ab", "abz", "abab", "d", "ad-", "--"]
        assert gbnf.accepts(source, texts) == [bool(re.fullmatch(pattern, text)) for text in texts], source
