"""medlar doctor: findings for people and programs, and an exit code that tells problems."""

import json
import os
import pathlib
import sys

import pytest
from fake_logind import FakeLogind

IDS = {"cpu", "vectors", "build", "gpu", "memory", "power", "heat", "signals", "runtimes", "descriptors", "sleep",
       "file-system", "disk-space", "store", "databases"}
SEVERITIES = {"ok", "note", "warning", "problem"}


def test_json_has_every_check(medlar, tmp_path):
    report = medlar.json("doctor", "--json", env={"MEDLAR_HOME": str(tmp_path)})
    assert report["problems"] == 0
    assert IDS <= {finding["id"] for finding in report["findings"]}
    for finding in report["findings"]:
        assert set(finding) == {"id", "severity", "what", "to_do"}
        assert finding["severity"] in SEVERITIES and finding["what"]
        assert finding["to_do"] or finding["severity"] in {"ok", "note"}


def test_text_says_the_same_in_columns(medlar, tmp_path):
    env = {"MEDLAR_HOME": str(tmp_path)}
    lines = medlar.run("doctor", env=env).decode().splitlines()
    findings = medlar.json("doctor", "--json", env=env)["findings"]
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[:2] for line in heads] == [[f["severity"], f["id"]] for f in findings]
    columns = {line.index(line.split()[1]) for line in heads}
    assert len(columns) == 1


def test_a_model_is_measured_against_the_machine(medlar, tiny, tmp_path):
    report = medlar.json("doctor", tiny("llama"), "--json", env={"MEDLAR_HOME": str(tmp_path)})
    assert "disk-speed" in {finding["id"] for finding in report["findings"]}


def test_problems_give_exit_code_1_and_say_what_to_do(medlar, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "broken.json").write_text("{ no json")
    (tmp_path / "history.db").write_bytes(b"no database at all")
    done = medlar.try_run("doctor", "--json", env={"MEDLAR_HOME": str(tmp_path)})
    assert done.returncode == 1
    report = json.loads(done.stdout)
    problems = {finding["id"]: finding for finding in report["findings"] if finding["severity"] == "problem"}
    assert set(problems) == {"store", "databases"} and report["problems"] == 2
    assert all(finding["to_do"] for finding in problems.values())
    assert done.stderr.decode().startswith("medlar: 2 problems")


def test_forced_kernels_are_noticed(medlar, tmp_path):
    report = medlar.json("doctor", "--json", env={"MEDLAR_HOME": str(tmp_path), "MEDLAR_CPU": "scalar"})
    assert [f["severity"] for f in report["findings"] if f["id"] == "vectors"] == ["warning"]


def test_verify_finds_changed_bytes(medlar, pulled, tmp_path):
    pulled("smollm2:135m")
    before = medlar.json("doctor", "--json", "--verify", timeout=1200)
    stored = {f["what"] for f in before["findings"] if f["id"] == "store"}
    assert any("every byte is right" in what for what in stored)


def test_unknown_model_is_refused(medlar, tmp_path):
    assert "no-such-model" in medlar.fail("doctor", "no-such-model", env={"MEDLAR_HOME": str(tmp_path)})


def test_no_network_is_asked(medlar, tmp_path):
    offline = {key: "http://127.0.0.1:9" for key in ("HF_ENDPOINT", "HTTPS_PROXY", "HTTP_PROXY")}
    medlar.run("doctor", env={"MEDLAR_HOME": str(tmp_path), "PATH": os.environ["PATH"]} | offline)


def sleep_finding(medlar, environment):
    report = medlar.json("doctor", "--json", env=environment)
    return next(finding for finding in report["findings"] if finding["id"] == "sleep")


@pytest.mark.skipif(sys.platform != "linux", reason="logind is of Linux")
@pytest.mark.parametrize("answers", [True, False])
def test_the_lock_of_logind(medlar, tmp_path, answers):
    if not any(pathlib.Path("/").glob("usr/lib*/**/libsystemd.so.0")):
        pytest.skip("there is no libsystemd here")
    with FakeLogind(answers) as logind:
        finding = sleep_finding(medlar, {"MEDLAR_HOME": str(tmp_path)} | logind.environment)
        assert [asked[0] for asked in logind.asked] == ["idle:sleep"]
        assert finding["severity"] == ("ok" if answers else "note")
        assert not answers or logind.was_released()
