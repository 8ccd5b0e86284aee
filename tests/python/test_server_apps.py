"""Apps: their registration, their keys, what they may ask for, and the events they hear."""

import contextlib
import json
import socket
import time

import pytest
from hub_support import Hub
from server_support import Server

PATIENCE = 30
A, B = "hf.co/test/llama:F16", "hf.co/test/qwen3:F16"


@pytest.fixture(scope="module")
def hub(tiny):
    hub = Hub({f"test/{name}": tiny(name).read_bytes() for name in ("llama", "qwen3")})
    yield hub
    hub.close()


@pytest.fixture
def home(medlar, hub, tmp_path):
    env = {"MEDLAR_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}
    for name in (A, B):
        medlar.run("pull", name, env=env)
    return env


@pytest.fixture
def register(medlar, home, tmp_path):
    def add(**manifest):
        path = tmp_path / "app.json"
        path.write_text(json.dumps(manifest))
        return json.loads(medlar.run("app", "add", path, "--json", env=home))["key"]

    return add


def test_a_kv_exception_is_the_type_of_the_cache(medlar, home, register):
    def cache(server, model):
        server.json("/v1/models/load", {"model": model})
        held = server.json("/v1/memory")["held"]["kv"]
        server.json("/v1/models/unload", {"model": model})
        return held

    def caches(kv_type):
        with Server(medlar, None, "--kv-type", kv_type, env=home) as server:
            return {model: cache(server, model) for model in (A, B)}, server.log()

    half, single = caches("f16")[0], caches("f32")[0]
    assert half[A] < single[A]
    reason = "long tables need exact keys"
    register(name="one", models=[A], kv=[{"model": A, "type": "f16", "reason": reason}])
    register(name="two", models=[A, B], kv=[{"model": A, "type": "f32", "reason": reason},
                                            {"model": B, "type": "q8_0", "reason": "to see"}])  # fmt: skip
    held, log = caches("f16")
    assert held == {A: single[A], B: half[B]}
    assert "kv type of an app not taken" in log and B in log


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def wait_for(what):
    start = time.monotonic()
    while not what():
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.05)


def is_known(server, key):
    return server.request("/v1/events", headers=bearer(key), method="HEAD")[0] == 200


