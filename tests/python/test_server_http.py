"""The protocol as its enemies speak it: raw sockets, slow clients, other sites' pages, wrong keys, odd paths."""

import concurrent.futures
import contextlib
import json
import resource
import select
import socket
import time

import pytest
from server_support import Server, post, read_all, status_of

COMPLETION = json.dumps({"prompt": "one", "max_tokens": 2, "ignore_eos": True}).encode()
ENDLESS = json.dumps({"prompt": "one", "ignore_eos": True, "stream": True, "max_tokens": 400}).encode()


@pytest.fixture(scope="module")
def server(medlar, tiny):
    with Server(medlar, tiny("llama"), "--parallel", "2", "--max-body", "1") as running:
        yield running


@pytest.fixture(scope="module")
def keyed(medlar, tiny, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("from-file\n\nother\r\n")
    with Server(medlar, tiny("llama"), "--api-key", "secret", "--api-key-file", str(keys)) as running:
        yield running


@pytest.fixture(autouse=True)
def still_serves(request):
    """Whatever a test did, the next good request works."""
    yield
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        assert status_of(running.raw(post("/v1/completions", COMPLETION, "Connection: close"))) == 200


HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("data, status", [
    (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    (HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    (HEAD + b"Content-Length: +5\r\n\r\nhello", 400),
    (HEAD + b"Content-Length: 5 \x00\r\n\r\nhello", 400),
    (HEAD + b"Content-Length : 5\r\n\r\nhello", 400),
    (HEAD + b"X: a\r\n b\r\n\r\n", 400),
    (HEAD.replace(b"\r\n", b"\n") + b"\n", 400),
    (HEAD + b"X: a\x00b\r\n\r\n", 400),
    (HEAD + b"X: y\r\n" * 1000 + b"\r\n", 431),
    (HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n", 431),
    (HEAD + b"Content-Length: 2000000\r\n\r\n", 413),
    (HEAD + b"Content-Length: 999999999999999999\r\n\r\n", 413),
    (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
])
def test_what_breaks_the_protocol_is_refused_and_closed(server, data, status):
    answer = server.raw(data)
    assert status_of(answer) == status
    assert b"connection: close" in answer and answer.count(b"\r\ncontent-length: ") == 1


def test_endless_chunks_end_at_the_limit(server):
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert status_of(server.raw(head + b"10000\r\n" + b"x" * 65536 + b"\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 40)) == 413


def test_chunks_and_pieces_make_a_body(server):
    chunks = b"".join(b"%x\r\n%c\r\n" % (1, c) for c in COMPLETION) + b"0\r\n\r\n"
    data = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks
    with server.connect() as connection:
        for i in range(0, len(data), 7):
            connection.sendall(data[i : i + 7])
        assert status_of(read_all(connection)) == 200


def test_requests_in_a_row_are_answered_in_order(server):
    request = b"GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    data = b"".join(request % name for name in (b"tiny-llama", b"none", b"tiny-llama"))
    answer = server.raw(data + post("/v1/completions", COMPLETION) + b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    statuses = [int(part.split()[0]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 200, 200, 200]


def test_an_old_client_gets_a_stream_that_ends_by_closing(server):
    data = post("/v1/completions", ENDLESS).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    answer = server.raw(data)
    assert b"transfer-encoding" not in answer and answer.endswith(b"data: [DONE]\n\n")


def test_head_options_and_other_methods(server):
    status, headers, body = server.request("/v1/models", method="HEAD")
    assert status == 200 and int(headers["content-length"]) > 0 and body == b""
    for method, path, allow in [("DELETE", "/v1/models", "GET, HEAD"), ("GET", "/v1/chat/completions", "POST")]:
        status, headers, _ = server.request(path, method=method)
        assert status == 405 and headers["allow"] == allow
    assert server.request("/v1/models", method="BREW")[0] == 405
    assert server.request("/none")[0] == 404


def test_a_client_waits_for_the_go_ahead(server):
    with server.connect() as connection:
        head, body = post("/v1/completions", COMPLETION, "Expect: 100-continue", "Connection: close").split(b"\r\n\r\n", 1)
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert status_of(read_all(connection)) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD", "DELETE"])
@pytest.mark.parametrize("fields, status", [
    (["Host: evil.example"], 403), (["Host: x/?"], 403), (["Host:"], 403), (["Host: localhost", "Host: localhost"], 403),
    ([], 403),
    (["Host: localhost", "Origin: null"], 403), (["Host: localhost", "Origin: https://evil.example"], 403),
    (["Host: localhost", "Origin: http://localhost.evil.example"], 403),
])
def test_other_sites_are_refused(server, method, fields, status):
    request = "\r\n".join([f"{method} /v1/models HTTP/1.1", *fields, "Connection: close"]).encode() + b"\r\n\r\n"
    answer = server.raw(request)
    assert status_of(answer) == status and b"access-control" not in answer


def test_allowed_pages_may_read_answers(medlar, tiny):
    with Server(medlar, tiny("llama"), "--allow-origin", "https://app.example", "--allow-host", "box.example") as running:
        headers = {"Origin": "https://app.example", "Host": "box.example"}
        status, got, _ = running.request("/v1/models", headers=headers)
        assert status == 200 and got["access-control-allow-origin"] == "https://app.example" and got["vary"] == "origin"
        status, got, _ = running.request("/v1/models", method="OPTIONS", headers=headers | {
            "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"})
        assert status == 204 and "POST" in got["access-control-allow-methods"]
        assert got["access-control-allow-headers"] == "authorization"


ODD_PATHS = ["//v1/models", "/v1//models", "/v1/models/", "/V1/models", "/v1/%6dodels", "/%2e/v1/models", "/v1/../v1/models",
             "/./v1/models", "/health/", "/health/../v1/models", "/HEALTH", "/v1/models;x", "/v1/models%00", "/health%2f..%2fv1"]


def test_every_route_needs_a_key(keyed):
    document = keyed.json("/openapi.json", headers={"x-api-key": "secret"})
    opened = []
    for path, methods in document["paths"].items():
        for method in methods:
            status = keyed.request(path, b"{}" if method == "post" else None, method.upper())[0]
            if status != 401:
                opened.append(path)
    assert sorted(opened) == ["/", "/assets/{file}", "/health", "/icon.svg"]
    for path in ODD_PATHS:
        assert status_of(keyed.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())) == 401
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n"
        assert status_of(keyed.raw(request.encode())) == 404
    for method in ("HEAD", "DELETE", "PUT", "BREW"):
        assert keyed.request("/v1/models", method=method)[0] == 401


@pytest.mark.parametrize("headers, status", [
    ({"Authorization": "Bearer secret"}, 200), ({"x-api-key": "secret"}, 200), ({"x-api-key": "from-file"}, 200),
    ({"x-api-key": "other"}, 200), ({"Authorization": "Bearer secre"}, 401), ({"Authorization": "secret"}, 401),
    ({"x-api-key": ""}, 401), ({"Authorization": "Bearer "}, 401), ({}, 401),
])
def test_keys(keyed, headers, status):
    assert keyed.request("/v1/models", headers=headers)[0] == status


def test_a_refused_body_is_not_read(keyed):
    """Refused at the head: the answer comes although the body never does."""
    answer = keyed.raw(HEAD + b"Content-Length: 500000\r\n\r\n")
    assert status_of(answer) == 401 and b"connection: close" in answer


def test_keys_share_no_cache(keyed):
    body = {"prompt": "a prompt that is long enough", "max_tokens": 1}

    def cached(key):
        answer = keyed.json("/v1/completions", body, headers={"x-api-key": key})
        return answer["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert cached("secret") == 0 and cached("secret") > 0 and cached("other") == 0


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"prompt":1e309}', b'{"a":1,"a":2}', b'{"prompt":"\\ud800"}', b'{"prompt":"a\x00"}',
                                  b"\xff\xfe", b"null", b"5", b'"x"', b"[]", b"", b"{"])
def test_bodies_that_are_no_request(server, body):
    for path in ("/v1/completions", "/v1/chat/completions", "/v1/messages", "/api/chat", "/api/generate", "/completion"):
        status, _, answer = server.request(path, body, method="POST")
        assert status == 400 and json.loads(answer)["error"]


@pytest.mark.parametrize("value", ["-5", "-2147483648", "1e19", "1e309", '"5"', "[]", "{}", "true", "0.5"])
def test_every_number_refuses_what_it_cannot_be(server, value):
    for field in ("n", "top_k", "max_tokens", "max_completion_tokens", "n_predict", "num_ctx", "repeat_last_n", "min_keep", "mirostat"):
        status, _, answer = server.request("/v1/completions", f'{{"prompt":"x","{field}":{value}}}'.encode())
        assert status == 400 and field in json.loads(answer)["error"]["message"], (field, value, answer)


def test_ids_and_traces(server):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"x-request-id": "my-id.7", "traceparent": trace}
    assert server.request("/health", headers=headers)[1]["x-request-id"] == "my-id.7"
    for odd in ("a b", "x" * 100, "<script>"):
        assert server.request("/health", headers={"x-request-id": odd})[1]["x-request-id"].startswith("req-")


def test_the_log_has_ids_and_traces_but_no_prompts(medlar, tiny):
    with Server(medlar, tiny("llama"), "--api-key", "secret-key") as running:
        headers = {"x-api-key": "secret-key", "x-request-id": "my-id", "traceparent": "00-trace"}
        running.json("/v1/completions", {"prompt": "my private words", "max_tokens": 1}, headers=headers)
        running.stop()
        log = running.log()
        assert "request=my-id" in log and "status=200" in log and "traceparent=00-trace" in log
        assert "private" not in log and "secret-key" not in log


def test_slow_heads_and_bodies_do_not_hold_up_others(server):
    with contextlib.ExitStack() as stack:
        for i in range(100):
            connection = stack.enter_context(server.connect())
            connection.sendall(b"GET /v1/models HT" if i % 2 else HEAD + b"Content-Length: 100\r\n\r\n{")
        start = time.monotonic()
        assert server.json("/health") == {"status": "ok"}
        assert time.monotonic() - start < 5


def test_a_slow_head_is_dropped(server):
    with server.connect() as connection:
        connection.sendall(b"GET / HT")
        start = time.monotonic()
        assert read_all(connection) == b""
        assert 5 < time.monotonic() - start < 25


def test_ten_thousand_idle_connections(server, medlar):
    """As many as this machine's limits let us open, up to 10,000: they cost memory, but no answers."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = min(10_000, limit[1] - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit[0], want + 200), limit[1]))
    try:
        def memory():
            lines = server.request("/metrics")[2].decode().splitlines()
            return next(float(line.split()[-1]) for line in lines if 'category="resident_anonymous"' in line)

        before = memory()
        with contextlib.ExitStack() as stack:
            for _ in range(want):
                stack.enter_context(server.connect())
            assert server.json("/health") == {"status": "ok"}
            assert medlar.sanitized or (memory() - before) / want < 16384
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_a_reader_that_does_not_read_is_dropped_alone(server):
    """Its answer fits no buffer, so it waits; others are served meanwhile, and leaving frees its place."""
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            slow = stack.enter_context(server.connect())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            slow.sendall(post("/v1/completions", ENDLESS))
        assert status_of(server.raw(post("/v1/completions", COMPLETION, "Connection: close"))) == 200


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
def test_clients_that_leave_at_once(server, reset):
    body = json.dumps({"prompt": "one", "ignore_eos": True, "stream": True}).encode()
    for pause in (0, 0, 0.001, 0.01, 0.05) * 4:
        with server.connect() as connection:
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.sendall(post("/v1/completions", body))
            select.select([connection], [], [], pause)
    deadline = time.monotonic() + 30
    while any(slot["is_processing"] for slot in server.json("/slots")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_many_clients_at_once(server):
    def ask(i):
        return server.json("/v1/completions", {"prompt": f"number {i % 5}", "max_tokens": 8, "temperature": 0, "ignore_eos": True})

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    texts = {}
    for i, answer in enumerate(answers):
        texts.setdefault(i % 5, set()).add(answer["choices"][0]["text"])
    assert all(len(same) == 1 for same in texts.values())
