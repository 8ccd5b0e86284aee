"""bench/serve.py and bench/soak.py: ratios, verdicts and reports of given numbers, and each scenario played in small against
the real server."""

import asyncio
import contextlib
import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import serve  # noqa: E402
import soak  # noqa: E402
from peers.protocol import Failed  # noqa: E402
from serving.client import Answer, complete, percentile  # noqa: E402
from serving.plot import Panel, svg  # noqa: E402
from serving.scenarios import SCENARIOS, Sizes, session_of  # noqa: E402
from serving.servers import MedlarServer, Setup  # noqa: E402

SMALL = Sizes(prefix=90, question=8, answer=6, clients=5, long_prompt=150, streams=2, quiet=20, repeats=2, idle=30, slow=3,
              good=4, context=512, first_token=1, last_token=255)  # fmt: skip


def test_percentiles_lie_between_two_values():
    assert percentile([3.0], 0.99) == 3
    assert percentile([1, 2, 3], 0.5) == 2
    assert percentile(list(range(101)), 0.99) == 99
    assert percentile([0, 10], 0.25) == pytest.approx(2.5)


def test_gaps_are_those_of_a_time():
    answer = Answer(sent=0, arrivals=[1, 2, 4, 8])
    assert answer.ttft == 1 and answer.gaps() == [1, 2, 4]
    assert answer.gaps(2, 5) == [1, 2]
    assert answer.gaps_over(3, 5) == [2, 4]


def results(scenario, **runs):
    return serve.Results(scenario, "m.gguf", {name.replace("_", "-"): numbers for name, numbers in runs.items()})


def wave(rate, p50):
    return {f"{wave}_{key}": value for wave in ("first", "next")
            for key, value in (("tokens_per_s", rate), ("ttft_p50_ms", p50), ("ttft_p95_ms", 2 * p50))}  # fmt: skip


def test_goals_are_judged_by_the_median_of_the_rounds_ratios():
    text = serve.table([results("prefix", medlar=[wave(90, 10), wave(30, 20), wave(50, 30)],
                                llama_server=[wave(30, 30), wave(20, 30), wave(20, 30)])])  # fmt: skip
    assert "| answers, tokens/s | 50 | 20 | 2.50 (1.50 to 3.00) | ≥ 2: met |\n" in text
    assert "| first token, p50 | 20 ms | 30 ms | 0.67 (0.33 to 1.00) | ≤ 0.5: **not met** |\n" in text
    assert "| first token, p95 | 40 ms | 60 ms | 0.67 (0.33 to 1.00) |  |\n" in text


def test_a_goal_of_medlars_own_needs_no_peer():
    numbers = {"first_ttft_ms": 1000.0, "second_ttft_ms": 40.0, "ttft_ratio": 0.04}
    text = serve.table([results("second", medlar=[numbers])])
    assert "| same / new | 0.04 |  |  | ≤ 0.05: met |\n" in text


class Scripted:
    def __init__(self, name, numbers, log):
        self.name, self.numbers, self.log = name, list(numbers), log

    @contextlib.contextmanager
    def start(self, setup):
        self.log.append((self.name, setup.slots))
        yield self


class Echo:
    name = "second"

    def slots(self, sizes):
        return 3, 64

    async def play(self, server, sizes, seed):
        numbers = server.numbers.pop(0)
        if isinstance(numbers, Exception):
            raise numbers
        return numbers


def test_servers_take_turns_and_who_fails_is_named(tmp_path):
    log, kept = [], []
    servers = [Scripted("medlar", [{"a": 1}, {"a": 2}], log), Scripted("llama-server", [{"a": 1}, Failed("out of\nluck")], log)]
    options = type("Options", (), {"cpus": "", "sizes": SMALL, "threads": 1, "rounds": 2, "seed": 1})
    got = serve.measure(servers, Echo(), tmp_path / "m.gguf", options, kept.append)
    assert log == [("medlar", 3), ("llama-server", 3)] * 2 and len(kept) == 2
    assert got.runs == {"medlar": [{"a": 1}, {"a": 2}]} and got.reasons == {"llama-server": "out of luck"}


