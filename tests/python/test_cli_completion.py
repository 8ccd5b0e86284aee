"""Completion scripts in their own shells, and the manual."""

import shutil
import subprocess

import pytest
from terminal import Terminal


def shell(name):
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture(scope="module")
def scripts(medlar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for name in ("bash", "zsh", "fish"):
        (folder / name).write_bytes(medlar.run("completion", name))
    return folder


def run(medlar, *command):
    path = f"{medlar.path.parent}:/usr/local/bin:/usr/bin:/bin"
    return subprocess.run(command, capture_output=True, text=True, env=medlar.environment(PATH=path), timeout=60)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_scripts_parse(medlar, scripts, name):
    done = run(medlar, shell(name), "-n", scripts / name)
    assert done.returncode == 0 and done.stderr == ""


BASH = """
source {script}
COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}
COMP_POINT=${{#COMP_LINE}}
_medlar
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

CASES = [
    ("medlar pu", {"pull"}),
    ("medlar run --te", {"--temp"}),
    ("medlar run --device ", {"auto", "cpu", "cuda", "metal", "emulator"}),
    ("medlar completion f", {"fish"}),
]


def by_bash(medlar, scripts, line):
    return set(run(medlar, shell("bash"), "-c", BASH.format(script=scripts / "bash", line=line)).stdout.split())


def by_fish(medlar, scripts, line):
    done = run(medlar, shell("fish"), "--no-config", "-c", f"source {scripts / 'fish'}; complete -C '{line}'")
    return {word.split("\t")[0] for word in done.stdout.splitlines()}


@pytest.mark.parametrize("line, expected", CASES)
@pytest.mark.parametrize("complete", [by_bash, by_fish])
def test_completion(medlar, scripts, complete, line, expected):
    assert complete(medlar, scripts, line) == expected


def test_bash_completes_model_names_around_the_colon(medlar, scripts, pulled):
    pulled("smollm2:135m")
    assert by_bash(medlar, scripts, "medlar show smollm2:1") == {"135m"}
    assert by_bash(medlar, scripts, "medlar show smo") == {"smollm2:135m"}


def test_fish_completes_model_names(medlar, scripts, pulled):
    pulled("smollm2:135m")
    assert "smollm2:135m" in by_fish(medlar, scripts, "medlar show smo")


def test_zsh_completes(medlar, scripts):
    path = f"{medlar.path.parent}:/usr/local/bin:/usr/bin:/bin"
    terminal = Terminal([shell("zsh"), "-f", "-i"], medlar.environment(TERM="xterm", PATH=path))
    terminal.type(f"autoload -U compinit; compinit -D; source {scripts / 'zsh'}; echo rea''dy\n")
    terminal.wait_for(b"ready")
    terminal.type("medlar ru\t--repea\t")
    terminal.wait_for(b"repeat-penalty")
    terminal.type("\x15exit\n")
    terminal.finish()


def test_the_manual_formats_without_warnings(medlar, tmp_path):
    page = tmp_path / "medlar.1"
    page.write_bytes(medlar.run("man"))
    done = subprocess.run([shell("man"), "--warnings", "-l", page], capture_output=True, text=True,
                          env=medlar.environment(MANWIDTH="80", LC_ALL="C.UTF-8"))
    assert done.returncode == 0 and done.stderr == ""
    for word in ("EXIT STATUS", "medlar run [OPTIONS] [MODEL] [PROMPT]", "--repeat-penalty", "MEDLAR_HOME"):
        assert word in done.stdout
