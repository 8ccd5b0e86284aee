"""medlar bench --sustained: documents and plots of short runs, read by independent parsers."""

import csv
import io
import json
import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"
ROUND = ("-p", "16", "-n", "4", "-t", "1")


@pytest.fixture(scope="module")
def sustain(medlar, tiny):
    """sustain(options...): what a run of a second or more prints."""
    return lambda *options: medlar.run("bench", "-m", tiny("llama"), "--sustained", "1s", *ROUND, *options).decode()


def points(picture):
    """The circles' places, panel by panel in the order of their colours, each with the value that its title tells."""
    found = {}
    for circle in picture.iter(SVG + "circle"):
        value = float(re.search(r": ([\d.]+) ", circle.find(SVG + "title").text)[1])
        found.setdefault(circle.get("class"), []).append((float(circle.get("cx")), float(circle.get("cy")), value))
    return list(found.values())


def test_json_and_its_plot_agree(sustain, tmp_path):
    report = json.loads(sustain("-o", "json", "--plot", tmp_path / "p.svg"))
    intervals, summary = report["intervals"], report["summary"]
    assert report["n_prompt"] == 16 and report["n_gen"] == 4 and report["n_threads"] == 1
    assert 2 <= len(intervals) <= 31
    assert all(a["end_s"] == b["start_s"] for a, b in zip(intervals, intervals[1:], strict=False))
    rates = [interval["answer_ts"] for interval in intervals]
    course = summary["answer"]
    assert (course["first_ts"], course["last_ts"], course["min_ts"]) == (rates[0], rates[-1], min(rates))
    assert course["sag_percent"] == pytest.approx(100 * (1 - rates[-1] / rates[0]))

    picture = ElementTree.parse(tmp_path / "p.svg").getroot()
    assert picture.tag == SVG + "svg"
    texts = ["".join(t.itertext()) for t in picture.iter(SVG + "text")]
    assert {"Writing an answer, tokens/s", "Reading a prompt, tokens/s", "time, seconds"} <= set(texts)
    for drawn, key in zip(points(picture), ("answer_ts", "prompt_ts"), strict=False):
        assert [value for *_, value in drawn] == pytest.approx([i[key] for i in intervals], rel=0.01, abs=0.51)
        # All lie on the straight lines that the axes are.
        middles = [(i["start_s"] + i["end_s"]) / 2 for i in intervals]
        assert_linear(middles, [x for x, *_ in drawn])
        assert_linear([i[key] for i in intervals], [-y for _, y, _ in drawn])


def assert_linear(values, places):
    low, high = values.index(min(values)), values.index(max(values))
    slope = (places[high] - places[low]) / (values[high] - values[low])
    assert slope > 0
    for value, place in zip(values, places, strict=True):
        assert place == pytest.approx(places[low] + slope * (value - values[low]), abs=0.2)


def test_the_page_holds_the_picture(sustain, tmp_path):
    sustain("--plot", tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert page.startswith("<!doctype html>")
    ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])


def test_lines_and_tables(sustain):
    lines = [json.loads(line) for line in sustain("-o", "jsonl").splitlines()]
    assert "summary" in lines[-1] and all("answer_ts" in line for line in lines[:-1])
    rows = list(csv.DictReader(io.StringIO(sustain("-o", "csv"))))
    assert rows and all(float(row["answer_ts"]) > 0 and row["test"] == "pp16+tg4" for row in rows)
    assert re.search(r"\| writing an answer \|( [\d.]+ \|){4} -?[\d.]+ % \|", sustain())


def test_an_answer_alone(medlar, tiny):
    report = medlar.json("bench", "-m", tiny("llama"), "--sustained", "1s", "-p", 0, "-n", 4, "-o", "json")
    assert report["summary"]["prompt"] is None and report["summary"]["answer"]["median_ts"] > 0


def test_ctrl_c_ends_it_with_a_report(medlar, tiny, tmp_path):
    command = [medlar.path, "bench", "-m", str(tiny("llama")), "--sustained", "30s", *ROUND, "-o", "jsonl",
               "--plot", str(tmp_path / "p.svg")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=medlar.environment())
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(first)["answer_ts"] > 0 and "summary" in json.loads(rest.splitlines()[-1])
    ElementTree.parse(tmp_path / "p.svg")


@pytest.mark.parametrize("options", [
    ("--sustained", "10"), ("--sustained", "0s"), ("--sustained", "25h"), ("--sustained", "m"),
    ("--sustained", "1s", "-n", "1,2"), ("--sustained", "1s", "-pg", "1,2"), ("--sustained", "1s", "-r", "2"),
    ("--sustained", "1s", "--plot", "p.png"), ("--plot", "p.svg"), ("--sustained", "1s", "-p", "0", "-n", "0"),
])  # fmt: skip
def test_wrong_usage(medlar, tiny, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    medlar.fail("bench", "-m", tiny("llama"), *options, code=2)
    assert not list(tmp_path.iterdir())
