"""Connections that a server has to bear: some that say nothing, some that take their answers a few bytes at a time."""

import asyncio
import json
import socket

from peers.protocol import Failed

SMALL_BUFFER = 4096  # of the system's, so that the server has to keep the rest
SLOW_BYTES, SLOW_SECONDS = 64, 1.0
AT_ONCE = 100  # connections being opened
SLOW_TOKENS = 16
READY_SECONDS = 60


class Crowd:
    """Open until the block ends. It begins when the slow ones' answers have been made, so that what they still cost
    is their connections, not the model's time."""

    def __init__(self, port, idle, slow, first_token):
        self.port, self.idle, self.slow, self.first_token = port, idle, slow, first_token
        self.sockets, self.writers, self.tasks = [], [], []

    async def __aenter__(self):
        await self.many(self.idle, self.open_idle)
        await self.many(self.slow, self.open_slow)
        await self.answers_made()
        return self

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for each in self.sockets:
            each.close()
        for writer in self.writers:
            writer.transport.abort()

    def left(self):
        """How many of each kind the server has not closed."""
        return sum(map(is_open, self.sockets)), sum(not task.done() for task in self.tasks)

    async def many(self, count, open_one):
        for begin in range(0, count, AT_ONCE):
            await asyncio.gather(*(open_one(i) for i in range(begin, min(begin + AT_ONCE, count))))

    async def connect(self, buffer=None):
        connection = socket.socket()
        connection.setblocking(False)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        return connection

    async def open_idle(self, _):
        self.sockets.append(await self.connect())

    async def open_slow(self, index):
        connection = await self.connect(SMALL_BUFFER)
        reader, writer = await asyncio.open_connection(sock=connection, limit=SLOW_BYTES)
        body = json.dumps({"prompt": [self.first_token + index], "n_predict": SLOW_TOKENS, "n_probs": 20, "ignore_eos": True,
                           "stream": True}).encode()  # fmt: skip
        writer.write(b"POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.writers.append(writer)
        self.tasks.append(asyncio.create_task(sip(reader)))

    async def answers_made(self):
        for _ in range(READY_SECONDS * 10):
            if await self.active() == 0:
                return
            await asyncio.sleep(0.1)
        raise Failed(f"the slow readers' answers were not made after {READY_SECONDS} s")

    async def active(self):
        """Requests that the server is answering or has waiting, from its metrics."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        names = ("medlar_requests_active", "medlar_requests_waiting")
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(names))


def is_open(connection):
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


async def sip(reader):
    while await reader.read(SLOW_BYTES):
        await asyncio.sleep(SLOW_SECONDS)
