#!/usr/bin/env python3
"""Prints the architectures that run as a table: models/all.h, the first comment of each file, and the goldens."""

import ast
import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDENS = ROOT / "tests" / "goldens"
LINE = re.compile(r'X\((\w+), "([^"]+)", "([^"]+)"\)')


def file_of(id):
    return next(path for path in sorted((ROOT / "models").glob("*.cpp")) if f"Model build_{id}(" in path.read_text())


def comment(path):
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("//"):
            break
        lines.append(line.removeprefix("//").strip())
    return " ".join(lines)


def architecture(gguf):
    """The value of general.architecture: a u32 type, a u64 length and the characters behind the key."""
    data = gguf.read_bytes()
    at = data.index(b"general.architecture") + len("general.architecture")
    _, length = struct.unpack_from("<IQ", data, at)
    return data[at + 12 : at + 12 + length].decode()


def listed(name):
    """A table of golden.py, without what that imports."""
    for node in ast.parse((GOLDENS / "golden.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"golden.py has no {name}")


def main():
    covers = {}
    for table, prefix in (("TINY", "tiny"), ("ENCODERS", "encoder")):
        for name, what in listed(table).items():
            covers.setdefault(architecture(GOLDENS / f"{prefix}-{name}.gguf"), []).append(f"`{name}`: {what}")
    print("| `general.architecture` | models | what it is, and whose paper has it | goldens: what each covers |")
    print("|---|---|---|---|")
    for id, name, title in LINE.findall((ROOT / "models" / "all.h").read_text()):
        path = file_of(id)
        link = f"[{path.name}](../{path.relative_to(ROOT)})"
        print(f"| `{name}` | {title} | {link}: {comment(path)} | {'; '.join(covers.get(name, []))} |")


if __name__ == "__main__":
    main()
