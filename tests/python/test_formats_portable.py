"""The text that GPU kernels take from formats/: it compiles as C++14 without a library, with every pointer in its
address space, and uses nothing that GPUs lack."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The host's alone: see formats/portable.h.
REPLACED = {"formats/portable.h", "formats/format.h"}

PRELUDE = """
typedef unsigned char u8; typedef signed char i8; typedef unsigned short u16; typedef short i16;
typedef unsigned int u32; typedef int i32; typedef unsigned long long u64; typedef float f32;
#ifdef __clang__
#define MEDLAR_DEVICE __attribute__((address_space(1)))
#define CONSTANT __attribute__((address_space(2)))
#else
#define MEDLAR_DEVICE
#define CONSTANT
#endif
#define MEDLAR_FN static inline
#define MEDLAR_TABLE(T, name, n) static const CONSTANT T name[n]
#define MEDLAR_LARGE_TABLE(T, name, n) MEDLAR_TABLE(T, name, n)
u32 bits_u32(f32); f32 bits_f32(u32); f32 f16_bits_to_f32(u16); u16 f32_to_f16_bits(f32);
f32 bf16_bits_to_f32(u16); u16 f32_to_bf16_bits(f32);
"""

# Blocks of every format are decoded, those of the KV cache also encoded.
USE = """
using namespace medlar::formats;
template <class Block> f32 read(const MEDLAR_DEVICE u8* row, u32 i) {{
  return decode((const MEDLAR_DEVICE Block*)row + i / Block::kLength, i % Block::kLength);
}}
template <class Block> void write(const MEDLAR_DEVICE f32* x, MEDLAR_DEVICE u8* row) {{
  encode(x, (MEDLAR_DEVICE Block*)row);
}}
{instances}
"""

BANNED = {
    "a double": r"\bdouble\b|(?<![\w.])\d+\.\d*(?:[eE][-+]?\d+)?(?![\dfFeE.])",
    "the standard library": r"\bstd\s*::",
    "goto": r"\bgoto\b",
    "a lambda": r"\[[&=]?\]\s*[({]",
    "char": r"\bchar\b",
    "a virtual function": r"\bvirtual\b",
    "a word of GPU languages": r"\b(?:half|uint|ushort|uchar|kernel|device|constant|thread|threadgroup|global|local"
                               r"|private|vertex|fragment|sampler|texture|sin|cos|float[234]|uint[234])\b",
    "new or delete": r"\bnew\b|\bdelete\b",
}


def portable_text(path, seen):
    """The header as a GPU prelude takes it: after what it includes, without what is the host's."""
    if path in seen or path in REPLACED:
        return ""
    seen.add(path)
    text, host = "", False
    for line in (ROOT / path).read_text().splitlines():
        if line == "#ifdef MEDLAR_HOST":
            host = True
        elif line == "#endif":
            host = False
        elif match := re.match(r'#include "(.+)"', line):
            text += portable_text(match[1], seen)
        elif not host and not line.startswith(("#include", "#pragma once")):
            text += line + "\n"
    return text


def all_text():
    headers = re.findall(r'#include "(formats/.+)"', (ROOT / "formats/all.h").read_text())
    seen = set()
    return "".join(portable_text(header, seen) for header in headers)


def blocks():
    """(every block type, those that the portable text can encode)"""
    text = all_text()
    return re.findall(r"struct (Block\w+)", text), re.findall(r"void encode\(.*MEDLAR_DEVICE (Block\w+)\*", text)


def test_kv_types_can_be_written():
    every, written = blocks()
    assert len(every) == 26
    assert set(written) == {"BlockF32", "BlockF16", "BlockBf16", "BlockQ8_0", "BlockQ4_0"}


@pytest.mark.parametrize("compiler", [
    ["clang++-19", "-Wall", "-Wextra", "-Wno-undefined-internal"], ["g++", "-Wall", "-Wextra"],
], ids=lambda c: c[0])
@pytest.mark.parametrize("standard", ["c++14", "c++17", "c++20"])
def test_compiles_alone(tmp_path, compiler, standard):
    if not shutil.which(compiler[0]):
        pytest.skip(f"{compiler[0]} is not installed")
    every, written = blocks()
    instances = [f"template f32 read<{b}>(const MEDLAR_DEVICE u8*, u32);" for b in every]
    instances += [f"template void write<{b}>(const MEDLAR_DEVICE f32*, MEDLAR_DEVICE u8*);" for b in written]
    source = tmp_path / "formats.cpp"
    source.write_text(PRELUDE + all_text() + USE.format(instances="\n".join(instances)))
    options = [f"-std={standard}", "-ffreestanding", "-nostdinc", "-pedantic-errors", "-Werror", "-fsyntax-only"]
    result = subprocess.run([*compiler, *options, source], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_uses_nothing_that_gpus_lack():
    code = re.sub(r"//.*", "", all_text())
    found = {what: re.findall(pattern, code) for what, pattern in BANNED.items()}
    assert not any(found.values()), {what: hits for what, hits in found.items() if hits}


def test_every_pointer_parameter_has_an_address_space():
    code = re.sub(r"//.*", "", all_text())
    parameters = [p for _, body in re.findall(r"MEDLAR_FN \w+ (\w+)\(([^)]*)\)", code) for p in body.split(",") if "*" in p]
    assert len(parameters) > 20
    assert [p for p in parameters if "MEDLAR_DEVICE" not in p] == []
