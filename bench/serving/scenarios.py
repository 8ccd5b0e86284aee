"""What bench/serve.py measures of a server: each scenario starts one, plays its clients, and returns numbers."""

import asyncio
import contextlib
import dataclasses
import random
import time

import aiohttp

from peers.protocol import Failed
from serving.client import complete, percentile
from serving.crowd import Crowd


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Tokens, unless said otherwise."""

    prefix: int = 1500
    question: int = 32
    answer: int = 64
    clients: int = 16  # that share the prefix
    long_prompt: int = 4000
    streams: int = 4  # beside the long prompt
    quiet: int = 200  # pieces of each stream before the long prompt comes
    repeats: int = 3  # prefixes asked twice
    idle: int = 10_000  # connections
    slow: int = 200  # connections
    good: int = 60  # requests of the good client
    context: int = 6144  # of a slot beside a long prompt
    # Which tokens prompts are made of: beyond the special and single-byte ones that vocabularies begin with.
    first_token: int = 1000
    last_token: int = 20000

    def prompt(self, seed, tokens):
        return random.Random(seed).choices(range(self.first_token, self.last_token), k=tokens)


@contextlib.asynccontextmanager
async def session_of(connections):
    timeout = aiohttp.ClientTimeout(total=None, sock_read=600)
    # Some servers close what they had kept alive just when the next request comes.
    connector = aiohttp.TCPConnector(limit=connections, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


class SharedPrefix:
    """Clients with one prefix and questions of their own, all at once: first to a server that has read nothing, then
    each with a further question."""

    name = "prefix"

    def slots(self, sizes):
        return sizes.clients, sizes.prefix + sizes.question + sizes.answer + 16

    async def play(self, server, sizes, seed):
        prefix, numbers = sizes.prompt(seed, sizes.prefix), {}
        async with session_of(sizes.clients) as session:
            for wave in ("first", "next"):
                begin = time.perf_counter()
                prompts = [prefix + sizes.prompt(f"{seed} {wave} {i}", sizes.question) for i in range(sizes.clients)]
                answers = await asyncio.gather(*(complete(session, server.port, p, sizes.answer) for p in prompts))
                seconds = max(answer.arrivals[-1] for answer in answers) - begin
                times = [answer.ttft for answer in answers]
                numbers |= {
                    f"{wave}_tokens_per_s": sum(answer.tokens for answer in answers) / seconds,
                    f"{wave}_ttft_p50_ms": 1000 * percentile(times, 0.5),
                    f"{wave}_ttft_p95_ms": 1000 * percentile(times, 0.95),
                    f"{wave}_cached": sum(answer.cached for answer in answers) / len(answers),
                }
        return numbers


class LongPrompt:
    """Streams that are being answered when a long prompt comes: their gaps before, and until it has been read."""

    name = "long"

    def slots(self, sizes):
        return sizes.streams + 1, sizes.context

    async def play(self, server, sizes, seed):
        begun = asyncio.Semaphore(0)

        def on_piece(answer):
            if len(answer.arrivals) == sizes.quiet:
                begun.release()

        async with session_of(sizes.streams + 1) as session:
            streams = [Stream(session, server.port, sizes.prompt(f"{seed} {i}", sizes.question), sizes, on_piece)
                       for i in range(sizes.streams)]  # fmt: skip
            for _ in streams:
                await begun.acquire()
            quiet_from = max(stream.answer.arrivals[0] for stream in streams)
            sent = time.perf_counter()
            reading = await complete(session, server.port, sizes.prompt(f"{seed} long", sizes.long_prompt), 1)
            read = reading.arrivals[0]
            for stream in streams:
                await stream.stop_after(read)
        quiet = [gap for stream in streams for gap in stream.answer.gaps(quiet_from, sent)]
        busy = [gap for stream in streams for gap in stream.answer.gaps_over(sent, read)]
        return {
            "quiet_p50_ms": 1000 * percentile(quiet, 0.5),
            "quiet_p99_ms": 1000 * percentile(quiet, 0.99),
            "reading_p50_ms": 1000 * percentile(busy, 0.5),
            "reading_p99_ms": 1000 * percentile(busy, 0.99),
            "reading_max_ms": 1000 * max(busy),
            "long_ttft_ms": 1000 * reading.ttft,
            "p99_ratio": percentile(busy, 0.99) / percentile(quiet, 0.99),
        }


class Stream:
    """An answer of as many tokens as fit, until it is stopped."""

    def __init__(self, session, port, prompt, sizes, on_piece):
        self.answer = None

        def keep(answer):
            self.answer = answer
            on_piece(answer)

        self.task = asyncio.create_task(complete(session, port, prompt, sizes.context - len(prompt) - 8, keep))

    async def stop_after(self, moment):
        """Once a piece has come later than that. Raises Failed where the answer ended before."""
        while self.answer.arrivals[-1] <= moment:
            if self.task.done():
                raise Failed("a stream ended before the prompt was read")
            await asyncio.sleep(0.005)
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class SecondRequest:
    """A prefix, and the same again with another question."""

    name = "second"

    def slots(self, sizes):
        return 1, sizes.prefix + sizes.question + sizes.answer + 16

    async def play(self, server, sizes, seed):
        first, second, cached = [], [], []
        async with session_of(1) as session:
            for i in range(sizes.repeats):
                prefix = sizes.prompt(f"{seed} {i}", sizes.prefix)
                for times in (first, second):
                    prompt = prefix + sizes.prompt(f"{seed} {i} {len(times)} {len(first)}", sizes.question)
                    answer = await complete(session, server.port, prompt, 8)
                    times.append(answer.ttft)
                cached.append(answer.cached)
        ratios = [b / a for a, b in zip(first, second, strict=True)]
        return {
            "first_ttft_ms": 1000 * percentile(first, 0.5),
            "second_ttft_ms": 1000 * percentile(second, 0.5),
            "cached": percentile(cached, 0.5),
            "ttft_ratio": percentile(ratios, 0.5),
        }


class ManyConnections:
    """A good client's short requests, alone and among connections that are idle or hardly read."""

    name = "crowd"

    def slots(self, sizes):
        return 4, 1024

    async def play(self, server, sizes, seed):
        quiet = await self.ask(server, sizes, f"{seed} quiet")
        async with Crowd(server.port, sizes.idle, sizes.slow, sizes.first_token) as crowd:
            crowded = await self.ask(server, sizes, f"{seed} crowded")
            left = crowd.left()
        numbers = {f"quiet_{key}": value for key, value in quiet.items()}
        numbers |= {f"crowded_{key}": value for key, value in crowded.items()}
        numbers |= {key.replace("_ms", "_ratio"): crowded[key] / quiet[key] for key in quiet}
        return numbers | {"idle_left": left[0], "slow_left": left[1]}

    async def ask(self, server, sizes, seed):
        gaps, times = [], []
        async with session_of(1) as session:
            for i in range(sizes.good):
                answer = await complete(session, server.port, sizes.prompt(f"{seed} {i}", 16), 16)
                gaps += answer.gaps()
                times.append(answer.ttft)
        return {
            "gap_p50_ms": 1000 * percentile(gaps, 0.5),
            "gap_p99_ms": 1000 * percentile(gaps, 0.99),
            "ttft_p50_ms": 1000 * percentile(times, 0.5),
            "ttft_p99_ms": 1000 * percentile(times, 0.99),
        }


SCENARIOS = {scenario.name: scenario for scenario in (SharedPrefix(), LongPrompt(), SecondRequest(), ManyConnections())}
