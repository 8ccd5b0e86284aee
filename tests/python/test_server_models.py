"""Models that come and go in a running server: list, load, unload, pull; and the memory it reports."""

import json
import pathlib
import re
import threading
import time
import urllib.request

import ollama
import pytest
from hub_support import Hub
from server_support import Listening, Server, post, read_all, stages_of

A, B, C = "hf.co/test/llama:F16", "hf.co/test/qwen3:F16", "hf.co/test/gemma3:F16"
CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
ENDLESS = {"prompt": "x", "stream": True, "ignore_eos": True, "max_tokens": 400}


@pytest.fixture(scope="module")
def hub(tiny):
    hub = Hub({f"test/{name}": tiny(name).read_bytes() for name in ("llama", "qwen3", "gemma3")})
    yield hub
    hub.close()


@pytest.fixture
def home(medlar, hub, tmp_path):
    """The environment of a store that has A and B."""
    env = {"MEDLAR_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}
    for name in (A, B):
        medlar.run("pull", name, env=env)
    return env


def names(server):
    return {model["name"]: model["loaded"] for model in server.json("/medlar/models")["data"]}


def mapped(server):
    """The model files that the process has mapped."""
    maps = pathlib.Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("the system does not tell of mappings")
    lines = maps.read_text().splitlines()
    return {line.split()[-1] for line in lines if "/blobs/" in line or line.endswith(".gguf")}


def test_a_server_without_a_model_starts_and_says_what_to_do(medlar, tmp_path):
    env = {"MEDLAR_HOME": str(tmp_path)}
    with Server(medlar, None, env=env) as server:
        assert "no model yet" in server.line
        assert server.json("/health") == {"status": "ok"}
        assert server.json("/v1/models") == {"object": "list", "data": []}
        assert server.json("/medlar/models")["data"] == []
        assert server.json("/api/version")["version"]
        assert server.json("/api/tags") == server.json("/api/ps") == {"models": []}
        assert "smollm2:135m" in [model["name"] for model in server.json("/medlar/models")["catalogue"]]
        assert server.request("/metrics")[0] == 200
        for path, body in [("/v1/chat/completions", CHAT), ("/v1/messages", CHAT | {"model": "x"}),
                           ("/api/chat", CHAT | {"model": "x"}), ("/completion", {"prompt": "x"})]:
            error = json.dumps(server.json(path, body, status=404)["error"])
            assert ("no model in memory" in error and "/v1/models/load" in error) or 'model \\"x\\" not found' in error, path


def test_load_and_unload(medlar, home):
    with Server(medlar, A, env=home) as server:
        assert names(server) == {A: True, B: False}
        before = mapped(server)
        assert len(before) == 1
        facts = server.json("/medlar/models/hf.co%2Ftest%2Fqwen3%3AF16")["facts"]
        assert facts["architecture"] == "qwen3" and facts["layers"] > 0
        assert server.json("/v1/models/load", {"model": B}) == {"model": B, "status": "loaded"}
        assert names(server) == {A: True, B: True}
        assert len(mapped(server)) == 2 and mapped(server) > before
        assert server.json("/v1/chat/completions", CHAT | {"model": B})["model"] == B
        assert server.json("/v1/models/load", {"model": B})["status"] == "loaded"
        assert server.json("/v1/models/unload", {"model": A})["status"] == "unloaded"
        assert server.json("/v1/models/unload", {"model": A})["status"] == "unloaded"  # nothing to do
        assert server.json("/v1/models/unload", {"model": B})["status"] == "unloaded"
        assert mapped(server) == set()
        assert server.json("/v1/memory")["categories"]["weights_mapped"] == 0
        server.json("/v1/chat/completions", CHAT, status=404)
        assert server.json("/v1/models/load", {"model": A})["status"] == "loaded"
        assert server.json("/v1/chat/completions", CHAT)["choices"]


def test_a_load_tells_what_it_does(medlar, home):
    def told(model):
        _, headers, body = server.request("/v1/models/load", {"model": model, "stream": True})
        assert headers["content-type"] == "text/event-stream"
        return [json.loads(event.removeprefix(b"data: ")) for event in body.split(b"\n\n") if event]

    with Server(medlar, A, "--max-models", "1", env=home) as server:
        steps = [{"model": B, "status": "waiting"}, {"model": A, "status": "unloading"},
                 {"model": B, "status": "loading"}, {"model": B, "status": "loaded"}]  # fmt: skip
        assert told(B) == steps
        assert told(B) == [steps[0], steps[-1]]
        assert "not found" in told(C)[-1]["error"] and names(server) == {A: False, B: True}


def test_a_model_is_loaded_when_it_is_asked(medlar, home):
    with Server(medlar, None, env=home) as server:
        assert [model["id"] for model in server.json("/v1/models")["data"]] == [A, B]
        assert [model["name"] for model in server.json("/api/tags")["models"]] == [A, B]
        assert server.json("/v1/chat/completions", CHAT | {"model": B})["model"] == B
        assert names(server) == {A: False, B: True}
        assert server.json("/v1/messages", CHAT | {"model": A})["model"] == A
        assert server.json("/api/chat", {"model": A.upper(), "messages": CHAT["messages"], "stream": False})["done"]
        assert names(server) == {A: True, B: True}
        assert [model["name"] for model in server.json("/api/ps")["models"]] == [A, B]  # the one used last first
        error = server.json("/v1/chat/completions", CHAT | {"model": C}, status=404)["error"]
        assert error["code"] == "model_not_found" and C in error["message"]


def test_the_model_used_least_recently_leaves_for_another(medlar, hub, home):
    medlar.run("pull", C, env=home)
    with Server(medlar, A, "--max-models", "2", env=home) as server:
        server.json("/v1/chat/completions", CHAT | {"model": B})
        server.json("/v1/chat/completions", CHAT | {"model": A})
        server.json("/v1/completions", {"prompt": "x", "max_tokens": 2, "model": C})
        assert names(server) == {A: True, B: False, C: True}
        assert len(mapped(server)) == 2


def test_a_model_is_reduced_for_one_just_used_and_not_for_one_that_rests(medlar, tmp_path):
    """Of two that fit only if one has a smaller context."""

    def contexts(server):
        return {model["name"]: model["context_length"] for model in server.json("/api/ps")["models"]}

    files = {}
    for name in ("one", "two"):
        medlar.run("synth", "smollm2-135m:q4_0", tmp_path / name, "--seed", str(len(files)))
        files[f"test/{name}"] = (tmp_path / name).read_bytes()
    hub = Hub(files)
    env = {"MEDLAR_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}
    one, two = [f"hf.co/{name}:F16" for name in files]  # as the hub calls any file
    for name in (one, two):
        medlar.run("pull", name, env=env)
    hub.close()
    ask = {"prompt": "x", "max_tokens": 2, "model": two}
    with Server(medlar, one, env=env, context=0) as server:
        whole, alone = contexts(server)[one], server.json("/v1/memory")["held_total"]
    limit = ["--memory-limit", f"{int(alone * 1.7 / 1e6) + 40}M"]
    with Server(medlar, one, *limit, env=env, context=0) as server:
        server.json("/v1/completions", ask)
        assert contexts(server)[one] == whole > contexts(server)[two] > 0
    with Server(medlar, one, *limit, "--rest", "0", env=env, context=0) as server:
        server.json("/v1/completions", ask)
        assert contexts(server) == {two: whole}


def test_keep_alive(medlar, home):
    def gone(server, name, seconds):
        deadline = time.monotonic() + seconds
        while names(server)[name]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    with Server(medlar, A, "--keep-alive", "1h", env=home) as server:
        client = ollama.Client(host=server.url)
        client.generate(model=B, prompt="x", keep_alive=-1, options={"num_predict": 2})
        assert client.ps().models[0].expires_at.year == 2318
        client.generate(model=A, prompt="x", keep_alive="300ms", options={"num_predict": 2})
        assert gone(server, A, 20) and names(server)[B]
        client.generate(model=B, prompt="", keep_alive=0)
        assert gone(server, B, 20) and not mapped(server)
        assert server.json("/v1/chat/completions", CHAT)["choices"]  # the one used last comes back
        assert names(server)[B]
        remaining = client.ps().models[0].expires_at.timestamp() - time.time()
        assert 3000 < remaining <= 3600
        for time_ in ("soon", "5 m", "1h-1m", "", True):
            error = server.json("/api/generate", {"model": B, "keep_alive": time_}, status=400)["error"]
            assert "keep_alive" in error
    assert "--keep-alive never" in medlar.try_run("serve", "--keep-alive", "never", env=home).stderr.decode()


def test_the_model_it_was_started_with_can_come_back(medlar, tiny, home):
    with Server(medlar, tiny("llama"), env=home) as server:
        name = next(name for name, loaded in names(server).items() if loaded)
        server.json("/v1/models/unload", {"model": name})
        assert names(server)[name] is False
        server.json("/v1/models/load", {"model": name})
        assert server.json("/v1/chat/completions", CHAT)["choices"]


def test_a_load_that_fails_leaves_the_model_that_is_there(medlar, tiny, home):
    with Server(medlar, A, env=home) as server:
        blobs = pathlib.Path(home["MEDLAR_HOME"]) / "blobs"
        content = tiny("qwen3").read_bytes()
        blob = next(path for path in blobs.iterdir() if path.stat().st_size == len(content))
        blob.chmod(0o600)
        blob.write_bytes(content[:100] + bytes(len(content) - 100))
        error = server.json("/v1/models/load", {"model": B}, status=400)["error"]
        assert error["code"] == "model_not_loaded"
        assert server.json("/v1/chat/completions", CHAT | {"model": A})["choices"]
        assert names(server)[A]


@pytest.mark.parametrize("model, status", [
    ("none:1b", 404), ("hf.co/test/none", 404), ("/etc/passwd", 404), ("../x.gguf", 404), ("http://127.0.0.1:1/x.gguf", 404),
    ("", 404), ("\n", 404),
])
def test_only_what_is_here_can_be_loaded(medlar, home, model, status):
    with Server(medlar, None, env=home) as server:
        for path in ("/v1/models/load", "/v1/models/unload"):
            assert server.json(path, {"model": model}, status=status)["error"]["code"] == "model_not_found"


def test_answers_in_progress_are_waited_for(medlar, home):
    with Server(medlar, A, env=home) as server:
        with server.connect() as stream:
            stream.sendall(post("/v1/completions", json.dumps(ENDLESS).encode(), "Connection: close"))
            first = stream.recv(100)
            error = server.json("/v1/models/unload", {"model": A}, status=409)["error"]
            assert error["code"] == "model_busy"
            answer = first + read_all(stream)
            assert b"data: [DONE]" in answer and answer.count(b"data: ") > 50
        server.json("/v1/models/unload", {"model": A})


def test_an_answer_that_does_not_end_keeps_its_model(medlar, home):
    with Server(medlar, A, "--drain", "1", "--max-models", "1", env=home, context=32768) as server:
        with server.connect() as stream:
            stream.sendall(post("/v1/completions", json.dumps(ENDLESS | {"max_tokens": 30000}).encode()))
            stream.recv(100)
            error = server.json("/v1/models/load", {"model": B}, status=503)["error"]
            assert error["code"] == "model_busy" and A in error["message"]
            assert stream.recv(100)
            assert server.json("/v1/chat/completions", CHAT | {"model": A})["choices"]
        deadline = time.monotonic() + 30  # the client has left: the model is free
        while server.request("/v1/models/unload", {"model": A})[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_swaps_under_load(medlar, home):
    """Whatever is asked while models are exchanged is answered by the model it names, or refused clearly."""
    with Server(medlar, A, "--parallel", "4", "--max-models", "1", env=home) as server:
        seen, stop = [], threading.Event()

        def ask(model):
            while not stop.is_set():
                status, headers, body = server.request("/v1/chat/completions", CHAT | {"model": model})
                seen.append((status, model, json.loads(body), headers.get("retry-after")))

        clients = [threading.Thread(target=ask, args=(model,)) for model in (A, B, A, B)]
        for client in clients:
            client.start()
        for model in [B, A] * 4:
            assert server.json("/v1/models/load", {"model": model})["status"] == "loaded"
        stop.set()
        for client in clients:
            client.join()
        for status, model, body, retry in seen:
            assert status == 200 and body["model"] == model and body["choices"], body
        assert {model for _, model, *_ in seen} == {A, B}
        assert len(mapped(server)) == 1


def test_pull_tells_its_progress(medlar, home):
    with Server(medlar, None, env=home) as server:
        status, headers, body = server.request("/api/pull", {"model": C})
        lines = [json.loads(line) for line in body.splitlines()]
        assert status == 200 and headers["content-type"] == "application/x-ndjson"
        assert lines[-1] == {"status": "success"}
        steps = [line for line in lines if line.get("total")]
        assert steps and all(0 <= step["completed"] <= step["total"] for step in steps)
        assert C in names(server)
        assert server.json("/api/pull", {"name": C, "stream": False}) == {"status": "success"}
        assert server.json("/v1/models/load", {"model": C})["status"] == "loaded"


def test_pull_refuses_and_fails_clearly(medlar, home):
    with Server(medlar, None, env=home) as server:
        for model in ("/etc/passwd", "http://127.0.0.1:1/x.gguf"):
            assert "no name of a model" in server.json("/api/pull", {"model": model, "stream": False}, status=400)["error"]
        last = json.loads(server.request("/api/pull", {"model": "hf.co/test/none"})[2].splitlines()[-1])
        assert "error" in last
        assert "model" in server.json("/api/pull", {}, status=400)["error"]


def test_a_pull_whose_client_leaves_is_cancelled(medlar, home, tiny, tmp_path):
    slow = Hub({"test/slow": tiny("llama3").read_bytes()}, pause=0.3)
    with Server(medlar, None, env=home | {"HF_ENDPOINT": slow.url}) as server:
        with server.connect() as connection:
            connection.sendall(post("/api/pull", json.dumps({"model": "hf.co/test/slow"}).encode()))
            while b"downloading" not in connection.recv(65536):
                pass
        slow.pause = 0
        time.sleep(1)
        assert "hf.co/test/slow:F16" not in names(server)
        server.json("/api/pull", {"model": "hf.co/test/slow", "stream": False})  # goes on, and is not in the way
        assert "hf.co/test/slow:F16" in names(server)
    slow.close()


def test_memory_follows_the_plan_and_the_pages(medlar, home):
    with Server(medlar, A, env=home, context=2048) as server:
        before = server.json("/v1/memory")
        parts = before["categories"]
        assert parts["weights_mapped"] > 0 and parts["kv"] == 0 and parts["cache"] == 0
        assert parts["weights_resident"] == 0  # no step has read them
        assert parts["activations"] == 0 < before["held"]["activations"] and before["kv_capacity"] > 0
        assert 0 < before["process"]["anonymous"] < before["limit"]
        server.json("/v1/completions", {"prompt": "one two three " * 100, "max_tokens": 1})
        after = server.json("/v1/memory")
        for _ in range(50):  # the answer is there a moment before the scheduler has put the request away
            if after["categories"]["cache"] > 0 and after["categories"]["kv"] == 0:
                break
            time.sleep(0.1)
            after = server.json("/v1/memory")
        assert 0 < after["categories"]["cache"] <= after["kv_capacity"]
        parts = after["categories"]
        assert parts["kv"] == 0  # nobody is being answered
        assert 0 < parts["weights_resident"] <= parts["weights_mapped"] and parts["activations"] > 0
        assert after["held_total"] == sum(after["held"].values()) <= after["held_peak"]


def test_the_ledger_agrees_with_the_system(medlar, home):
    if medlar.sanitized:
        pytest.skip("a sanitizer takes memory of its own")
    with Server(medlar, A, env=home, context=4096) as server:
        bare = server.json("/v1/memory")["process"]["anonymous"]
        for model in (A, B, A):
            server.json("/v1/completions", {"prompt": "one two three " * 250, "max_tokens": 8, "model": model})
            report = server.json("/v1/memory")
            parts, process = report["categories"], report["process"]
            anonymous = sum(parts[name] for name in ("kv", "cache", "activations", "scratch", "tables", "buffers"))
            assert abs(process["anonymous"] - anonymous) <= max(bare + 32e6, 0.05 * anonymous), parts
            assert parts["other"] <= 32e6
            assert abs(parts["weights"] - parts["weights_mapped"]) <= 0.05 * parts["weights_mapped"]


def test_bodies_are_on_the_ledger(medlar, home):
    with Server(medlar, A, env=home) as server:
        with server.connect() as connection:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3000000\r\n\r\n")
            connection.sendall(b"x" * 2_000_000)
            deadline = time.monotonic() + 20
            while server.json("/v1/memory")["categories"]["buffers"] < 2_000_000:
                assert time.monotonic() < deadline
        while server.json("/v1/memory")["categories"]["buffers"] > 100_000:
            assert time.monotonic() < deadline


def test_the_end_does_not_wait_for_a_pull(medlar, home, tiny):
    slow = Hub({"test/slow": tiny("llama3").read_bytes()}, pause=0.5)
    with Server(medlar, None, "--drain", "1", env=home | {"HF_ENDPOINT": slow.url}) as server:
        with server.connect() as connection:
            connection.sendall(post("/api/pull", json.dumps({"model": "hf.co/test/slow"}).encode()))
            while b"downloading" not in connection.recv(65536):
                pass
            server.process.terminate()
            assert server.process.wait(30) == 0
    slow.close()


def test_ollamas_client_copies_and_deletes(medlar, home):
    with Server(medlar, A, env=home) as server:
        client = ollama.Client(host=server.url)
        client.copy(A, "mine:small")
        assert client.create("mine:other", from_=B).status == "success"
        assert names(server) == {A: True, B: False, "mine:small": False, "mine:other": False}
        shown = client.show(B)
        assert "tools" in shown.capabilities and shown.modelinfo["general.architecture"]
        assert not names(server)[B], "showing a model does not load it"
        client.delete(A)  # it is loaded
        assert A not in names(server) and not mapped(server)
        assert server.json("/v1/models/load", {"model": "mine:small"})["status"] == "loaded"
        blob = next(path for path in (pathlib.Path(home["MEDLAR_HOME"]) / "blobs").glob("sha256-*"))
        digest = blob.name.replace("-", ":")
        assert server.request(f"/api/blobs/{digest}", method="HEAD")[0] == 200
        assert server.request(f"/api/blobs/{digest[:-1]}", method="HEAD")[0] == 404
        for act, status, text in [
            (lambda: client.copy("mine:nothing", "mine:x"), 404, "mine:nothing"),
            (lambda: client.copy("mine:small", "../x"), 400, "plain name"),
            (lambda: client.delete("mine:nothing"), 404, "mine:nothing"),
            (lambda: client.create("mine:x", from_="mine:small", system="Be brief"), 400, "system"),
            (lambda: client.push("mine:small"), 400, "nobody"),
        ]:
            with pytest.raises(ollama.ResponseError) as error:
                act()
            assert error.value.status_code == status and text in error.value.error


def test_the_ladder_runs_in_order_and_the_answer_goes_on(medlar, home, tmp_path):
    script = tmp_path / "signals"
    script.write_text("1 memory warning for 0.5\n1.5 memory critical for 1\n")
    short = {"prompt": "x", "max_tokens": 2}
    endless = {"model": A, "prompt": "x", "max_tokens": 32000, "temperature": 0, "ignore_eos": True}
    with Server(medlar, A, "--keep-alive", "-1", "--signals", str(script), env=home, context=32768) as server:
        server.json("/v1/completions", short | {"model": B})
        answer = Listening(server, endless)
        loaded, answering = set(), False
        deadline = time.monotonic() + 90
        while stages_of(server)[-1:] != ["normal"]:
            if server.json("/v1/memory")["governor"]["stage"] == "critical":
                answering |= answer.is_alive()
                loaded |= {name for name, is_loaded in names(server).items() if is_loaded}
            assert time.monotonic() < deadline, stages_of(server)
            time.sleep(0.02)
        assert stages_of(server) == ["warning", "critical", "warning", "recovering", "normal"]
        assert answering and A in loaded
        assert server.json("/v1/memory")["governor"]["slowest_reaction"] > 0
        answer.enough.set()
        answer.join()
        text = "".join(answer.pieces)
        unstressed = server.json("/v1/completions", endless | {"max_tokens": 200 if medlar.sanitized else 500})["choices"][0]["text"]
        assert len(text) > len(unstressed) and text.startswith(unstressed.rstrip("\ufffd"))
        assert server.json("/v1/completions", short | {"model": B})["choices"]  # comes back when it is asked


def test_critical_pressure_overrides_keep_alive(medlar, home, tmp_path):
    script = tmp_path / "signals"
    script.write_text("2 memory critical for 2\n")
    with Server(medlar, A, "--keep-alive", "-1", "--signals", str(script), env=home) as server:
        server.json("/v1/completions", {"prompt": "x", "max_tokens": 2, "model": B})
        deadline = time.monotonic() + 30
        while mapped(server):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        held = server.json("/v1/memory")["held"]
        assert held["weights"] == held["kv"] == held["activations"] == 0
        assert server.json("/v1/completions", {"prompt": "x", "max_tokens": 2})["choices"]
