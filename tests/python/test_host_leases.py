"""Processes that share the machine's memory: one copy of the weights, shares of the rest, and what death frees."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from server_support import Server

PATIENCE = 20  # seconds; on a machine with nothing else to do a quarter of a second is enough


@pytest.fixture
def env(tmp_path):
    return {"MEDLAR_HOME": str(tmp_path / "home")}


@pytest.fixture
def servers(medlar, tiny, env):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(medlar, tiny("llama"), env=env)) for _ in range(3)]


def memory(server):
    return server.json("/v1/memory")


def wait_for(what):
    """The seconds it took until what() is true."""
    start = time.monotonic()
    while not what():
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.02)
    return time.monotonic() - start


def pids_of_others(server):
    return {other["pid"] for other in memory(server)["shares"]["others"]}


def kill(server):
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def test_three_share_and_the_death_of_one_frees_its_share(servers):
    pids = {server.process.pid for server in servers}
    for server in servers:
        wait_for(lambda server=server: pids_of_others(server) == pids - {server.process.pid})
    reports = [memory(server) for server in servers]
    for report in reports:
        assert report["ceiling"] == report["shares"]["share"]
        assert report["shares"]["share"] + sum(o["share"] for o in report["shares"]["others"]) <= report["shares"]["total"] * 1.05
        assert all(other["name"] == "medlar serve" for other in report["shares"]["others"])
    kill(servers[0])
    for server, before in zip(servers[1:], reports[1:]):
        took = wait_for(lambda server=server: memory(server)["ceiling"] > before["ceiling"] * 1.2)
        print(f"the ceiling rose after {took:.2f} s")
        assert len(memory(server)["shares"]["others"]) == 1
        assert server.json("/v1/completions", {"prompt": "x", "max_tokens": 2})["choices"]


def test_ps_shows_others(medlar, servers):
    server = servers[0]
    wait_for(lambda: len(pids_of_others(server)) == 2)
    shown = json.loads(medlar.run("ps", "--json", "--url", server.url))["memory"]["shares"]
    assert {other["pid"] for other in shown["others"]} == {other.process.pid for other in servers[1:]}
    lines = medlar.run("ps", "--url", server.url).decode().splitlines()
    assert sum(line.startswith("medlar serve ") for line in lines) == 2
    for other in servers[1:]:
        kill(other)
    wait_for(lambda: not pids_of_others(server))
    assert "OTHER PROGRAM" not in medlar.run("ps", "--url", server.url).decode()


def test_a_memory_limit_stays_the_most(medlar, tiny, env):
    with Server(medlar, tiny("llama"), "--memory-limit", "300M", env=env) as small:
        assert memory(small)["ceiling"] == 300_000_000
        with Server(medlar, tiny("llama"), env=env) as large:
            wait_for(lambda: pids_of_others(small))
            assert memory(small)["ceiling"] <= 300_000_000
            (other,) = memory(large)["shares"]["others"]
            assert other["share"] <= 300_000_000
        wait_for(lambda: not pids_of_others(small))
        assert memory(small)["ceiling"] == 300_000_000


def test_chat_takes_part(medlar, tiny, env):
    with Server(medlar, tiny("llama"), env=env) as server:
        command = [medlar.path, "chat", str(tiny("llama"))]
        chat = subprocess.Popen(command, stdin=subprocess.PIPE, env=medlar.environment(**env))
        try:
            wait_for(lambda: pids_of_others(server) == {chat.pid})
            (other,) = memory(server)["shares"]["others"]
            assert other["name"] == "medlar chat"
        finally:
            chat.kill()
            chat.communicate()
        wait_for(lambda: not pids_of_others(server))


def mapping(process, path):
    """Rss and Pss of a process's mapping of a file, in bytes."""
    sums, inside = {"Rss": 0, "Pss": 0}, False
    try:
        text = pathlib.Path(f"/proc/{process.pid}/smaps").read_text()
    except OSError as error:
        pytest.skip(f"the system does not tell of mappings: {error}")
    for line in text.splitlines():
        if "-" in line.split()[0] and not line.split()[0].endswith(":"):
            inside = line.endswith(str(path))
        key, _, value = line.partition(":")
        if inside and key in sums:
            sums[key] += int(value.split()[0]) * 1024
    return sums


