# The page as the program serves it: files, headers, caching.

import gzip
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

START_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def url(medlar):
    usage = medlar.try_run("serve", "--help")
    if usage.returncode != 0:
        pytest.skip("this build has no medlar serve")
    port = free_port()
    server = subprocess.Popen([medlar.path, "serve", "--port", str(port)], env=medlar.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    if server.poll() is not None:
        pytest.skip(f"medlar serve does not start here: {server.stdout.read().strip()}")
    address = f"http://127.0.0.1:{port}"
    if not get(address + "/")[1].get("content-type", "").startswith("text/html"):
        server.terminate()
        server.wait(timeout=30)
        pytest.skip("medlar serve does not serve the page")
    yield address
    server.terminate()
    server.wait(timeout=30)


def get(url, headers=None):
    request = urllib.request.Request(url, headers={"accept": "text/html,*/*"} | (headers or {}))
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict((k.lower(), v) for k, v in answer.headers.items()), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict((k.lower(), v) for k, v in error.headers.items()), error.read()


def test_front_page_and_all_it_names(url):
    status, headers, body = get(url + "/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    html = body.decode()
    assert html.startswith("<!doctype html>")
    names = re.findall(r'(?:src|href)="([^"]+)"', html)
    if not names:
        assert "no page" in html
        pytest.skip("this build has no page")
    for name in names:
        status, headers, body = get(url + name, {"accept-encoding": "gzip"})
        assert status == 200, name
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        assert len(body) > 100, name
        if name.startswith("/assets/"):
            assert "immutable" in headers["cache-control"]


def test_etag_saves_the_way(url):
    _, headers, _ = get(url + "/")
    status, _, body = get(url + "/", {"if-none-match": headers["etag"]})
    assert (status, body) == (304, b"")


def test_unknown_file_is_404(url):
    assert get(url + "/assets/none.js")[0] == 404
    assert get(url + "/assets/../page.h")[0] in (400, 404)