@contextlib.contextmanager
def events(server, key):
    """A function that returns the next event, as (name, data)."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        head = f"GET /v1/events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        connection.sendall(head.encode())
        lines = connection.makefile("r", encoding="utf-8", newline="\n")
        assert "200" in lines.readline()
        while lines.readline().strip():
            pass

        def next_event():
            name = data = None
            while True:
                line = lines.readline()
                assert line, "the stream ended"
                line = line.rstrip("\n")
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data = json.loads(line[6:])
                elif not line and name:
                    return name, data

        yield next_event


def test_registration(medlar, home, register, tmp_path):
    assert medlar.json("app", "list", "--json", env=home) == []
    key = register(name="notes", models=[A], requires={"memoryGB": 0.1}, priority="background")
    (app,) = medlar.json("app", "list", "--json", env=home)
    assert app["name"] == "notes" and app["models"] == [A] and app["requires"] == {"memoryGB": 0.1}
    for path in (tmp_path / "home").iterdir():
        if path.is_file():
            assert key.encode() not in path.read_bytes(), f"{path} has the key itself"
    message = medlar.fail("app", "add", tmp_path / "app.json", env=home, code=2)
    assert "registered already" in message
    lines = medlar.run("app", "list", env=home).decode().splitlines()
    assert lines[1].split()[:1] == ["notes"] and "background" in lines[1]
    medlar.run("app", "remove", "notes", env=home)
    assert medlar.json("app", "list", "--json", env=home) == []
    assert 'no app "notes"' in medlar.fail("app", "key", "notes", env=home)


@pytest.mark.parametrize("manifest, fault", [
    ({"name": "a", "use_mlock": True}, "use_mlock"),
    ({"name": "a", "mmap": False}, "mmap"),
    ({"name": "a", "colour": "red"}, "colour"),
    ({"name": "a", "models": [A], "requires": {"memoryGB": 16000}}, "by its plan"),
    ({"name": "a", "pairs": [{"model": A, "draft": A}]}, "draft"),
])
def test_what_is_refused(medlar, home, tmp_path, manifest, fault):
    path = tmp_path / "app.json"
    path.write_text(json.dumps(manifest))
    done = medlar.try_run("app", "add", path, env=home)
    assert done.returncode != 0 and done.stdout == b"" and fault in done.stderr.decode()
    assert medlar.json("app", "list", "--json", env=home) == []


def test_an_app_may_ask_only_for_its_models(medlar, home, register):
    key = register(name="notes", models=[B])
    with Server(medlar, A, env=home) as server:
        ask = {"prompt": "x", "max_tokens": 2}
        wait_for(lambda: is_known(server, key))
        assert server.json("/v1/completions", ask, headers=bearer(key))["model"] == B  # the first that it names
        assert server.json("/v1/completions", ask | {"model": B}, headers=bearer(key))["model"] == B
        for path, body in (("/v1/completions", ask | {"model": A}), ("/v1/models/load", {"model": A}),
                           ("/v1/models/unload", {"model": A}), ("/v1/embeddings", {"input": "x", "model": A})):
            error = server.json(path, body, status=403, headers=bearer(key))["error"]
            assert error["code"] == "model_not_allowed" and B in json.dumps(error), path
        assert server.json("/v1/completions", ask | {"model": A})["model"] == A  # others may


def test_keys_while_the_server_runs(medlar, home, register):
    with Server(medlar, A, "--api-key", "operator", env=home) as server:
        ask = {"prompt": "x", "max_tokens": 2}

        def status(key):
            return server.request("/v1/completions", ask, headers=bearer(key))[0]

        assert status("operator") == 200
        key = register(name="notes")
        wait_for(lambda: status(key) == 200)
        renewed = json.loads(medlar.run("app", "key", "notes", "--json", env=home))["key"]
        wait_for(lambda: status(renewed) == 200)
        wait_for(lambda: status(key) == 401)
        medlar.run("app", "remove", "notes", env=home)
        wait_for(lambda: status(renewed) == 401)
        assert status("operator") == 200


def test_events_are_for_apps(medlar, home, register):
    register(name="notes")
    with Server(medlar, A, env=home) as server:
        assert server.json("/v1/events", status=403)["error"]["code"] == "no_app"
        assert server.json("/v1/events", status=403, headers=bearer("mk-" + "0" * 64))["error"]["code"] == "no_app"
        content = server.json("/openapi.json")["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]
        assert list(content) == ["text/event-stream"]


def test_events(medlar, home, register, tmp_path):
    script = tmp_path / "signals"
    script.write_text("4 memory warning for 1\n5 power battery 0.4\n")
    key, other = register(name="notes"), register(name="other")
    with Server(medlar, A, "--signals", script, env=home, context=64) as server:
        wait_for(lambda: is_known(server, key) and is_known(server, other))
        with events(server, key) as next_event, events(server, other) as others_next:
            seen = {}
            while not {"budget_tightening", "pacing"} <= set(seen):
                name, data = next_event()
                seen.setdefault(name, data)
            assert seen["budget_tightening"]["stage"] == "warning"
            assert 0 < seen["pacing"]["power"] < 1
            body = {"prompt": "x " * 20, "max_tokens": 100, "ignore_eos": True, "overflow": "shift", "num_keep": 2}
            server.json("/v1/completions", body, headers=bearer(key))
            name, data = next_event()
            while name != "truncated":
                name, data = next_event()
            assert data["dropped"][0]["end"] > data["dropped"][0]["begin"] and data["request"]
            # The other app hears of the machine, and not of this answer.
            server.json("/v1/completions", body | {"prompt": "y " * 20}, headers=bearer(other))
            name, of_other = others_next()
            while name != "truncated":
                name, of_other = others_next()
            assert of_other["request"] != data["request"]
            start = time.monotonic()
            server.stop()  # streams of events do not hold up the end
            assert time.monotonic() - start < 20


def test_what_an_app_requires_is_kept_from_others(medlar, home, register):
    key = register(name="notes", requires={"memoryGB": 0.7})
    with Server(medlar, A, "--memory-limit", "1G", env=home) as server, Server(medlar, A, env=home) as other:
        wait_for(lambda: is_known(server, key))
        server.json("/v1/completions", {"prompt": "x", "max_tokens": 2}, headers=bearer(key))
        wait_for(lambda: any(o["share"] >= 700_000_000 for o in other.json("/v1/memory")["shares"]["others"]))
