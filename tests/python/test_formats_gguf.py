"""Formats against the gguf package: sizes, decoding and encoding, bit for bit.

The formats are reached through tests/formats/format_tool, from the build that --medlar or MEDLAR_BUILD names, or else
the newest one.
"""

import os
import pathlib
import subprocess

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

ROOT = pathlib.Path(__file__).resolve().parents[2]

# name: where the f16 scale factors lie in a block
SCALES = {
    "q4_0": [0], "q4_1": [0, 2], "q5_0": [0], "q5_1": [0, 2], "q8_0": [0], "q2_k": [80, 82], "q3_k": [108],
    "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208], "iq4_nl": [0], "iq4_xs": [0], "mxfp4": [],
    "iq3_s": [0], "iq3_xxs": [0], "iq2_s": [0], "iq2_xs": [0], "iq2_xxs": [0], "iq1_s": [0], "iq1_m": [],
    "tq1_0": [52], "tq2_0": [64], "nvfp4": [],
}
FLOATS = ["f32", "f16", "bf16"]
# Zeros, subnormals, ordinary numbers, the largest, infinities and NaNs, as bits of an f16.
SPECIAL = [0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00,
           0x7c01, 0xffff]


def gguf_type(name):
    return GGMLQuantizationType[name.upper()]


def sizes(name):
    """(elements, bytes) of a block"""
    return gguf.GGML_QUANT_SIZES[gguf_type(name)]


@pytest.fixture(scope="module")
def tool(request):
    medlar = request.config.getoption("--medlar", default=None)
    if medlar or os.environ.get("MEDLAR_BUILD"):
        builds = [pathlib.Path(medlar).resolve().parent if medlar else pathlib.Path(os.environ["MEDLAR_BUILD"])]
    else:
        builds = sorted(ROOT.glob("build/*"), key=lambda p: p.stat().st_mtime, reverse=True)
    for build in builds:
        path = build / "tests" / "formats" / "format_tool"
        if path.exists():
            return path
    pytest.skip("format_tool is not built")


@pytest.fixture
def convert(tool, tmp_path):
    """convert("decode" or "encode", type, array)"""

    def run(command, name, values):
        values.tofile(tmp_path / "in")
        subprocess.run([tool, command, name, tmp_path / "in", tmp_path / "out"], check=True)
        return np.fromfile(tmp_path / "out", np.float32 if command == "decode" else np.uint8)

    return run


def same_bits(ours, theirs):
    """Equal as bits, but for which NaN it is."""
    return (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))


def check_decode(convert, name, blocks):
    ours = convert("decode", name, blocks)
    with np.errstate(all="ignore"):
        if name == "bf16":  # one block a row
            theirs = quants.dequantize(blocks.reshape(1, -1), gguf_type(name)).ravel()
        else:
            theirs = quants.dequantize(blocks.reshape(-1, sizes(name)[1]), gguf_type(name)).ravel()
    equal = same_bits(ours, theirs.astype(np.float32, copy=False))
    assert equal.all(), f"{(~equal).sum()} of {equal.size} differ, first at {np.argmin(equal)}"


def test_sizes(tool):
    lines = subprocess.run([tool, "list"], check=True, capture_output=True, text=True).stdout.splitlines()
    names = set()
    for line in lines:
        name, number, length, size, use = line.split()
        assert gguf_type(name) == int(number)
        assert sizes(name) == (int(length), int(size)), name
        if use != "plain":
            names.add(name)
    assert names == {*SCALES, *FLOATS}


@pytest.mark.parametrize("name", [*SCALES, *FLOATS])
def test_decodes_random_blocks(convert, name):
    blocks = np.random.default_rng(1).integers(0, 256, 4000 * sizes(name)[1], dtype=np.uint8)
    check_decode(convert, name, blocks)


@pytest.mark.parametrize("name", [n for n in SCALES if SCALES[n]])
def test_decodes_special_scales(convert, name):
    offsets = SCALES[name]
    pairs = [(a, b) for a in SPECIAL for b in (SPECIAL if len(offsets) == 2 else [0])]
    blocks = np.random.default_rng(2).integers(0, 256, (len(pairs), sizes(name)[1]), dtype=np.uint8)
    for block, pair in zip(blocks, pairs):
        for offset, bits in zip(offsets, pair):
            block[offset:offset + 2] = np.frombuffer(np.uint16(bits).tobytes(), np.uint8)
    check_decode(convert, name, blocks.ravel())


def test_decodes_every_mxfp4_exponent(convert):
    blocks = np.random.default_rng(3).integers(0, 256, (256, 17), dtype=np.uint8)
    blocks[:, 0] = np.arange(256)
    check_decode(convert, "mxfp4", blocks.ravel())


def test_decodes_every_nvfp4_scale(convert):
    blocks = np.random.default_rng(7).integers(0, 256, (64, 36), dtype=np.uint8)
    blocks[:, :4] = np.arange(256).reshape(64, 4)
    check_decode(convert, "nvfp4", blocks.ravel())


