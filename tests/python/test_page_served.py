"""The page as the program serves it: files, headers, caching, and who may have it. What it does in a browser is tested
beside it (web/tests/served)."""

import gzip
import re

import pytest
from server_support import Server

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def server(medlar, tmp_path_factory):
    env = {"MEDLAR_HOME": str(tmp_path_factory.mktemp("home"))}
    with Server(medlar, None, "--api-key", "secret", env=env) as running:
        yield running


@pytest.fixture(scope="module")
def page(server):
    """The front page's HTML, without a key."""
    status, headers, body = server.request("/", headers=BROWSER)
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
    html = body.decode()
    if "no page" in html:
        assert "without a page" in server.line and "Node" in html
        assert b"no page" in server.request("/")[2]
        pytest.skip("this build has no page")
    assert "page" not in server.line
    return html


def test_front_page_and_all_it_names(server, page):
    assert page.startswith("<!doctype html>")
    names = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(names) >= 3 and all(name.startswith("/") for name in names)
    for name in names:
        status, headers, body = server.request(name, headers={"accept-encoding": "gzip"})
        assert status == 200, name
        if headers.get("content-encoding") == "gzip":
            assert "accept-encoding" in headers["vary"]
            body = gzip.decompress(body)
        assert len(body) > 100, name
        if name.startswith("/assets/"):
            assert "immutable" in headers["cache-control"]


def test_nothing_but_the_page_may_run(server, page):
    _, headers, _ = server.request("/", headers=BROWSER)
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'" and policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers.get_all("x-content-type-options") == ["nosniff"]
    assert headers["referrer-policy"] == "no-referrer" and headers["cross-origin-opener-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|style=", page)


def test_etag_saves_the_way(server, page):
    _, headers, _ = server.request("/", headers=BROWSER)
    status, again, body = server.request("/", headers=BROWSER | {"if-none-match": headers["etag"]})
    assert (status, body, again["etag"]) == (304, b"", headers["etag"])
    status, headers, body = server.request("/", method="HEAD", headers=BROWSER)
    assert status == 200 and int(headers["content-length"]) > 100 and body == b""


def test_who_is_no_browser_gets_a_line(server, page):
    status, headers, body = server.request("/", headers={"accept": "*/*"})
    assert (status, body) == (200, b"Medlar is running\n") and headers["vary"] == "accept"


def test_no_other_file(server, page):
    assert server.request("/assets/none.js")[0] == 404
    assert server.request("/assets/../page.h")[0] == 404
    assert server.request("/index.html")[0] == 401  # as any other path without a key
    assert server.request("/medlar/history")[0] == 401
