#!/usr/bin/env python3
"""Checks what the compiler cannot: includes point downward, GPU names and environment variables stay in place.

A room's CMakeLists.txt says which rooms it may include: medlar_room(NAME ... ROOMS a b ...). Includes may reach
those, and the rooms those reach. Prints one line per violation and exits 1 if there is any. Files over 600
lines are listed as a warning. --self-test plants one violation of each rule in a scratch tree and checks that
each is found.
"""

import argparse
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = (".h", ".cpp", ".mm", ".m", ".inc", ".cuh", ".cu", ".metal")
MAX_LINES = 600

# GPU names may occur only here.
GPU_HOMES = ("kernels/gpu", "runtime/cuda", "runtime/metal", "tests/kernels/gpu", "tests/gpu", "bench/gpu")
GPU_NAMES = re.compile(r'\b(cuda[A-Z]\w*|cu[A-Z][a-z]\w+|CU(device|context|stream|module|function|result)\b|nvrtc\w+'
                       r'|MTL[A-Z]\w+|id<MTL\w+|NS[A-Z]\w+|__global__|__shared__|threadgroup_barrier)')

# The environment is no interface: each variable here is documented in docs/cli.md.
ENVIRONMENT = {
    "MEDLAR_CPU", "MEDLAR_HOME", "HF_TOKEN", "HF_ENDPOINT", "NO_COLOR", "TERM", "COLUMNS", "HOME",
    "XDG_DATA_HOME", "PATH", "TMPDIR",
    # libcurl's own customs, which the store follows
    "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
}
GETENV = re.compile(r'\bgetenv\s*\(\s*([^)]*)\)')
CAPITALS = re.compile(r'"([A-Z][A-Z0-9_]+)"')
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
ROOM = re.compile(r'medlar_room\(\s*(\w+)([^)]*)\)', re.S)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/', re.S)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def read_rooms(root):
    """{folder: (room name, names of the rooms it may include directly)}"""
    rooms = {}
    for lists in sorted(root.glob("*/**/CMakeLists.txt")) + sorted(root.glob("*/CMakeLists.txt")):
        if "build" in lists.relative_to(root).parts:
            continue
        text = re.sub(r"#[^\n]*", "", lists.read_text())
        for name, body in ROOM.findall(text):
            words, key, allowed = body.split(), "", set()
            for word in words:
                if word in ("SOURCES", "ROOMS", "LIBS"):
                    key = word
                elif key == "ROOMS":
                    allowed.add(word)
            rooms[str(lists.parent.relative_to(root))] = (name, allowed)
    return rooms


def reachable(rooms):
    """{room name: every room it may include}"""
    direct = dict(rooms.values())
    closure = {}
    for name in direct:
        seen, todo = {name}, [name]
        while todo:
            for other in direct.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        closure[name] = seen
    return closure


def room_of(path, rooms):
    """The room whose folder is the closest one above `path`, or None."""
    for folder in path.parents:
        if str(folder) in rooms:
            return rooms[str(folder)][0]
    return None


def check_file(root, path, rooms, closure):
    text = (root / path).read_text(errors="replace")
    room = room_of(path, rooms)
    for match in INCLUDE.finditer(text) if room else ():
        target = pathlib.PurePosixPath(match[1])
        line = text.count("\n", 0, match.start()) + 1
        other = room_of(target, rooms)
        if not (root / target).exists() and (root / path.parent / target).exists():
            yield f"{path}:{line}: \"{target}\" is not written from the repository's root"
        elif other and other not in closure[room]:
            yield f"{path}:{line}: room {room} may not include room {other} ({target})"
    code = COMMENT.sub(lambda m: "\n" * m[0].count("\n"), text)
    if room and not str(path).startswith(GPU_HOMES):
        bare = STRING.sub('""', code)
        for match in GPU_NAMES.finditer(bare):
            yield f"{path}:{bare.count(chr(10), 0, match.start()) + 1}: the GPU name {match[0]} outside its home"
    for match in GETENV.finditer(code) if room else ():
        # A name passed on by a helper function is one of the upper-case strings of the same file.
        names = [match[1].strip('" ')] if match[1].startswith('"') else CAPITALS.findall(code)
        for name in sorted(set(names) - ENVIRONMENT):
            yield f"{path}:{code.count(chr(10), 0, match.start()) + 1}: reads the environment variable {name}"


def check(root):
    """(violations, warnings) of the tree at root."""
    rooms = read_rooms(root)
    closure = reachable(rooms)
    problems, warnings = [], []
    for name, allowed in rooms.values():
        problems += [f"room {name} names room {other}, which does not exist" for other in allowed - set(closure)]
        problems += [f"rooms {name} and {other} include each other"
                     for other in closure[name] - {name} if other in closure and name in closure[other]]
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root)
        if file.suffix not in SOURCES or path.parts[0] in ("build", ".git") or not file.is_file():
            continue
        problems += check_file(root, path, rooms, closure)
        lines = file.read_bytes().count(b"\n")
        if lines > MAX_LINES:
            warnings.append(f"{path}: {lines} lines")
    return problems, warnings


def self_test():
    """Each planted violation is found, and a clean tree has none."""
    files = {
        "low/CMakeLists.txt": "medlar_room(low\n  SOURCES low.cpp)\n",
        "mid/CMakeLists.txt": "medlar_room(mid SOURCES mid.cpp ROOMS low LIBS fmt::fmt)\n",
        "high/CMakeLists.txt": "medlar_room(high SOURCES high.cpp ROOMS mid)\n",
        "low/low.h": "// getenv(\"SECRET\") and cudaMalloc in a comment\n",
        "high/high.h": '#include "low/low.h"\nconst char* text = "cudaMalloc";\n',
    }
    planted = {
        'low/low.cpp': ('#include "high/high.h"\n', "room low may not include room high"),
        'mid/mid.cpp': ('auto p = cudaMalloc(1);\n', "the GPU name cudaMalloc"),
        'high/high.cpp': ('auto p = std::getenv("SECRET");\n', "environment variable SECRET"),
        'high/env.cpp': ('auto get(const char* n) { return getenv(n); }\nauto p = get("SECRET");\n', "SECRET"),
        'high/near.cpp': ('#include "high.h"\n', "not written from the repository's root"),
    }
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text)
        assert check(root) == ([], []), check(root)
        for name, (text, message) in planted.items():
            (root / name).write_text(text)
            problems = check(root)[0]
            assert len(problems) == 1 and name in problems[0] and message in problems[0], problems
            (root / name).unlink()
    print("check_includes: every planted violation was found")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--self-test", action="store_true", help="check the checker")
    if parser.parse_args().self_test:
        self_test()
        return 0
    problems, warnings = check(ROOT)
    for warning in warnings:
        print(f"warning: {warning}, more than {MAX_LINES}")
    for problem in problems:
        print(problem)
    print(f"check_includes: {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
