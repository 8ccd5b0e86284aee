"""Pulling from a server of our own: half a download, Ctrl-C, and what is done with a model that is here."""

import http.server
import json
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest
from terminal import Terminal


class Server:
    """Serves one file. While `whole` is not set, an answer stops at `stop_at` bytes of the file and waits."""

    def __init__(self, content):
        self.content, self.stop_at, self.whole, self.starts = content, len(content) // 2, threading.Event(), []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}/model.gguf"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def answer(self, request):
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start, size = int(asked[1]) if asked else 0, len(self.content)
        self.starts.append(start)
        request.send_response(206 if asked else 200)
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        request.send_header("ETag", '"the-same"')
        request.send_header("Content-Length", str(size - start))
        request.end_headers()
        try:
            if not self.whole.is_set():
                request.wfile.write(self.content[start : self.stop_at])
                start = max(start, self.stop_at)
                self.whole.wait(60)
            request.wfile.write(self.content[start:])
        except ConnectionError:
            pass  # the client was killed

    def close(self):
        self.whole.set()
        self.httpd.shutdown()
        self.httpd.server_close()


@pytest.fixture
def server(tiny):
    server = Server(tiny("qwen3").read_bytes())
    yield server
    server.close()


@pytest.fixture
def home(tmp_path):
    return {"MEDLAR_HOME": str(tmp_path / "home")}


def begin_pull(medlar, server, home):
    """A pull that has half of the file on the disk and waits for the rest."""
    process = subprocess.Popen([medlar.path, "pull", server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=medlar.environment(**home))
    partial = pathlib.Path(home["MEDLAR_HOME"]) / "partial"
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size == server.stop_at for path in partial.glob("url-*")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    return process


def test_ctrl_c_stops_a_pull_and_the_next_one_goes_on(medlar, server, home):
    process = begin_pull(medlar, server, home)
    process.send_signal(signal.SIGINT)
    output, message = process.communicate(timeout=30)
    assert process.returncode == 1 and output == b""
    assert message.count(b"\n") == 1 and b"Ctrl-C" in message and f"medlar pull {server.url}".encode() in message
    assert medlar.json("list", "--json", env=home) == []
    server.whole.set()
    assert medlar.json("pull", server.url, "--json", env=home)["bytes"] == len(server.content)
    assert server.starts == [0, server.stop_at]


def test_a_killed_pull_goes_on(medlar, server, home):
    process = begin_pull(medlar, server, home)
    process.kill()
    process.communicate()
    server.whole.set()
    result = medlar.json("pull", server.url, "--json", env=home)
    assert pathlib.Path(result["path"]).read_bytes() == server.content and not result["was_installed"]


def test_the_life_of_a_model(medlar, server, home):
    server.whole.set()
    url = server.url
    assert not medlar.json("pull", url, "--json", env=home)["was_installed"]
    assert medlar.json("pull", url, "--json", env=home)["was_installed"]
    (model,) = medlar.json("list", "--json", env=home)
    assert model["name"] == url and model["architecture"] == "qwen3" and model["bytes"] == len(server.content)
    assert medlar.json("show", url, "--json", env=home)["architecture"] == "qwen3"
    assert medlar.json("run", url, "hello", "-n", 2, "--json", env=home)["usage"]["completion_tokens"] <= 2
    assert medlar.json("verify", url, "--json", env=home)["good"]
    assert medlar.json("rm", url, "--json", env=home) == [{"name": url, "bytes": len(server.content)}]
    assert medlar.json("list", "--json", env=home) == []
    assert "not installed" in medlar.fail("verify", url, env=home)


def test_verify_fetches_a_damaged_file_again(medlar, server, home):
    server.whole.set()
    path = pathlib.Path(medlar.json("pull", server.url, "--json", env=home)["path"])
    path.chmod(0o600)
    path.write_bytes(b"X" + server.content[1:])
    done = medlar.try_run("verify", server.url, "--no-repair", "--json", env=home)
    assert done.returncode == 1 and not json.loads(done.stdout)["good"]
    assert medlar.json("verify", server.url, "--json", env=home)["files"][0]["state"] == "repaired"
    assert path.read_bytes() == server.content


def test_ctrl_c_belongs_to_the_chat_after_its_pull(medlar, server, home):
    server.whole.set()
    terminal = Terminal([medlar.path, "chat", server.url], medlar.environment(TERM="xterm", **home))
    terminal.wait_for(b">>> ")
    terminal.type("ab")  # once it is echoed, the prompt waits for the next key
    terminal.wait_for(b"b")
    time.sleep(0.2)
    terminal.type("\x03")
    terminal.wait_for(b"Ctrl-D")
    terminal.type("/exit\n")
    assert terminal.finish() == 0
