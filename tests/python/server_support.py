"""A running `medlar serve`, and raw sockets to misbehave on."""

import contextlib
import json
import re
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request


class Server:
    """The program serving a model on a free port. Ends by SIGTERM when the block ends, and must end well."""

    def __init__(self, medlar, model, *args, context=512, env=None):
        named = [] if model is None else [str(model)]
        command = [medlar.path, "serve", *named, "--port", "0", "-c", str(context), "--log", "info", *args]
        # A file, not a pipe: nobody reads the log meanwhile.
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=medlar.environment(**(env or {}))
        )
        self.line = self.process.stdout.readline()
        if not self.line:
            raise AssertionError(f"the server did not start: {self.log()}")
        self.url = self.line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1]) if self.url.startswith("http") else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
            assert self.process.returncode == 0, self.log()
        self.process.stdout.close()
        self.errors.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def request(self, path, body=None, method=None, headers=None):
        """(status, headers, body as bytes)"""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, path, body=None, status=200, **options):
        got, _, answer = self.request(path, body, **options)
        assert got == status, f"{path}: {got} {answer}"
        return json.loads(answer)

    @contextlib.contextmanager
    def connect(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            yield connection

    def raw(self, data):
        """Everything the server says to these bytes until it closes."""
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            return read_all(connection)


def read_all(connection):
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer.split()[1])


def post(path, body, *fields):
    """A request as bytes."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Listening(threading.Thread):
    """Streams an answer until it has heard enough; `pieces` are its texts."""

    def __init__(self, server, body):
        super().__init__()
        self.pieces, self.enough = [], threading.Event()
        data = json.dumps(body | {"stream": True}).encode()
        self.answer = urllib.request.urlopen(urllib.request.Request(server.url + "/v1/completions", data), timeout=60)
        self.start()

    def run(self):
        for line in self.answer:
            if line.startswith(b"data: {"):
                self.pieces.append(json.loads(line[6:])["choices"][0]["text"])
            if self.enough.is_set():
                return self.answer.close()


def stages_of(server):
    """The stages of the ladder, by the server's log."""
    stages = re.findall(r"memory stage=(\w+)", server.log())
    return [stage for stage, before in zip(stages, ["", *stages]) if stage != before]
