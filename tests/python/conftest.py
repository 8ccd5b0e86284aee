"""What the Python tests share: the medlar program, the models it pulls, and data from elsewhere."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "goldens"))


def pytest_addoption(parser):
    parser.addoption("--medlar", default=None, help="the program to test; build/release/medlar if not given")


class Medlar:
    """The program, with a home of its own under build/, so that nobody's models are touched."""

    def __init__(self, path, home):
        self.path, self.home = path, home

    @functools.cached_property
    def sanitized(self):
        """Whether it was compiled with a sanitizer, which takes memory of its own."""
        data = pathlib.Path(self.path).read_bytes()
        return b"__tsan_init" in data or b"__asan_init" in data

    def environment(self, **changes):
        return os.environ | {"MEDLAR_HOME": str(self.home), "MEDLAR_PYTHON": sys.executable} | changes

    def try_run(self, *args, input=b"", env=None, timeout=300):
        """The finished process, whatever its exit code. Output is bytes."""
        command = [self.path, *map(str, args)]
        return subprocess.run(
            command, input=input, capture_output=True, env=self.environment(**(env or {})), timeout=timeout
        )

    def run(self, *args, **options):
        """Standard output of a run that must succeed."""
        done = self.try_run(*args, **options)
        assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stderr.decode(errors='replace')}"
        return done.stdout

    def json(self, *args, **options):
        return json.loads(self.run(*args, **options))

    def fail(self, *args, code=1, **options):
        """The one line on standard error of a run that must fail with that exit code and print no result."""
        done = self.try_run(*args, **options)
        message = done.stderr.decode()
        assert done.returncode == code, f"{args}: exit {done.returncode}\n{message}"
        assert done.stdout == b""
        assert message.startswith("medlar: ") and message.count("\n") == 1 and message.endswith("\n"), message
        return message


@pytest.fixture(scope="session")
def medlar(request):
    path = pathlib.Path(request.config.getoption("--medlar") or ROOT / "build" / "release" / "medlar").resolve()
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return Medlar(path, ROOT / "build" / "test-home")


@pytest.fixture(scope="session")
def pulled(medlar):
    """pulled(name): the path of a real model, pulled once; skips where the network is missing."""
    paths = {}

    def pull(name):
        if name not in paths:
            done = medlar.try_run("pull", name, "--json", timeout=1800)
            if done.returncode != 0:
                pytest.skip(f"cannot pull {name}: {done.stderr.decode().strip()}")
            paths[name] = pathlib.Path(json.loads(done.stdout)["path"])
        return paths[name]

    return pull


@pytest.fixture(scope="session")
def shared_data():
    path = ROOT.parent / "shared" / "data"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


@pytest.fixture(scope="session")
def tiny():
    """tiny(architecture): the path of a tiny random model."""
    return lambda name: ROOT / "tests" / "goldens" / f"tiny-{name}.gguf"
