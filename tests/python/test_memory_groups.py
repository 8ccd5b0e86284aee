"""Within real control groups with a limit: nothing is killed, nothing is swapped, and refusals name what then runs."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import types
import uuid

import pytest
from server_support import Listening, Server, stages_of

MB = 1_000_000
MOUNT = pathlib.Path("/sys/fs/cgroup")


def own_group(controller):
    """The folder of this process's group of a controller ("" for version 2)."""
    groups = pathlib.Path("/proc/self/cgroup")
    for line in groups.read_text().splitlines() if groups.exists() else []:
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

    def anonymous(self):
        name = {1: "total_rss", 2: "anon"}[self.version]
        return int(re.search(rf"^{name} (\d+)", (self.folder / "memory.stat").read_text(), re.M).group(1))

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


class Stressor:
    """Another process of the group, which takes memory and gives it back."""

    PROGRAM = """
import sys
blocks = []
for line in sys.stdin:
    count = int(line)
    del blocks[count:]
    while len(blocks) < count: blocks.append(bytearray(b"x" * 1_000_000))
    print("done", flush=True)
"""

    def __init__(self, group):
        self.group, self.megabytes = group, 0
        command = [sys.executable, "-c", self.PROGRAM]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, preexec_fn=group.join, **pipes)
        self.take(0)

    def take(self, megabytes):
        self.megabytes = megabytes
        print(megabytes, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"

    def fill(self, megabytes):
        """So that all processes of the group have that many together."""
        self.take(max(0, self.megabytes + int(megabytes) - self.group.anonymous() // MB))

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


def within(medlar, group, folder):
    """The program, started in the group."""
    path = folder / "medlar"
    path.write_text(f'#!/bin/sh\necho $$ > {group.folder}/cgroup.procs\nexec {shlex.quote(str(medlar.path))} "$@"\n')
    path.chmod(0o755)
    return types.SimpleNamespace(path=path, environment=medlar.environment)


def test_memory_that_another_process_takes_during_an_answer(medlar, tiny, group, tmp_path):
    limit = 400
    group.limit(limit * MB)
    endless = {"prompt": "x", "max_tokens": 260000, "temperature": 0, "ignore_eos": True}
    with Server(within(medlar, group, tmp_path), tiny("llama"), context=262144) as server:
        unstressed = server.json("/v1/completions", endless | {"max_tokens": 500})["choices"][0]["text"]
        answer, stressor = Listening(server, endless), Stressor(group)
        cached = server.json("/v1/memory")["categories"]["cache"]

        def until(stage, megabytes):
            deadline = time.monotonic() + 60
            while (report := server.json("/v1/memory"))["governor"]["stage"] != stage:
                assert time.monotonic() < deadline, stages_of(server)
                stressor.fill(megabytes)
                time.sleep(0.05)
            return report

        until("warning", limit * 0.94)
        assert until("critical", limit * 0.975)["categories"]["cache"] <= cached
        answering = answer.is_alive()
        until("normal", 0)
        stressor.end()
        assert stages_of(server) == ["warning", "critical", "warning", "recovering", "normal"]
        assert answering and group.kills() == 0 and group.swapped() == 0
        answer.enough.set()
        answer.join()
        assert "".join(answer.pieces).startswith(unstressed.rstrip("\ufffd"))
        assert group.anonymous() < limit / 2 * MB