def test_two_processes_have_one_copy_of_the_weights(medlar, tmp_path, env):
    model = tmp_path / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", model)
    with Server(medlar, model, env=env) as a, Server(medlar, model, env=env) as b:
        for server in (a, b):
            server.json("/v1/completions", {"prompt": "x", "max_tokens": 2})
        of_a, of_b = mapping(a.process, model), mapping(b.process, model)
        size = model.stat().st_size
        for one in (of_a, of_b):
            assert one["Rss"] > size * 0.5
            assert one["Pss"] < one["Rss"] * 0.6, "each is charged for its half"
        assert of_a["Pss"] + of_b["Pss"] < size * 1.01
        # And their shares count it once.
        wait_for(lambda: pids_of_others(a))
        shares = memory(a)["shares"]
        together = shares["share"] + shares["others"][0]["share"]
        assert shares["total"] + size * 0.9 < together * 1.1
        assert together <= (shares["total"] + size) * 1.05


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 5000, b"MEDLEASE\x09" + bytes(600)])
def test_a_damaged_file_is_begun_anew(medlar, tiny, env, content):
    home = pathlib.Path(env["MEDLAR_HOME"])
    home.mkdir()
    (home / "leases").write_bytes(content)
    finding = [f for f in medlar.json("doctor", "--json", env=env)["findings"] if f["id"] == "leases"]
    assert finding[0]["severity"] == "warning" and finding[0]["to_do"]
    with Server(medlar, tiny("llama"), env=env) as a, Server(medlar, tiny("llama"), env=env) as b:
        wait_for(lambda: pids_of_others(a) == {b.process.pid})
        assert "problem" not in memory(a)["shares"]
        assert not content or "leases begin anew" in a.log()
        finding = [f for f in medlar.json("doctor", "--json", env=env)["findings"] if f["id"] == "leases"]
        assert finding[0]["severity"] == "ok" and finding[0]["what"].startswith("2 programs")


def test_what_happens_to_the_file_while_it_is_used(servers, env):
    path = pathlib.Path(env["MEDLAR_HOME"]) / "leases"
    pids = {server.process.pid for server in servers}

    def all_see_all():
        return all(pids_of_others(server) == pids - {server.process.pid} for server in servers)

    wait_for(all_see_all)
    for damage in (lambda: os.truncate(path, 0), lambda: os.truncate(path, 700), path.unlink,
                   lambda: path.write_bytes(os.urandom(4096)), lambda: os.truncate(path, 100 << 20)):
        damage()
        time.sleep(0.3)
        wait_for(all_see_all)


def test_a_home_that_cannot_be_written_stops_nobody(medlar, tiny, tmp_path):
    home = tmp_path / "home"
    (home / "leases").mkdir(parents=True)  # for root, too, this cannot be opened as a file
    env = {"MEDLAR_HOME": str(home)}
    with Server(medlar, tiny("llama"), env=env) as server:
        assert "leases" in memory(server)["shares"]["problem"]
        assert memory(server)["ceiling"] > 0
        assert "memory is not shared out" in server.log()
        assert server.json("/v1/completions", {"prompt": "x", "max_tokens": 2})["choices"]
        (home / "leases").rmdir()
        wait_for(lambda: "problem" not in memory(server)["shares"])
    done = medlar.try_run("run", tiny("llama"), "x", "--raw", "-n", "2", env=env)
    assert done.returncode == 0


def test_a_process_that_stands_still_keeps_its_share(servers):
    wait_for(lambda: len(pids_of_others(servers[1])) == 2)
    servers[0].process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    assert servers[0].process.pid in pids_of_others(servers[1])
    servers[0].process.send_signal(signal.SIGCONT)
