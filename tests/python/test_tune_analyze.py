"""medlar analyze: measured memory beside the plan, of tiny and real models."""

import json
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"
PARTS = ["weights", "kv", "activations", "scratch", "overhead"]


def test_parts_add_up_and_programs_take_what_was_planned(medlar, tiny):
    report = medlar.json("analyze", tiny("llama"), "--ctx", "64,256", "-t", 1, "--json")
    assert [c["context"] for c in report["contexts"]] == [64, 256]
    for c in report["contexts"]:
        assert c["fits"] is True and c["seconds"] > 0
        assert c["plan"]["total"] == sum(c["plan"][part] for part in PARTS)
        for part in ("activations", "scratch"):
            assert c["peak"][part] == c["plan"][part], part
        assert 0 < c["peak"]["kv"] <= c["plan"]["kv"]
        assert c["peak"]["weights"] <= tiny("llama").stat().st_size
        for part in [*PARTS, "total"]:
            assert 0 <= c["average"][part] <= c["peak"][part], part
        assert c["difference_bytes"] == pytest.approx(c["peak"]["total"] - c["plan"]["total"], abs=2)
        assert c["peak"]["total"] <= sum(c["peak"][part] for part in PARTS) + 1


def test_the_plan_is_that_of_medlar_plan(medlar, tiny):
    options = (tiny("qwen3"), "--json", "-t", 1, "--kv-type", "f32", "--ctx", 100)
    (analysis,) = medlar.json("analyze", *options)["contexts"]
    planned = medlar.json("plan", *options)
    assert analysis["plan"]["total"] == planned["total_bytes"] and analysis["type_k"] == "f32"


@pytest.mark.parametrize("kv_type", ["q8_0", "f16"])
def test_a_real_model_takes_what_was_planned(medlar, pulled, kv_type):
    """The bound of docs/tuning.md."""
    if medlar.sanitized:
        pytest.skip("a sanitizer takes memory of its own")
    path = pulled("smollm2:135m")
    report = medlar.json("analyze", path, "--ctx", "512,2048,1024", "--kv-type", kv_type, "-t", 2, "--json")
    assert len(report["contexts"]) == 3
    for c in report["contexts"]:
        assert abs(c["difference_bytes"]) <= max(24_000_000, 0.03 * c["plan"]["total"]), c
        assert 0.8 * c["plan"]["kv"] <= c["peak"]["kv"] <= c["plan"]["kv"]  # it is full, but for a page or two


def test_a_context_that_does_not_fit_is_refused_and_the_others_go_on(medlar, tmp_path):
    path = tmp_path / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    options = ("analyze", path, "--ctx", "16384,256", "--kv-type", "q8_0", "--memory-limit", "200M")
    done = medlar.try_run(*options, "--json")
    assert done.returncode == 1 and done.stderr.decode() == (
        "medlar: 1 of 2 contexts do not fit. What does stands in the result; --memory-limit sets another limit\n"
    )
    refused, measured = json.loads(done.stdout)["contexts"]
    assert refused["fits"] is False and "peak" not in refused
    assert refused["alternatives"] and all(a["bytes"] <= 200_000_000 for a in refused["alternatives"])
    assert measured["fits"] is True and measured["peak"]["total"] > 50_000_000
    text = medlar.try_run(*options).stdout.decode()
    assert "there is no room for. These fit: --ctx " in text and "| weights |" in text and "| all |" in text


def test_the_plot_has_a_panel_for_each_part(medlar, tiny, tmp_path):
    report = medlar.json("analyze", tiny("llama"), "--ctx", "64,256", "-t", 1, "--json", "--plot", tmp_path / "m.svg")
    picture = ElementTree.parse(tmp_path / "m.svg").getroot()
    texts = ["".join(t.itertext()) for t in picture.iter(SVG + "text")]
    assert {*(f"{part}, MB" for part in PARTS), "all, MB", "time, seconds"} <= set(texts)
    assert any("64, then 256 tokens" in text for text in texts)
    assert len(list(picture.iter(SVG + "polyline"))) == len(PARTS) + 1
    assert report["contexts"]


def test_ctrl_c_ends_it_with_what_was_measured(medlar, tmp_path):
    path = tmp_path / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    command = [medlar.path, "analyze", str(path), "--ctx", "64,65536", "-t", "1", "--kv-type", "q8_0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=medlar.environment()) as process:
        first = process.stdout.readline()
        while b"| all |" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and b"64 tokens in q8_0" in first
    assert errors == b"medlar: stopped by Ctrl-C\n"


@pytest.mark.parametrize(("options", "code"), [
    (["--ctx", "0"], 2), (["--ctx", "x"], 2), (["--plot", "m.png"], 2), (["--gen", "-1"], 2), (["--kv-type", "q2_k"], 2),
    (["--plot", "/nonexistent/m.svg"], 1),
])  # fmt: skip
def test_wrong_usage(medlar, tiny, options, code):
    medlar.fail("analyze", tiny("llama"), *options, code=code)