def test_decodes_every_point_of_the_grids(convert):
    """Every byte where codes lie, with high bits that differ."""
    for name in ("iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", "iq1_s", "iq1_m"):
        size = sizes(name)[1]
        blocks = np.random.default_rng(8).integers(0, 256, (2048, size), dtype=np.uint8)
        blocks[:, :size // 2] = np.resize(np.arange(256, dtype=np.uint8), (2048, size // 2))
        check_decode(convert, name, blocks.ravel())


@pytest.mark.parametrize("name", ["tq1_0", "tq2_0"])
def test_encodes_ternary_values_as_gguf_does(convert, name):
    random = np.random.default_rng(9)
    values = (random.integers(-1, 2, (500, 256)) * 10.0 ** random.uniform(-3, 3, (500, 1))).astype(np.float32)
    values[0] = 0
    theirs = quants.quantize(values, gguf_type(name)).reshape(500, -1)
    assert (convert("encode", name, values).reshape(500, -1) == theirs).all()


def nearest_nvfp4(values):
    """The least errors of groups of 16, by trying every scale with every code."""
    scales = np.arange(127, dtype=np.uint8)
    scale = quants.NVFP4.ue4m3_to_fp32(scales).astype(np.float64)
    table = np.array(quants.NVFP4.kvalues, np.float64)
    errors = np.abs(scale[:, None, None, None] * table - values[None, :, :, None]).min(axis=3)
    return (errors**2).sum(axis=2).min(axis=0)


def test_encodes_nvfp4_exactly(convert):
    for what, values in sources(4):
        values = np.clip(values, -2688, 2688).astype(np.float32).reshape(-1, 16)
        blocks = convert("encode", "nvfp4", values)
        ours = quants.dequantize(blocks.reshape(-1, 36), gguf_type("nvfp4")).reshape(values.shape)
        errors = ((ours.astype(np.float64) - values)**2).sum(axis=1)
        assert np.allclose(errors, nearest_nvfp4(values.astype(np.float64)), rtol=1e-9, atol=0), what


@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_decodes_every_half(convert, name):
    check_decode(convert, name, np.arange(65536, dtype=np.uint16).view(np.uint8))


@pytest.mark.parametrize("name", FLOATS)
def test_encodes_floats(convert, name):
    random = np.random.default_rng(4)
    bits = random.integers(0, 1 << 32, 1 << 20, dtype=np.uint32)
    # Half of them where f16 changes between normal, subnormal and infinite numbers.
    bits[::2] = random.integers(0x32000000, 0x48000000, bits[::2].size, dtype=np.uint32) ^ (bits[::2] & 0x80000000)
    values = bits.view(np.float32)
    ours = convert("encode", name, values)
    with np.errstate(all="ignore"):
        theirs = np.ascontiguousarray(quants.quantize(values, gguf_type(name))).view(np.uint8)
    if name == "f32":
        assert (ours == theirs).all()
    else:
        ours, theirs = (convert("decode", name, half) for half in (ours, theirs))
        assert same_bits(ours, theirs).all()


def sources(rows):
    """Rows of 256 values of many kinds; magnitudes stay where gguf's own arithmetic is defined."""
    random = np.random.default_rng(5)
    yield "normal", random.normal(0, 1, (rows, 256))
    yield "small", random.normal(0, 1e-3, (rows, 256))
    yield "heavy tails", random.standard_t(2, (rows, 256))
    yield "magnitudes", random.normal(0, 1, (rows, 256)) * 10.0 ** random.integers(-30, 5, (rows, 1))
    yield "positive", random.uniform(0, 5, (rows, 256))
    yield "negative", random.uniform(-5, 0, (rows, 256))
    yield "integers", random.integers(-8, 9, (rows, 256))
    yield "halves", random.integers(-255, 256, (rows, 256)) / 2
    yield "sparse", random.normal(0, 1, (rows, 256)) * (random.uniform(0, 1, (rows, 256)) < 0.02)
    yield "constant", np.repeat(random.normal(0, 1, (rows, 1)), 256, axis=1)


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4"])
def test_encodes_as_gguf_does(convert, name):
    for what, values in sources(300):
        values = values.astype(np.float32)
        if name in ("q4_1", "q5_1"):
            values += 0.0  # of zeros of both signs, either may be the minimum
        with np.errstate(all="ignore"):
            theirs = quants.quantize(values, gguf_type(name)).reshape(-1, sizes(name)[1])
        ours = convert("encode", name, values).reshape(theirs.shape)
        equal = (ours == theirs).all(axis=1)
        if name == "mxfp4":
            # gguf takes the exponent from a rounded logarithm, which reaches the next integer too early.
            peaks = np.abs(values.reshape(-1, 32)).max(axis=1)
            equal |= np.frexp(peaks)[0] > 1 - 1e-5
        assert equal.all(), f"{what}: {(~equal).sum()} of {equal.size} blocks differ, first {np.argmin(equal)}"


# Formats that gguf cannot write: gguf reads what we wrote, within these relative errors on normal values, which are
# those of ggml's quantizers without an importance matrix (as in tests/formats/test_encode.cpp).
BARS = {"q2_k": 0.2965, "q3_k": 0.1509, "q4_k": 0.0714, "q5_k": 0.0362, "q6_k": 0.0178, "iq4_nl": 0.0787,
        "iq4_xs": 0.0768, "iq3_s": 0.1368, "iq3_xxs": 0.1815, "iq2_s": 0.2485, "iq2_xs": 0.2994, "iq2_xxs": 0.3436,
        "iq1_m": 0.4511, "iq1_s": 0.4853, "tq1_0": 0.8060, "tq2_0": 0.8060}


@pytest.mark.parametrize("name", BARS)
def test_gguf_reads_what_was_written(convert, name):
    values = np.random.default_rng(6).normal(0, 0.02, (1000, 256)).astype(np.float32)
    blocks = convert("encode", name, values).reshape(1000, -1)
    error = quants.dequantize(blocks, gguf_type(name)) - values
    assert np.sqrt(np.mean(error**2) / np.mean(values**2)) < BARS[name]
