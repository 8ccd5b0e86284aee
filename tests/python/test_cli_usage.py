"""The program as a new user meets it: help, mistakes, broken files, missing network, narrow terminals."""

import json
import subprocess

import pytest
from terminal import Terminal, shown_lines

COMMANDS = ["run", "chat", "serve", "pull", "list", "show", "rm", "verify", "doctor", "tokenize", "template", "logits",
            "perplexity", "compare", "eval", "quantize", "imatrix", "bench", "tune", "analyze", "synth", "completion", "man"]
NO_NETWORK = {
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "0",
    "PIP_CONFIG_FILE": "/dev/null",
}


def test_help_lists_every_command(medlar):
    text = medlar.run("--help").decode()
    assert text == medlar.run().decode()
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert medlar.run("--version").startswith(b"medlar ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_ends_with_an_example(medlar, command):
    text = medlar.run(command, "--help").decode()
    assert f"Usage: medlar {command}" in text
    assert "\nExample:\n  " in text and f"medlar {command}" in text.split("Example:")[1]


@pytest.mark.parametrize("arguments, expected", [
    (["frobnicate"], "frobnicate"),
    (["pul"], '"pull"'),
    (["pull"], "model"),
    (["list", "--colour"], "--colour"),
    (["run", "x", "y", "--sed=1"], "Did you mean --seed?"),
    (["list", "first", "second"], '"first" is one argument too many'),
    (["run", "x", "y", "-n", "many"], "many"),
    (["run", "x", "y", "-n", "-7"], "--max-tokens"),
    (["run", "x", "y", "--device", "abacus"], "abacus"),
    (["run", "x", "y", "-ctk", "q3_x"], "q3_x"),
    (["run", "x", "y", "--threads", "-1"], "--threads"),
    (["run", "x"], "prompt"),
    (["logits", "-m", "x", "--tokens", "1", "--top", "0"], "--top"),
    (["completion", "tcsh"], "tcsh"),
    (["pull", "hf.co/nobody"], "hf.co/nobody"),
])
def test_wrong_usage(medlar, arguments, expected):
    assert expected in medlar.fail(*arguments, code=2)


@pytest.mark.parametrize("command", [["rm"], ["show"], ["verify"], ["tokenize", "-m"], ["logits", "--tokens", "1", "-m"],
                                     ["perplexity", "-f", "x", "-m"]])
def test_a_model_that_is_not_here(medlar, command, tmp_path):
    assert "smollm2:135m" in medlar.fail(*command, "smollm2:135m", env={"MEDLAR_HOME": str(tmp_path)})


@pytest.mark.parametrize("command", [["pull"], ["show"], ["run"]])
def test_a_misspelt_model(medlar, command, tmp_path):
    words = [*command, "smolm2:135m"] + (["Hello"] if command == ["run"] else [])
    message = medlar.fail(*words, env=NO_NETWORK | {"MEDLAR_HOME": str(tmp_path)})
    assert "Did you mean smollm2:135m" in message


@pytest.mark.parametrize("arguments, code, expected", [
    (["run", "notes", "Hello"], 1, "notes: is not a GGUF file"),
    (["chat", "notes"], 1, "notes: is not a GGUF file"),
    (["show", "notes"], 1, "notes: is not a GGUF file"),
    (["run", "smollm2", "Hello"], 1, "smollm2: is not a GGUF file"),
    (["run", "folder", "Hello"], 1, "folder: the folder holds no .gguf file"),
    (["pull", "notes"], 2, "notes: a local file"),
])
def test_a_word_that_is_a_file_here(medlar, tmp_path, arguments, code, expected):
    for name in ("notes", "smollm2"):
        (tmp_path / name).write_text("not a model")
    (tmp_path / "folder").mkdir()
    done = subprocess.run([medlar.path, *arguments], cwd=tmp_path, capture_output=True, text=True,
                          env=medlar.environment(MEDLAR_HOME=str(tmp_path / "home"), **NO_NETWORK))
    assert done.returncode == code and done.stdout == ""
    assert expected in done.stderr and done.stderr.count("\n") == 1


def test_no_network(medlar, tmp_path):
    message = medlar.try_run("pull", "smollm2:135m", env=NO_NETWORK | {"MEDLAR_HOME": str(tmp_path)})
    last = message.stderr.decode().splitlines()[-1]
    assert message.returncode == 1 and message.stdout == b""
    assert last.startswith("medlar: ") and "smollm2:135m" in last


@pytest.mark.parametrize("content", [b"", b"not a model\n", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64],
                         ids=["empty", "text", "magic", "counts"])
@pytest.mark.parametrize("command", [["run", "MODEL", "Hello"], ["show", "MODEL"], ["tokenize", "-m", "MODEL"]])
def test_a_file_that_is_no_model(medlar, tmp_path, command, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    message = medlar.fail(*[path if word == "MODEL" else word for word in command])
    assert "model.gguf" in message


def test_a_truncated_model(medlar, tiny, tmp_path):
    path = tmp_path / "half.gguf"
    path.write_bytes(tiny("llama").read_bytes()[:100_000])
    assert "half.gguf" in medlar.fail("run", path, "Hello")


def test_paths_that_do_not_exist(medlar, tiny, tmp_path):
    assert "none.gguf" in medlar.fail("run", tmp_path / "none.gguf", "Hello")
    assert "none.txt" in medlar.fail("tokenize", "-m", tiny("llama"), "-f", tmp_path / "none.txt")


def test_file_names_cannot_drive_the_terminal(medlar, tmp_path):
    assert "\x1b" not in medlar.fail("run", str(tmp_path / "a\x1b[2J\nb.gguf"), "Hello", code=2)
    assert "\x9b" not in medlar.fail("run", str(tmp_path / "a\u009b2J.gguf"), "Hello")


def test_list_of_an_empty_home(medlar, tmp_path):
    home = {"MEDLAR_HOME": str(tmp_path / "new")}
    assert medlar.run("list", env=home) == b""
    assert medlar.run("list", "--quiet", env=home) == b""
    assert medlar.json("list", "--json", env=home) == []
    assert not (tmp_path / "new").exists()


def test_the_catalogue(medlar):
    entries = {entry["name"]: entry for entry in medlar.json("list", "--catalogue", "--json")}
    assert entries["smollm2:135m"]["architecture"] == "llama"
    assert all(entry["bytes"] > 0 and entry["parameters"] > 0 for entry in entries.values())
    assert medlar.run("list", "--catalogue", "--quiet").decode().split() == list(entries)


def test_a_full_disk_below_standard_output(medlar):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([medlar.path, "list", "--catalogue"], stdout=full, stderr=subprocess.PIPE,
                              env=medlar.environment())
    assert done.returncode == 1
    assert done.stderr.decode().startswith("medlar: ") and done.stderr.count(b"\n") == 1


def test_a_reader_that_leaves(medlar):
    command = f"{medlar.path} list --catalogue | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=medlar.environment())
    assert done.stdout.count(b"\n") == 1 and done.stderr == b""


def on_terminal(medlar, *arguments, columns=80, **env):
    terminal = Terminal([medlar.path, *arguments], medlar.environment(TERM="xterm", **env), columns)
    return terminal.finish(300), terminal.output


def test_colours_are_for_terminals_that_want_them(medlar):
    red = b"\x1b[31m"
    assert red in on_terminal(medlar, "frobnicate")[1]
    assert red not in on_terminal(medlar, "frobnicate", NO_COLOR="1")[1]
    assert red not in medlar.try_run("frobnicate").stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_lines_fit_the_terminal(medlar, columns):
    code, output = on_terminal(medlar, "list", "--catalogue", columns=columns)
    assert code == 0
    assert max(map(len, shown_lines(output))) <= columns


def test_progress_fits_a_narrow_terminal(medlar, pulled, tmp_path):
    pulled("smollm2:135m")  # so that a missing network skips
    code, output = on_terminal(medlar, "pull", "smollm2:135m", columns=40, MEDLAR_HOME=str(tmp_path))
    assert code == 0
    bars = [line for line in shown_lines(output) if "%" in line]
    assert bars and max(map(len, bars)) < 40
    assert medlar.json("list", "--json", env={"MEDLAR_HOME": str(tmp_path)})[0]["name"] == "smollm2:135m"


def test_verify_repairs_a_damaged_file(medlar, pulled, tmp_path):
    pulled("smollm2:135m")
    home = {"MEDLAR_HOME": str(tmp_path)}
    path = medlar.json("pull", "smollm2:135m", "--json", env=home)["path"]
    assert medlar.json("verify", "smollm2:135m", "--json", env=home)["good"]
    subprocess.run(["chmod", "u+w", path], check=True)
    with open(path, "r+b") as file:
        file.seek(50_000_000)
        file.write(b"damage")
    done = medlar.try_run("verify", "smollm2:135m", "--no-repair", "--json", env=home)
    assert done.returncode == 1 and not json.loads(done.stdout)["good"]
    assert medlar.json("verify", "smollm2:135m", "--json", env=home, timeout=600)["good"]


def test_remove(medlar, pulled, tmp_path):
    pulled("smollm2:135m")
    home = {"MEDLAR_HOME": str(tmp_path)}
    medlar.run("pull", "smollm2:135m", env=home)
    assert medlar.json("rm", "smollm2:135m", "--json", env=home)[0]["bytes"] > 50_000_000
    assert medlar.json("list", "--json", env=home) == []
    assert "smollm2:135m" in medlar.fail("rm", "smollm2:135m", env=home)
