"""medlar batch: OpenAI's format in and out, and nothing lost or answered twice when the process is killed."""

import json
import os
import signal
import subprocess
import time

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

MODEL = "tiny-llama"
FIXED = {"temperature": 0, "ignore_eos": True, "max_tokens": 8}


def chat(custom_id, text="Hello", **changes):
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]} | FIXED | changes
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def write(path, requests):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in requests))
    return path


def answers(path):
    """By custom_id; every line must be whole, and no id there twice."""
    text = path.read_text()
    assert text.endswith("\n") or not text
    lines = [json.loads(line) for line in text.splitlines()]
    ids = [line["custom_id"] for line in lines if line["custom_id"]]
    assert len(ids) == len(set(ids))
    return {line["custom_id"]: line for line in lines}


@pytest.fixture
def batch(medlar, tiny):
    def run(source, target, *options):
        return medlar.json("batch", source, target, "-m", tiny("llama"), "-c", 512, "--json", *options)

    return run


def test_every_kind_of_request(batch, tmp_path):
    requests = [
        chat("chat"),
        chat("other name", model="gpt-4o-mini"),
        {"custom_id": "text", "method": "POST", "url": "/v1/completions",
         "body": {"model": MODEL, "prompt": "one two", **FIXED}},
        {"custom_id": "vector", "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": ["a", "b"]}},
        chat("too long", "x" * 2000),
        chat("bad field", temperature=-1),
        chat("stream", stream=True),
        chat("url") | {"url": "/v1/images"},
        chat("method") | {"method": "GET"},
        {"custom_id": "no body", "method": "POST", "url": "/v1/completions"},
        "{ no json",
        "",
        json.dumps({"method": "POST"}),
        "[1]",
    ]
    summary = batch(write(tmp_path / "in.jsonl", requests), tmp_path / "out.jsonl")
    assert summary["requests"] == 13 and summary["answered"] == 4 and summary["failed"] == 9
    assert summary["completion_tokens"] == 24 and summary["tokens_per_second"] > 0
    got = answers(tmp_path / "out.jsonl")
    bodies = {name: line["response"]["body"] for name, line in got.items() if line["response"]}
    first = ChatCompletion.model_validate(bodies["chat"], strict=True)
    assert first.choices[0].finish_reason == "length" and first.usage.completion_tokens == 8
    assert ChatCompletion.model_validate(bodies["other name"]).choices[0].message == first.choices[0].message
    assert Completion.model_validate(bodies["text"], strict=True).choices[0].text
    assert len(CreateEmbeddingResponse.model_validate(bodies["vector"], strict=True).data) == 2
    for name in ("chat", "text", "vector", "too long"):
        line = got[name]
        assert line["id"] and line["error"] is None and line["response"]["request_id"]
        assert line["response"]["status_code"] == (400 if name == "too long" else 200)
    assert bodies["too long"]["error"]["n_ctx"] == 512 and bodies["bad field"]["error"]["param"] == "temperature"
    for name, expected in [("stream", "stream"), ("url", "url"), ("method", "method"), ("no body", "body")]:
        assert got[name]["response"] is None and expected in got[name]["error"]["message"]
    nameless = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(line["line"] for line in nameless if line["custom_id"] is None) == [11, 13, 14]
    again = batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert again["answered"] == again["failed"] == 0 and again["found"] == 13


def test_answers_are_the_servers(batch, medlar, tiny, tmp_path):
    from server_support import Server

    batch(write(tmp_path / "in.jsonl", [chat(f"r{i}", f"text {i}") for i in range(20)]), tmp_path / "out.jsonl")
    got = answers(tmp_path / "out.jsonl")
    with Server(medlar, tiny("llama")) as server:
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
        for i in range(0, 20, 6):
            request = chat("", f"text {i}")["body"]
            request["extra_body"] = {"ignore_eos": request.pop("ignore_eos")}
            expected = client.chat.completions.create(**request)
            body = got[f"r{i}"]["response"]["body"]
            assert body["choices"][0]["message"]["content"] == expected.choices[0].message.content


def test_kill_and_go_on(medlar, batch, tiny, tmp_path):
    requests = [chat(f"r{i}", f"text {i}", max_tokens=40) for i in range(300)]
    source, target = write(tmp_path / "in.jsonl", requests), tmp_path / "out.jsonl"
    command = [medlar.path, "batch", source, target, "-m", tiny("llama"), "-c", "512"]
    seen = 0
    for round_ in range(3):
        process = subprocess.Popen(command, env=medlar.environment(), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not target.exists() or target.read_bytes().count(b"\n") < seen + 20:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        whole = target.read_bytes()
        if round_ == 1:  # as if the last line had not been written whole
            target.write_bytes(whole[:-7])
            whole = whole[: whole.rindex(b"\n", 0, len(whole) - 7) + 1]
        seen = whole.count(b"\n")
    kept = {name: line for name, line in answers(target).items()}
    summary = batch(source, target)
    assert summary["found"] == seen and summary["answered"] == 300 - seen and summary["failed"] == 0
    got = answers(target)
    assert set(got) == {f"r{i}" for i in range(300)}
    assert all(got[name] == line for name, line in kept.items())


def test_what_is_refused(medlar, tiny, tmp_path):
    source = write(tmp_path / "in.jsonl", [chat("a"), chat("b"), chat("a")])
    command = ["batch", source, tmp_path / "out.jsonl", "-m", tiny("llama")]
    message = medlar.fail(*command)
    assert "lines 1 and 3" in message and '"a"' in message
    assert not (tmp_path / "out.jsonl").exists()
    assert "missing.jsonl" in medlar.fail("batch", tmp_path / "missing.jsonl", tmp_path / "out.jsonl")
    write(source, [chat("a")])
    write(tmp_path / "out.jsonl", [{"custom_id": "z", "response": None}])
    before = (tmp_path / "out.jsonl").read_bytes()
    assert "line 1" in medlar.fail(*command)
    assert (tmp_path / "out.jsonl").read_bytes() == before
    write(source, [chat("a", model="x"), chat("b", model="y")])
    assert "-m" in medlar.fail("batch", source, tmp_path / "new.jsonl", code=2)
    assert b"requests.jsonl" in medlar.run("batch", "--help")


def test_two_at_once_do_not_mix(medlar, tiny, tmp_path):
    source = write(tmp_path / "in.jsonl", [chat(f"r{i}", max_tokens=200) for i in range(200)])
    command = [medlar.path, "batch", source, tmp_path / "out.jsonl", "-m", tiny("llama"), "-c", "512"]
    process = subprocess.Popen(command, env=medlar.environment(), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "out.jsonl").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.05)
        assert "another process" in medlar.fail(*command[1:])
    finally:
        process.kill()
        process.wait()


def test_stopped_by_ctrl_c(medlar, tiny, tmp_path):
    source = write(tmp_path / "in.jsonl", [chat(f"r{i}", max_tokens=100) for i in range(500)])
    target = tmp_path / "out.jsonl"
    command = [medlar.path, "batch", source, target, "-m", tiny("llama"), "-c", "512"]
    process = subprocess.Popen(command, env=medlar.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not target.exists() or target.read_bytes().count(b"\n") < 5:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1 and "goes on from here" in message
    assert all(line["response"]["status_code"] == 200 for line in answers(target).values())
