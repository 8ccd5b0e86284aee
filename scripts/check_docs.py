#!/usr/bin/env python3
"""Checks that the documentation agrees with the tree: links lead somewhere, generated parts are up to date.

A generated part lies between the lines "<!-- generated: COMMAND -->" and "<!-- end of generated part -->", and
equals what COMMAND prints; "medlar" in it is the program that --medlar names. --write brings the parts up to date.
"""

import argparse
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
PART = re.compile(r"(<!-- generated: ([^\n]*) -->\n)(.*?)(<!-- end of generated part -->)", re.S)


def pages():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.split()]


def broken_links(page):
    for match in LINK.finditer(page.read_text()):
        target = match[1]
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            yield f"{page.relative_to(ROOT)}: the link to {target} leads nowhere"


def generate(command, medlar):
    words = [str(medlar) if word == "medlar" else word for word in shlex.split(command)]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def stale_parts(page, medlar, write):
    text = page.read_text()
    fresh = PART.sub(lambda m: f"{m[1]}\n{generate(m[2], medlar).strip()}\n\n{m[4]}", text)
    if fresh == text:
        return
    if write:
        page.write_text(fresh)
    else:
        yield f"{page.relative_to(ROOT)}: a generated part is out of date; run scripts/check_docs.py --write"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--medlar", type=pathlib.Path, default=ROOT / "build" / "release" / "medlar")
    parser.add_argument("--write", action="store_true", help="bring generated parts up to date")
    args = parser.parse_args()
    problems = []
    for page in pages():
        problems += broken_links(page)
        problems += stale_parts(page, args.medlar.resolve(), args.write)
    print("\n".join([*problems, f"check_docs: {len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
