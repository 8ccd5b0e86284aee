"""One streamed completion, and when each part of it came."""

import dataclasses
import itertools
import json
import statistics
import time

from peers.protocol import Failed


@dataclasses.dataclass
class Answer:
    """Times are of time.perf_counter()."""

    sent: float
    arrivals: list[float] = dataclasses.field(default_factory=list)  # of each piece with a token
    tokens: int = 0  # that the server says it wrote
    cached: int = 0  # of the prompt, that it did not have to read

    @property
    def ttft(self):
        return self.arrivals[0] - self.sent

    def gaps(self, begin=float("-inf"), end=float("inf")):
        """Seconds between two pieces, where the second came in this time."""
        return [b - a for a, b in itertools.pairwise(self.arrivals) if begin <= b <= end]

    def gaps_over(self, begin, end):
        """Those that have some of this time in them."""
        return [b - a for a, b in itertools.pairwise(self.arrivals) if b > begin and a < end]


def percentile(values, share):
    """The value below which this share of them lies, between two of them in proportion."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


async def complete(session, port, prompt, tokens, on_piece=None):
    """A prompt of token numbers, answered greedily with exactly this many tokens, by the API that llama-server and
    Medlar share. Raises Failed."""
    body = {"prompt": prompt, "n_predict": tokens, "stream": True, "ignore_eos": True, "temperature": 0,
            "cache_prompt": True}  # fmt: skip
    answer = Answer(time.perf_counter())
    async with session.post(f"http://127.0.0.1:{port}/completion", json=body) as response:
        if response.status != 200:
            raise Failed(f"status {response.status}: {(await response.text())[:500]}")
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                raise Failed(str(event["error"]))
            if event["stop"]:
                answer.tokens = event["tokens_predicted"]
                answer.cached = event["timings"]["cache_n"]
                break
            answer.arrivals.append(time.perf_counter())
            if on_piece:
                on_piece(answer)
    if answer.tokens != tokens:
        raise Failed(f"{answer.tokens} tokens came where {tokens} were asked for")
    return answer
