"""`medlar serve` as a command: where it listens, what it refuses, and how it ends."""

import json
import signal
import socket
import ssl
import subprocess
import time

import pytest
from server_support import Server, post, read_all, status_of
from test_server_ollama import free_port


def test_a_port_in_use_is_told(medlar, tiny):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in medlar.fail("serve", tiny("llama"), "--port", port)


@pytest.mark.parametrize("arguments, code, expected", [
    (["--host", "0.0.0.0"], 2, "--api-key"),
    (["--host", "0.0.0.0", "--api-key", ""], 2, "empty"),
    (["--port", "70000"], 2, "--port"),
    (["--parallel", "0"], 2, "--parallel"),
    (["--tls-cert", "none.pem"], 2, "--tls-key"),
    (["--tls-cert", "none.pem", "--tls-key", "none.pem"], 1, "none.pem"),
    (["--log", "loud"], 2, "--log"),
    (["--host", "198.51.100.7", "--no-api-key"], 1, "198.51.100.7"),
])
def test_wrong_options(medlar, tiny, arguments, code, expected):
    assert expected in medlar.fail("serve", tiny("llama"), *arguments, code=code)


def test_a_model_that_cannot_be_loaded_ends_the_server(medlar, tmp_path):
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF")
    assert "bad.gguf" in medlar.fail("serve", path, "--port", "0")


def test_beyond_this_machine_with_a_key(medlar, tiny):
    with Server(medlar, tiny("llama"), "--host", "0.0.0.0", "--api-key", "k") as server:
        server.url = f"http://127.0.0.1:{server.port}"
        assert server.request("/v1/models")[0] == 401
        assert server.request("/v1/models", headers={"x-api-key": "k"})[0] == 200


def test_ipv6_and_names(medlar, tiny):
    with Server(medlar, tiny("llama"), "--host", "localhost") as server:
        assert server.json("/health") == {"status": "ok"}


def test_unix_socket(medlar, tiny, tmp_path):
    path = tmp_path / "socket"
    for _ in range(2):  # a socket that an earlier server left is no obstacle
        with Server(medlar, tiny("llama"), "--unix", str(path)) as server:
            assert path.stat().st_mode & 0o777 == 0o600
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
                assert status_of(read_all(connection)) == 200
            assert "in use" in medlar.fail("serve", tiny("llama"), "--unix", path)
            server.process.kill()
            server.process.wait()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # it asks for an old version on purpose
def test_tls(medlar, tiny, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    with Server(medlar, tiny("llama"), "--tls-cert", str(cert), "--tls-key", str(key)) as server:
        context = ssl.create_default_context(cafile=cert)
        body = json.dumps({"prompt": "x", "max_tokens": 20, "stream": True, "ignore_eos": True}).encode()
        with server.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert status_of(connection.recv(65536)) == 200
            connection.sendall(post("/v1/completions", body, "Connection: close"))
            answer = read_all(connection)
            assert status_of(answer) == 200 and b"[DONE]" in answer
        assert server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")[:5] != b"HTTP/"
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        with server.connect() as plain, pytest.raises((ssl.SSLError, OSError)):
            old.wrap_socket(plain)
        # A client that leaves in the middle frees its place.
        endless = json.dumps({"prompt": "x", "stream": True, "ignore_eos": True}).encode()
        for _ in range(3):
            with server.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(post("/v1/completions", endless))
                connection.recv(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_answers_finish(medlar, tiny, number):
    with Server(medlar, tiny("llama")) as server:
        body = json.dumps({"prompt": "x", "stream": True, "ignore_eos": True, "max_tokens": 400}).encode()
        with server.connect() as idle, server.connect() as connection:
            connection.sendall(post("/v1/completions", body))
            first = connection.recv(100)
            server.process.send_signal(number)
            assert read_all(idle) == b""
            answer = first + read_all(connection)
            assert b"data: [DONE]\n\n" in answer and answer.endswith(b"0\r\n\r\n")
        assert server.process.wait(30) == 0


def test_a_second_signal_ends_at_once(medlar, tiny):
    with Server(medlar, tiny("llama"), "--drain", "600") as server:
        body = json.dumps({"prompt": "x", "stream": True, "ignore_eos": True}).encode()
        with server.connect() as connection:
            # A reader that stops keeps the server waiting.
            connection.sendall(post("/v1/completions", body) * 20)
            connection.recv(100)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(10) in (0, 128 + signal.SIGTERM)


def test_the_drain_has_an_end(medlar, tiny):
    with Server(medlar, tiny("llama"), "--drain", "0") as server:
        with server.connect() as connection:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            time.sleep(0.2)
            server.process.terminate()
            assert server.process.wait(20) == 0


def test_a_second_port_for_ollama(medlar, tiny):
    port = free_port()
    with Server(medlar, tiny("llama"), "--ollama-port", str(port)) as server:
        assert server.json("/api/version")["version"]
        server.url = f"http://127.0.0.1:{port}"
        assert server.json("/api/version")["version"]
