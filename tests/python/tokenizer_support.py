"""For the tokenizer tests: a seeded generator of lines of everything people type, and our tokenizer as a command."""

import os
import pathlib
import random
import subprocess
import unicodedata

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MEDLAR_BUILD", ROOT / "build" / "release"))
SEPARATOR = b"\n__ggml_vocab_test__\n"
SPACE_MARK = "\u2581"


class Ours:
    """The tokenizer of a model file. `medlar` is the fixture; `folder` takes scratch files."""

    def __init__(self, medlar, model, folder):
        self.medlar, self.model, self.folder = medlar, model, folder

    def encode(self, texts, *options):
        """Token ids of each text, given as bytes, without begin and end tokens."""
        cases = self.folder / "cases"
        # A separator after the last case too: an empty last case would go unnoticed otherwise.
        cases.write_bytes(b"".join(text + SEPARATOR for text in texts))
        out = self.medlar.run("tokenize", "-m", self.model, "--no-special", *options, "--cases", cases).decode()
        lines = out.split("\n")[:-1]
        assert len(lines) == len(texts)
        return [[int(word) for word in line.split()] for line in lines]

    def decode(self, ids):
        """The bytes of each list of ids, special tokens by name."""
        tool = BUILD / "tests" / "text" / "detokenize_tool"
        if not tool.exists():
            pytest.skip(f"{tool} is not built")
        text = "".join(" ".join(map(str, line)) + "\n" for line in ids)
        out = subprocess.run([tool, self.model], check=True, capture_output=True, input=text.encode()).stdout.decode()
        return [bytes.fromhex(line) for line in out.split("\n")[:-1]]


WORDS = """the of and to a in is that it was for on are as with his they at be this from have or by one had not but
what all were when we there can an your which their said if do will each about how up out them then she many some so
these would other into has more her two like him see time could no make than first been its who now people my made
over did down only way find use may water long little very after words called just where most know I'm you're don't
it's we've they'll he'd Y'ALL I'VE ISN'T antidisestablishmentarianism naïve café Zürich façade coöperate O'Neill
HTTPServer getElementById snake_case camelCase SCREAMING_CASE kebab-case x86_64 utf8 GPT4 3rd 1980s""".split()

SCRIPTS = [
    "нещо на Български и по-русски тоже ёлка",
    "我想在苹果公司工作，因为那里的天气很好。中文没有空格",
    "これは日本語のテキストです。カタカナとひらがな、漢字を混ぜる",
    "한국어 텍스트는 띄어쓰기가 있습니다",
    "العربية تُكتب من اليمين إلى اليسار مع تشكيل",
    "हिन्दी में संयुक्ताक्षर और मात्राएँ होती हैं",
    "ภาษาไทยไม่มีการเว้นวรรคระหว่างคำ",
    "កាន់តែពិសេសអាចខលចេញ",
    "Ελληνικά με τόνους: άέήίόύώ ΐΰ",
    "עברית עם נִקּוּד",
    "ქართული ენა Ⴀ ᲐᲑᲒ",
    "Tiếng Việt có nhiều dấu: ở ữ ậ ễ",
    "İstanbul'da ığüşöç ÇĞ",
    "ﬁne ﬂow ﬀ ½ ¾ ² ³ ① Ⅷ ㊿ ℃ ™ ﷺ",
]

EMOJI = ["🚀", "😶‍🌫️", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "❤️", "✅", "🦙", "1️⃣", "😀😃😄"]

CODE = [
    "for (int i = 0; i < n; ++i) {\n    sum += a[i] * b[i];\n}\n",
    "def f(x):\n\treturn x**2 if x != 0 else None  # comment\n\n\n",
    '{"key": [1, 2.5e-10, true, null], "nested": {"a": "\\u00e9\\n"}}',
    "SELECT * FROM t WHERE a='it''s' AND b>=100;--x",
    "<div class=\"a b\"><p>Text &amp; more</p>\n  <br/>\n</div>",
    "#include <vector>\r\n#define X(a,b) ((a)<(b)?(a):(b))\r\n",
    "    if (x) {\n        y();\n    }\n\n        z();\n",
    "https://example.com/a/b?c=d&e=%20f#g user@example.org 192.168.0.1:8080",
    "$ git log --oneline | awk '{print $1}' > /tmp/x 2>&1",
    "\\begin{equation}\\frac{a}{b}\\end{equation}",
]

SPACES = [" ", "  ", "   ", "       ", "\t", "\t\t", "\n", "\n\n", "\n\n\n", "\r\n", " \n", "\n ", "\t\n", "\u00a0",
          "\u3000", "\u2003", "\u2028", "\u0085", "\v", "\f", "\u200b", "\u180e"]

PUNCTUATION = ["!!!!", "...", "…", "?!", "“quoted”", "‘x’", "—", "-- --", "((()))", "[]{}", "/*", "*/", "://", "%%%",
               "$$$", "```", "'''", '"""', "<|>", "~~~", "；：，。", "¿¡", "$1,234.56", "€", "+-*/=", "^_^"]

# Characters whose category has not changed since Unicode 3.2, so that every library agrees on what they are.
STABLE = [chr(c) for c in range(0x110000)
          if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")
          and unicodedata.ucd_3_2_0.category(chr(c)) == unicodedata.category(chr(c))]


def fragment(rng, names):
    kind = rng.randrange(12)
    if kind < 4:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 8)))
    if kind == 4:
        text = rng.choice(SCRIPTS)
        start = rng.randrange(len(text))
        return text[start : start + rng.randint(1, 20)]
    if kind == 5:
        return rng.choice(EMOJI)
    if kind == 6:
        code = rng.choice(CODE)
        start = rng.randrange(len(code))
        return code[start : start + rng.randint(1, 40)]
    if kind == 7:
        return rng.choice(PUNCTUATION)
    if kind == 8:
        return str(rng.randrange(10 ** rng.randint(1, 12)))
    if kind == 9:
        return "".join(rng.choice(STABLE) for _ in range(rng.randint(1, 5)))
    if kind == 10:
        return rng.choice(names) if rng.randrange(4) == 0 else rng.choice(WORDS).upper()
    return rng.choice(["a", "A", "=", "ा", "́", "é", "ß"]) * rng.randint(1, 30)


def line(rng, names):
    parts = []
    for _ in range(rng.randint(1, 8)):
        parts.append(fragment(rng, names))
        parts.append(rng.choice(SPACES) if rng.randrange(3) == 0 else rng.choice(["", " "]))
    return "".join(parts)


def all_lines(count, names=("<name>",)):
    """The same lines each time, for the same arguments. `names` are texts that mean something to the tokenizer."""
    rng = random.Random(20240229)
    lines = ["", " ", "  ", "\n", "a", SPACE_MARK, f"a{SPACE_MARK}b {SPACE_MARK}"]
    return lines + [line(rng, names) for _ in range(count - len(lines))]


def broken(rng, text, bytes_allowed):
    """Valid text, damaged: bytes put in, cut out or cut short."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        if rng.randrange(3) == 0 and data:
            del data[at : at + 1]
        else:
            data[at:at] = bytes(rng.choice(bytes_allowed) for _ in range(rng.randint(1, 3)))
    return bytes(data)


def differing(texts, ours, theirs):
    return [(text, a, b) for text, a, b in zip(texts, ours, theirs) if a != b]


def assert_same(texts, ours, theirs):
    assert len(texts) == len(ours) == len(theirs)
    wrong = differing(texts, ours, theirs)
    assert not wrong, f"{len(wrong)} of {len(texts)} lines differ, first (text, ours, theirs): {wrong[:3]}"
