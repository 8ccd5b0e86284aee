"""OpenAI's official client for Node (npm), unmodified."""

import json
import pathlib
import shutil
import subprocess

import pytest
from client_support import MODEL, is_forecast
from conftest import ROOT
from server_support import Server

VERSION = "7.57.0"
SCRIPT = pathlib.Path(__file__).parent / "clients" / "openai_node.mjs"


@pytest.fixture(scope="module")
def package():
    """The folder of the package, installed on first use. Nothing of it runs at install time."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no Node")
    prefix = ROOT / "build" / "node-clients"
    folder = prefix / "node_modules" / "openai"
    manifest = folder / "package.json"
    if not manifest.exists() or json.loads(manifest.read_text())["version"] != VERSION:
        prefix.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", prefix, "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run([*command, f"openai@{VERSION}"], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install openai: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.fixture(scope="module")
def ask(package, medlar, tiny):
    """ask(task): what the client got."""
    with Server(medlar, tiny("llama"), "--parallel", "4", context=2048) as running:

        def run(task):
            command = ["node", SCRIPT, package, running.url + "/v1", task]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        yield run


def test_models(ask):
    assert MODEL in ask("models")


def test_chat(ask):
    answer = ask("chat")
    assert answer["choices"][0]["finish_reason"] == "length" and answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] == 12


def test_the_stream_says_what_the_whole_answer_says(ask):
    answer = ask("stream")
    assert "".join(answer["pieces"]) == answer["whole"] == answer["final"]["choices"][0]["message"]["content"]
    assert len(answer["pieces"]) > 3
    assert answer["final"]["usage"]["completion_tokens"] == 12


def test_a_stream_that_is_left_frees_its_place(ask):
    assert ask("abort")["usage"]["completion_tokens"] == 2


def test_errors(ask):
    missing = ask("notFound")["error"]
    assert missing["name"] == "NotFoundError" and missing["status"] == 404 and MODEL in missing["message"]
    wrong = ask("badRequest")["error"]
    assert wrong["name"] == "BadRequestError" and wrong["param"] == "temperature"


@pytest.mark.parametrize("task", ["tools", "streamTools"])
def test_tools(ask, task):
    choice = ask(task)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    call = choice["message"]["tool_calls"][0]["function"]
    assert call["name"] == "forecast" and is_forecast(json.loads(call["arguments"]))


def test_a_schema(ask):
    assert is_forecast(json.loads(ask("schema")["choices"][0]["message"]["content"]))


def test_embeddings(ask):
    first, second = (item["embedding"] for item in ask("embeddings")["data"])
    assert len(first) == len(second) and first != second
