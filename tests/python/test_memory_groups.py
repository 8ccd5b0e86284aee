"""Within real control groups with a limit: nothing is killed, nothing is swapped, and refusals name what then runs."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import time
import uuid

import pytest

MB = 1_000_000
MOUNT = pathlib.Path("/sys/fs/cgroup")


def own_group(controller):
    """The folder of this process's group of a controller ("" for version 2)."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            folder = MOUNT / controller / path.lstrip("/")
            return folder if folder.exists() else MOUNT / controller
    return None


class Group:
    """A child of this process's group with a memory limit, of whichever version is mounted."""

    def __init__(self, parent, version):
        self.folder, self.version = parent / f"medlar-test-{uuid.uuid4().hex[:8]}", version
        self.folder.mkdir()

    def limit(self, size):
        name = {1: "memory.limit_in_bytes", 2: "memory.max"}[self.version]
        (self.folder / name).write_text(str(size))

    def join(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        for _ in range(50):  # its last process may still be leaving
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)

    def kills(self):
        name = {1: "memory.oom_control", 2: "memory.events"}[self.version]
        return int(re.search(r"oom_kill (\d+)", (self.folder / name).read_text()).group(1))

    def swapped(self):
        if self.version == 2:
            swap = self.folder / "memory.swap.current"
            return int(swap.read_text()) if swap.exists() else 0
        return int(re.search(r"^swap (\d+)", (self.folder / "memory.stat").read_text() + "\nswap 0", re.M).group(1))


@pytest.fixture
def group():
    refusals = []
    for controller, version in (("memory", 1), ("", 2)):
        parent = own_group(controller)
        if parent is None:
            continue
        try:
            made = Group(parent, version)
        except OSError as error:
            refusals.append(f"version {version}: {error}")
            continue
        try:
            made.limit(1 << 30)
        except OSError as error:
            made.remove()
            refusals.append(f"version {version}: {error}")
            continue
        yield made
        made.remove()
        return
    pytest.skip(f"no control group with a memory limit can be made here: {'; '.join(refusals) or 'none is mounted'}")


@pytest.fixture(scope="module")
def model(medlar, tmp_path_factory):
    path = tmp_path_factory.mktemp("groups") / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    return path


def run_in(group, medlar, *options):
    command = [medlar.path, "run", *map(str, options), "the", "--raw", "--json", "-n", "4", "-t", "2"]
    return subprocess.run(command, capture_output=True, env=medlar.environment(), preexec_fn=group.join, timeout=300)


@pytest.mark.parametrize("megabytes", [70, 110, 130, 160, 200, 260, 400])
@pytest.mark.parametrize("context", [None, 512, 2048, 8192])
def test_no_admitted_plan_exceeds_its_limit(medlar, model, group, megabytes, context):
    group.limit(megabytes * MB)
    asked = [] if context is None else ["--ctx", context]
    done = run_in(group, medlar, model, *asked)
    message = done.stderr.decode()
    assert group.kills() == 0 and group.swapped() == 0
    if done.returncode == 0:
        assert json.loads(done.stdout)["usage"]["completion_tokens"] > 0
        return
    assert done.returncode == 1 and "needs " in message, message
    for offer in re.findall(r"((?:--[\w-]+ \w+ ?)+)\(", message.replace(", ", " , ")):
        retried = run_in(group, medlar, model, *shlex.split(offer))
        assert retried.returncode == 0, f"{offer}: {retried.stderr.decode()}"
        assert group.kills() == 0 and group.swapped() == 0