@pytest.fixture(scope="module")
def model(tiny):
    return tiny("llama")


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_each_scenario_plays(medlar, model, name):
    scenario = SCENARIOS[name]
    slots, context = scenario.slots(SMALL)
    server = MedlarServer(pathlib.Path(medlar.path))
    assert server.version()[0].isdigit()
    with server.start(Setup(model, 1, slots, min(context, 512), kv="f16")) as process:
        numbers = asyncio.run(scenario.play(process, SMALL, "1"))
    assert set(row.key for row in serve.ROWS[name]) <= set(numbers)
    assert all(value >= 0 for value in numbers.values())
    if name == "prefix":
        assert numbers["next_cached"] >= SMALL.prefix
    if name == "second":
        assert numbers["cached"] >= SMALL.prefix
    if name == "crowd":
        assert (numbers["idle_left"], numbers["slow_left"]) == (SMALL.idle, SMALL.slow)


def test_an_answer_that_is_refused_fails(medlar, model):
    async def ask(port):
        async with session_of(1) as session:
            await complete(session, port, [5] * 600, 4)

    with MedlarServer(pathlib.Path(medlar.path)).start(Setup(model, 1, 1, 128, kv="f16")) as process:
        with pytest.raises(Failed, match="status 400"):
            asyncio.run(ask(process.port))


def test_a_server_that_cannot_start_fails(medlar, tmp_path):
    with pytest.raises(Failed, match="ended with 1"):
        with MedlarServer(pathlib.Path(medlar.path)).start(Setup(tmp_path / "none.gguf", 1, 1, 128)):
            pass


def samples(memory, files):
    pairs = zip(memory, files, strict=True)
    return [soak.Sample(60.0 * i, anon, count, 4) for i, (anon, count) in enumerate(pairs)]


def report(memory, files, last_files, unexpected=()):
    taken = samples(memory, files)
    ends = [soak.Sample(0, memory[0], files[0], 4), soak.Sample(0, memory[-1], last_files, 4)]
    return soak.report_of(taken, *ends, {"whole": 3}, {200: 3}, list(unexpected))


def test_flat_memory_and_closed_files_are_no_fault():
    flat = report([10, 20, 30, 31, 30, 31, 30, 31, 30], [9, 30, 40, 40, 40, 40, 40, 40, 40], 10)
    assert flat.faults() == [] and abs(flat.trend_mb_per_hour) < 10
    assert "Nothing unexpected." in soak.text_of(flat) and "9 before, 40 at most, 10 after" in soak.text_of(flat)


def test_what_grows_stays_open_or_surprises_is_a_fault():
    growing = report(list(range(10, 100, 10)), [9] * 9, 20, ["whole: 500"])
    assert growing.trend_mb_per_hour == pytest.approx(600)
    faults = growing.faults()
    assert faults[0] == "whole: 500" and "11 file descriptors" in faults[1] and "memory grew" in faults[2]


def test_the_plot_is_svg():
    root = xml.etree.ElementTree.fromstring(svg([0, 1, 2], [Panel("a & b", [1, 2, 3]), Panel("none", [0, 0, 0])]))
    curves = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(curves) == 2 and len(curves[0].get("points").split()) == 3


def test_a_short_soak(medlar, tmp_path):
    command = [sys.executable, ROOT / "bench" / "soak.py", "--minutes", "0.1", "--clients", "8", "--medlar", medlar.path,
               "--json", tmp_path / "soak.json", "--plot", tmp_path / "soak.svg", "--here"]  # fmt: skip
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=200)
    kept = json.loads((tmp_path / "soak.json").read_text())
    # A few seconds tell nothing of memory.
    assert kept["report"]["unexpected"] == [], done.stdout + done.stderr
    assert kept["report"]["played"] and kept["report"]["statuses"]["200"] > 5 and len(kept["samples"]) >= 5
    assert (tmp_path / "soak.svg").read_text().startswith("<svg")
