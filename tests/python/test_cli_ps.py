"""medlar ps and medlar stop beside a running server."""

import json

import pytest
from server_support import Server

CHAT = {"prompt": "x", "max_tokens": 2}


@pytest.fixture
def server(medlar, tiny, tmp_path):
    with Server(medlar, tiny("llama"), "--keep-alive", "90s", env={"MEDLAR_HOME": str(tmp_path)}) as server:
        yield server


def test_ps_lists_and_stop_unloads(medlar, server):
    server.json("/v1/completions", CHAT)
    shown = json.loads(medlar.run("ps", "--json", "--url", server.url))
    (model,) = shown["models"]
    assert model["name"] == "tiny-llama.gguf" and model["size"] > 0 and model["context_length"] == 512
    assert shown["memory"]["process"]["resident"] > 0
    done = medlar.try_run("ps", "--url", server.url + "/")
    lines = done.stdout.decode().splitlines()
    assert lines[0].split()[:3] == ["MODEL", "SIZE", "CONTEXT"]
    assert lines[1].startswith("tiny-llama.gguf") and lines[1].split()[-1].startswith("1:")
    assert "in memory" in done.stderr.decode()
    assert "tiny-llama.gguf is out of memory" in medlar.try_run("stop", "--url", server.url).stderr.decode()
    assert json.loads(medlar.run("ps", "--json", "--url", server.url))["models"] == []
    assert "no model" in medlar.try_run("stop", "--url", server.url).stderr.decode()


def test_what_goes_wrong_is_said(medlar, server, tiny):
    done = medlar.try_run("stop", "nothing:1b", "--url", server.url)
    assert done.returncode != 0 and 'model "nothing:1b" not found' in done.stderr.decode()
    done = medlar.try_run("ps", "--url", "http://127.0.0.1:1")
    assert done.returncode != 0 and "medlar serve" in done.stderr.decode()
    done = medlar.try_run("ps", "--url", "file:///etc/passwd")
    assert done.returncode != 0 and "root:" not in done.stdout.decode()


def test_a_server_with_keys_wants_one(medlar, tiny, tmp_path):
    with Server(medlar, tiny("llama"), "--api-key", "open sesame", env={"MEDLAR_HOME": str(tmp_path)}) as server:
        done = medlar.try_run("ps", "--url", server.url)
        assert done.returncode != 0 and "key" in done.stderr.decode()
        assert medlar.try_run("ps", "--url", server.url, "--api-key", "open sesame").returncode == 0
