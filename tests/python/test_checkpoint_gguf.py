"""GGUF files as Medlar and as the gguf package read them: metadata and tensor bytes must be equal.

The tool is tests/checkpoint/gguf_tool of a build folder: $MEDLAR_BUILD, or build/release.
"""

import json
import os
import subprocess
from pathlib import Path

import gguf
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MEDLAR_BUILD", ROOT / "build" / "release"))
TOOL = BUILD / "tests" / "checkpoint" / "gguf_tool"
VOCABULARIES = sorted((ROOT.parent / "shared" / "data" / "tokenizers").glob("*.gguf"))

T = gguf.GGUFValueType


@pytest.fixture(scope="module", autouse=True)
def tool():
    if not TOOL.exists():
        pytest.skip(f"{TOOL} is not built")


def run(*args):
    return subprocess.run([TOOL, *map(str, args)], check=True, capture_output=True).stdout


def by_medlar(path):
    """{key: (is array, element type, value)} and {name: (type, shape, bytes)}; strings as bytes."""
    dump = json.loads(run("dump", path))

    def decode(entry):
        value = entry["value"]
        if entry["type"] == T.STRING:
            value = [bytes.fromhex(v) for v in value] if entry["array"] else bytes.fromhex(value)
        return entry["array"], entry["type"], value

    metadata = {bytes.fromhex(k).decode(): decode(e) for k, e in dump["metadata"].items()}
    tensors = {}
    for name, t in dump["tensors"].items():
        name = bytes.fromhex(name).decode()
        data = run("data", path, name)
        assert len(data) == t["bytes"]
        tensors[name] = (t["type"], t["shape"], data)
    return metadata, tensors


def by_gguf(path):
    reader = gguf.GGUFReader(path)
    metadata = {}
    for name, field in reader.fields.items():
        if name.startswith("GGUF."):
            continue  # the header
        is_array = field.types[0] == T.ARRAY
        element = field.types[-1] if is_array else field.types[0]
        parts = [field.parts[i] for i in field.data]
        values = [p.tobytes() if element == T.STRING else p[0].item() for p in parts]
        metadata[name] = (is_array, int(element), values if is_array else values[0])
    tensors = {
        t.name: (int(t.tensor_type), [int(n) for n in reversed(t.shape)], t.data.tobytes()) for t in reader.tensors
    }
    return metadata, tensors


def canonical(value):
    """NaN equals itself here."""
    return repr(value)


def assert_same(path):
    ours, theirs = by_medlar(path), by_gguf(path)
    assert list(ours[0]) == list(theirs[0])
    for key, value in theirs[0].items():
        assert canonical(ours[0][key]) == canonical(value), key
    assert list(ours[1]) == list(theirs[1])
    for name, tensor in theirs[1].items():
        assert ours[1][name] == tensor, name
    return theirs


if VOCABULARIES:

    @pytest.mark.parametrize("path", VOCABULARIES, ids=lambda p: p.name)
    def test_vocabulary_files_read_the_same(path):
        metadata, _ = assert_same(path)
        assert metadata["tokenizer.ggml.tokens"][2]

else:

    @pytest.mark.skip(reason="../shared/data/tokenizers is absent")
    def test_vocabulary_files_read_the_same():
        pass


SCALARS = [
    (T.UINT8, [0, 255]),
    (T.INT8, [-128, 127]),
    (T.UINT16, [0, 65535]),
    (T.INT16, [-32768, 32767]),
    (T.UINT32, [0, 2**32 - 1]),
    (T.INT32, [-(2**31), 2**31 - 1]),
    (T.UINT64, [0, 2**64 - 1]),
    (T.INT64, [-(2**63), 2**63 - 1]),
    (T.FLOAT32, [1e-6, -3.4e38, float("inf"), float("nan"), -0.0]),
    (T.FLOAT64, [1e-300, 1.7976931348623157e308, float("-inf"), 0.1]),
    (T.BOOL, [True, False]),
    (T.STRING, ["", "plain", "caf\u00e9 \U0001f333", "line\nbreak\x00nul", "x" * 70000]),
]


def write_with_gguf(path, alignment=None, **options):
    writer = gguf.GGUFWriter(path, "sample", **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    for kind, values in SCALARS:
        for i, value in enumerate(values):
            writer.add_key_value(f"scalar.{kind.name.lower()}.{i}", value, kind)
        writer.add_key_value(f"array.{kind.name.lower()}", values, T.ARRAY, sub_type=kind)
    random = np.random.default_rng(1)
    for dtype in (np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64):
        writer.add_tensor(f"t.{np.dtype(dtype).name}", random.integers(-100, 100, (3, 5)).astype(dtype))
    for rank in range(1, 5):
        writer.add_tensor(f"rank.{rank}", random.standard_normal((2, 3, 4, 5)[:rank]).astype(np.float32))
    for kind in gguf.GGMLQuantizationType:
        if kind.name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
                         "IQ4_XS", "MXFP4", "BF16"):  # fmt: skip
            block, size = gguf.GGML_QUANT_SIZES[kind]
            rows = random.integers(0, 256, (3, 512 // block * size), dtype=np.uint8)
            writer.add_tensor(f"q.{kind.name}", rows, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("alignment", [None, 8, 64, 4096])
def test_every_metadata_and_tensor_type_written_by_gguf_reads_the_same(tmp_path, alignment):
    write_with_gguf(tmp_path / "m.gguf", alignment)
    metadata, tensors = assert_same(tmp_path / "m.gguf")
    assert len(metadata) == 45 + bool(alignment) and len(tensors) == 7 + 4 + 14


def test_models_split_by_gguf_read_as_one(tmp_path):
    write_with_gguf(tmp_path / "whole.gguf")
    write_with_gguf(tmp_path / "m.gguf", split_max_tensors=4)
    parts = sorted(tmp_path.glob("m-*.gguf"))
    assert len(parts) == 7
    whole = by_gguf(tmp_path / "whole.gguf")
    for path in (parts[0], parts[3]):
        metadata, tensors = by_medlar(path)
        assert tensors == whole[1]
        for key, value in whole[0].items():
            assert canonical(metadata[key]) == canonical(value), key


def test_every_type_written_by_medlar_reads_the_same(tmp_path):
    run("sample", tmp_path / "m.gguf")
    metadata, tensors = assert_same(tmp_path / "m.gguf")
    assert {element for _, element, _ in metadata.values()} == {int(t) for t in T if t != T.ARRAY}
    assert metadata["a.i64.lowest"][2] == -(2**63)
    assert metadata["a.u64.highest"][2] == 2**64 - 1
    assert metadata["a.text"][2].decode() == "caf\u00e9 \U0001f333"
    assert metadata["a.strings"][2] == [b"", b"one", b"two\nlines", b"x" * 300]
    assert tensors["cube"][1] == [2, 3, 4]


def test_copies_by_medlar_keep_every_value_and_byte(tmp_path):
    write_with_gguf(tmp_path / "m.gguf", 64)
    run("copy", tmp_path / "m.gguf", tmp_path / "copy.gguf")
    before, after = by_gguf(tmp_path / "m.gguf"), by_gguf(tmp_path / "copy.gguf")
    before[0].pop("general.alignment")
    assert canonical(before[0]) == canonical(after[0])
    assert before[1] == after[1]
