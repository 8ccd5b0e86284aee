"""medlar compare: every number is what another command, or another program, says of the same file."""

import os
import xml.etree.ElementTree as ElementTree

import gguf
import pytest

CTX = 32
TEXT = "the thin thread, then the other thing\n" * 12
NAMES = ["llama", "qwen3", "qwen3moe"]
QUICK = ["-p", 32, "-n", 4, "-r", 1, "-t", 1]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def files(tiny):
    return [tiny(name) for name in NAMES]


@pytest.fixture(scope="module")
def compared(medlar, files, text, tmp_path_factory):
    """What it says as JSON, and its picture."""
    picture = tmp_path_factory.mktemp("compare") / "frontier.svg"
    asked = ["compare", *files, "-f", text, "-c", CTX, "--base", files[1], *QUICK, "--plot", picture, "--json"]
    return medlar.json(*asked), picture


def cells(line):
    return [cell.strip() for cell in line.strip("|\n").split("|")]


def test_sizes_are_those_that_the_gguf_package_reads(compared, files):
    for entry, path in zip(compared[0]["models"], files, strict=True):
        tensors = gguf.GGUFReader(path).tensors
        weights = sum(int(tensor.n_elements) for tensor in tensors)
        assert entry["path"] == str(path) and entry["bytes"] == os.path.getsize(path)
        assert entry["parameters"] == weights
        assert entry["bits_per_weight"] == pytest.approx(8 * sum(int(tensor.n_bytes) for tensor in tensors) / weights)


def test_quality_is_what_perplexity_says(medlar, compared, files, text):
    base = files[1]
    for entry, path in zip(compared[0]["models"], files, strict=True):
        beside = [] if path == base else ["--kl-against", base]
        expected = medlar.json("perplexity", "-m", path, "-f", text, "-c", CTX, "-t", 1, *beside, "--json")
        for key in ["tokens", "perplexity", "perplexity_error", "nll", "nll_error"]:
            assert entry[key] == pytest.approx(expected[key], rel=1e-12), key
        assert entry["base"] == (path == base)
        for key in ["kl", "same_top", "ratio", "delta_p", "base_perplexity"]:
            assert entry.get(key) == expected.get(key), key
        assert ("kl" in entry) == (path != base)


def test_speed_and_memory_are_measured(compared):
    for entry in compared[0]["models"]:
        assert entry["prompt_tps"] > 0 and entry["decode_tps"] > 0
        assert entry["memory"]["resident_anonymous"] + entry["memory"]["resident_file"] >= entry["bytes"]


def test_the_frontier_is_what_nobody_beats(compared):
    entries = compared[0]["models"]
    loss = [entry["kl"]["mean"] if "kl" in entry else 0 for entry in entries]
    for entry, own in zip(entries, loss, strict=True):
        beaten = any(
            other["bytes"] <= entry["bytes"] and its <= own and (other["bytes"], its) != (entry["bytes"], own)
            for other, its in zip(entries, loss, strict=True)
        )
        assert entry["frontier"] != beaten
    assert any(entry["frontier"] for entry in entries)


def test_the_picture_is_valid_and_its_points_lie_as_the_numbers_do(compared):
    result, picture = compared
    root = ElementTree.parse(picture).getroot()
    assert root.tag == f"{SVG}svg"
    points = [circle for circle in root.iter(f"{SVG}circle") if circle.get("class").startswith("point")]
    assert [point.find(f"{SVG}title").text.split(":")[0] for point in points] == [f"tiny-{name}.gguf" for name in NAMES]
    entries = result["models"]
    by_size = sorted(range(len(entries)), key=lambda i: entries[i]["bytes"])
    by_place = sorted(range(len(entries)), key=lambda i: float(points[i].get("cx")))
    assert by_size == by_place
    loss = [entry["kl"]["mean"] if "kl" in entry else 0 for entry in entries]
    assert sorted(range(len(entries)), key=lambda i: loss[i]) == sorted(
        range(len(entries)), key=lambda i: -float(points[i].get("cy"))
    )


def test_the_page_holds_the_picture_and_nothing_from_elsewhere(medlar, files, text, tmp_path):
    page = tmp_path / "frontier.html"
    medlar.run("compare", *files[:2], "-f", text, "-c", CTX, "-p", 0, "-n", 0, "--plot", page)
    content = page.read_text()
    begin, end = content.index("<svg"), content.index("</svg>") + len("</svg>")
    assert ElementTree.fromstring(content[begin:end]).tag == f"{SVG}svg"
    assert "src=" not in content and "href=" not in content and "<script" not in content


def test_the_table_says_what_the_json_says(medlar, files, text):
    """Without --base the largest file is the base."""
    asked = ["compare", *files, "-f", text, "-c", CTX, "-p", 0, "-n", 0]
    entries = medlar.json(*asked, "--json")["models"]
    head, rule, *rows = medlar.run(*asked).decode().splitlines()
    assert len(cells(head)) == len(cells(rule)) == len(cells(rows[0])) and len(rows) == len(files)
    largest = max(files, key=os.path.getsize)
    for row, entry, path in zip(rows, entries, files, strict=True):
        cell = dict(zip(cells(head), cells(row), strict=True))
        assert cell["model"] == path.name and cell["bits per weight"] == f"{entry['bits_per_weight']:.2f}"
        assert cell["perplexity"] == f"{entry['perplexity']:.4f} ± {entry['perplexity_error']:.4f}"
        assert entry["base"] == (path == largest)
        if not entry["base"]:
            assert cell["mean KL"] == f"{entry['kl']['mean']:.6f} ± {entry['kl']['error']:.6f}"
        assert cell["frontier"] == ("yes" if entry["frontier"] else "")


def test_without_a_text_there_is_size_and_speed(medlar, files):
    result = medlar.json("compare", files[0], *QUICK, "--json")
    (entry,) = result["models"]
    assert result["file"] is None and entry["decode_tps"] > 0
    assert "perplexity" not in entry and "frontier" not in entry
    head, *_ = medlar.run("compare", files[0], *QUICK).decode().splitlines()
    assert cells(head) == ["model", "size", "bits per weight", "pp32", "tg4", "memory"]


def test_one_model_alone_has_its_perplexity(medlar, files, text):
    (entry,) = medlar.json("compare", files[0], "-f", text, "-c", CTX, "-p", 0, "-n", 0, "-t", 1, "--json")["models"]
    alone = medlar.json("perplexity", "-m", files[0], "-f", text, "-c", CTX, "-t", 1, "--json")
    assert entry["perplexity"] == alone["perplexity"] and entry["base"] and entry["prompt_tps"] is None


def test_what_cannot_be_is_refused_before_anything_is_measured(medlar, tiny, files, text, tmp_path):
    asked = ["compare", *files, tiny("gemma3")]
    assert "tiny-gemma3.gguf beside " in medlar.fail(*asked, "-f", text, "--base", files[0], "-c", CTX, code=2)
    assert "neither .svg nor .html" in medlar.fail(*asked, "-f", text, "--plot", tmp_path / "a.png", code=2)
    assert "--file" in medlar.fail(*asked, "--plot", tmp_path / "a.svg", code=2)
    assert "a window takes 512" in medlar.fail("compare", files[0], "-f", text)
    assert "no-such.gguf" in medlar.fail("compare", files[0], tmp_path / "no-such.gguf")
    assert not list(tmp_path.iterdir())
