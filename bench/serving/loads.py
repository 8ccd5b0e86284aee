"""What bench/soak.py's clients do: each load plays one client once, and says which statuses it got.

A load raises Unexpected where the server answered otherwise than it must.
"""

import asyncio
import contextlib
import json
import socket
import struct

import aiohttp

WORDS = "the river runs past seven old mills and no two of them ever grind at the same hour of the day".split()
PREFIXES = [" ".join(WORDS[i:] + WORDS[:i]) * 2 for i in range(3)]


class Unexpected(Exception):
    """The server's answer was wrong; the text says to what."""


def text_of(random, most):
    return random.choice(PREFIXES) * random.randint(0, 1) + " ".join(random.choices(WORDS, k=random.randint(1, most)))


def body_of(random):
    """(path, body) of a request that is right."""
    body = {"max_tokens": random.randint(1, 40), "temperature": random.choice([0, 0.7, 1.5]),
            "seed": random.randint(0, 5), "ignore_eos": random.random() < 0.8}  # fmt: skip
    if random.random() < 0.2:
        body["stop"] = random.choice([["the"], "e", ["§", "mill"]])
    if random.random() < 0.1:
        body["priority"] = "background"
    path = random.choice(["/v1/chat/completions", "/v1/completions", "/completion", "/v1/messages", "/api/chat"])
    if path != "/completion":
        body["model"] = "soak"
    if path in ("/v1/completions", "/completion"):
        body["prompt"] = text_of(random, 30)
    else:
        body |= {"messages": [{"role": "user", "content": text_of(random, 30)}]}
    if path.startswith("/v1/c"):
        body["n"] = random.choice([1, 1, 1, 2])
    if path == "/api/chat":
        options = {key: body.pop(key) for key in ("temperature", "seed", "ignore_eos")}
        body["options"] = options | {"num_predict": body.pop("max_tokens")}
        body.pop("stop", None)
    return path, body


async def whole(session, url, random):
    path, body = body_of(random)
    async with session.post(url + path, json=body | {"stream": False}) as answer:
        text = await answer.text()
        if answer.status != 200 or not isinstance(json.loads(text), dict):
            raise Unexpected(f"{path} {body}: {answer.status} {text[:300]}")
        return [answer.status]


async def stream(session, url, random, leave_after=None):
    path, body = body_of(random)
    async with session.post(url + path, json=body | {"stream": True}) as answer:
        if answer.status != 200:
            raise Unexpected(f"{path} {body}: {answer.status} {(await answer.text())[:300]}")
        lines = 0
        async for line in answer.content:
            lines += bool(line.strip())
            if b'"error"' in line:
                raise Unexpected(f"{path} {body}: {line[:300]}")
            if leave_after is not None and lines > leave_after:
                answer.close()
                break
        return [answer.status]


async def leave(session, url, random):
    return await stream(session, url, random, random.randint(0, 10))


async def vanish(session, url, random):
    """Asks, and is gone before the answer, sometimes by a reset."""
    path, body = body_of(random)
    reader, writer = await connect(url)
    writer.write(post(path, json.dumps(body).encode()))
    await asyncio.sleep(random.choice([0, 0, 0.01, 0.1]))
    if random.random() < 0.5:
        option = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
    writer.transport.abort()
    return []


async def slow(session, url, random):
    """Takes its answer a few bytes at a time, and leaves before the end."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    host, port = url.removeprefix("http://").split(":")
    await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connection, limit=64)
    body = {"prompt": "a", "stream": True, "n_probs": 20, "n_predict": 60, "ignore_eos": True}
    writer.write(post("/completion", json.dumps(body).encode()))
    for _ in range(random.randint(1, 20)):
        await reader.read(32)
        await asyncio.sleep(0.2)
    writer.transport.abort()
    return []


async def idle(session, url, random):
    reader, writer = await connect(url)
    if random.random() < 0.5:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: local")
    await asyncio.sleep(random.uniform(0, 5))
    writer.transport.abort()
    return []


async def switch(session, url, random):
    """Asks another model, or puts one away. With --max-models 1 the server exchanges them under the others' load."""
    path, body = random.choice([
        ("/v1/completions", {"model": "other", "prompt": text_of(random, 10), "max_tokens": 5}),
        ("/v1/models/load", {"model": "other"}),
        ("/api/generate", {"model": "soak", "prompt": "", "keep_alive": 0}),
    ])  # fmt: skip
    async with session.post(url + path, json=body) as answer:
        if answer.status != 200:
            raise Unexpected(f"{path} {body}: {answer.status} {(await answer.text())[:300]}")
        return [answer.status]


async def look(session, url, random):
    path = random.choice(["/health", "/v1/models", "/props", "/slots", "/metrics", "/openapi.json", "/api/tags"])
    async with session.get(url + path) as answer:
        if answer.status != 200 or not await answer.read():
            raise Unexpected(f"{path}: {answer.status}")
        return [answer.status]


# Bytes that are no good request, and how they must be answered.
BROKEN = [
    (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413),
    (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40000 + b"\r\n\r\n", 431),
    (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    (b"DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
]
BAD_BODIES = [b"", b"{", b"[]", b'{"prompt": 5}', b'{"prompt": "a", "temperature": "hot"}', b'{"prompt": "a", "n": 1e9}',
              b'{"prompt": "a", "max_tokens": 0}', b'{"a": 1, "a": 2}', b"[" * 100_000, b'{"prompt": "\\ud800"}',
              b'{"prompt": "' + b"x" * 100_000 + b'"}', b'{"prompt": "a", "logit_bias": {"99999999": 1}}']  # fmt: skip


async def broken(session, url, random):
    if random.random() < 0.5:
        data, expected = random.choice(BROKEN)
    else:
        data, expected = post("/v1/completions", random.choice(BAD_BODIES)), 400
    reader, writer = await connect(url)
    try:
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(4096), 30)
    finally:
        writer.transport.abort()
    status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None
    if status != expected:
        raise Unexpected(f"{data[:100]}: {answer[:300]}")
    return [status]


# How often each is played.
LOADS = {whole: 20, stream: 30, leave: 15, vanish: 10, slow: 3, idle: 5, look: 5, broken: 12, switch: 1}


async def connect(url):
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


def post(path, body):
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body


@contextlib.asynccontextmanager
async def session_of_many():
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        yield session
