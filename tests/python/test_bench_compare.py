"""bench/compare.py: the order of runs, ratios, tables and reasons with scripted engines, and how a child is watched."""

import pathlib
import sys
import time
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import arm_throughput  # noqa: E402
import compare  # noqa: E402
from peers.child import watch  # noqa: E402
from peers.protocol import Failed, Job, Measurement, Unavailable  # noqa: E402


class Scripted:
    """An engine with given speeds; an exception in their place is raised."""

    def __init__(self, name, speeds, log, refuses=None):
        self.name, self.speeds, self.log, self.refuses = name, list(speeds), log, refuses

    def version(self):
        return "1"

    def prepare(self, job):
        if self.refuses:
            raise Unavailable(self.refuses)

    def measure(self, job):
        self.log.append(self.name)
        speed = self.speeds.pop(0)
        if isinstance(speed, Exception):
            raise speed
        pp, tg = speed
        return Measurement(pp, tg, load_ms=1, start_ms=2, anon_mb=3, file_mb=4, note="odd" if self.name == "c" else "")


@pytest.fixture
def job(tmp_path):
    model = tmp_path / "m.gguf"
    model.write_bytes(b"x")
    return Job(model, prompt=512, gen=64, threads=2, batch=512)


def test_engines_take_turns_and_pairs_make_the_ratio(job):
    log = []
    engines = [
        Scripted("medlar", [(100, 10), (80, 30), (90, 20)], log),
        Scripted("b", [(50, 10), (20, 10), (45, 10)], log),
        Scripted("c", [(10, 20), (10, 20), (10, 20)], log),
    ]
    results = compare.compare(engines, "m.gguf", job, 3)
    assert log == ["medlar", "b", "c"] * 3
    assert results.fastest("pp") == "b" and results.fastest("tg") == "c"
    assert results.ratio("b", "pp") == 2  # of 2, 4 and 2
    assert results.ratio("c", "tg") == 1  # of 0.5, 1.5 and 1
    options = types.SimpleNamespace(device="cpu", prompt=450, gen=64, threads=2, batch=512, pairs=3)
    text = compare.table([results], {"medlar": "1"}, {"d": "not there"}, options)
    assert "| m.gguf | medlar | 90.0 | 20.0 | 5000 ms | 1 ms | 2 ms | 3 MB | 4 MB |\n" in text
    assert "| **2.00** × b | **1.00** × c |" in text
    assert "\n- d: not there\n- c on m.gguf: odd\n" in text


def test_who_fails_or_refuses_is_named(job):
    engines = [
        Scripted("medlar", [(1, 1), (1, 1)], []),
        Scripted("b", [(1, 1), Failed("exit code 3: out\nof luck")], []),
        Scripted("c", [], [], refuses="no such shape"),
    ]
    results = compare.compare(engines, "m.gguf", job, 2)
    assert list(results.runs) == ["medlar"]
    options = types.SimpleNamespace(device="cpu", prompt=1, gen=1, threads=1, batch=1, pairs=2)
    text = compare.table([results], {}, {}, options)
    assert "- c on m.gguf: no such shape\n" in text and "- b on m.gguf: exit code 3: out of luck\n" in text


def test_no_round_is_begun_that_would_end_too_late(job):
    class Slow(Scripted):
        def measure(self, job):
            time.sleep(0.2)
            return super().measure(job)

    kept = []
    medlar = Slow("medlar", [(1, 1)] * 9, [])
    results = compare.compare([medlar], "m.gguf", job, 9, 0.5, lambda so_far: kept.append(len(so_far.runs["medlar"])))
    assert kept == [1, 2] and len(results.runs["medlar"]) == 2
    options = types.SimpleNamespace(device="cpu", prompt=1, gen=1, threads=1, batch=1, pairs=9)
    assert "2 alternating rounds" in compare.table([results], {}, {}, options)
    assert len(compare.compare([medlar], "m.gguf", job, 9, 0.1).runs["medlar"]) == 1


def test_a_child_is_watched():
    program = "import time; x = bytearray(50_000_000); time.sleep(0.2); print('{}'); print('{\"a\": 1}')"
    done = watch([sys.executable, "-c", program])
    assert done.json() == {"a": 1}
    assert done.first_output_ms >= 200
    if sys.platform == "linux":
        assert 50 < done.anon_mb < 150
        assert done.file_mb > 1


def test_a_child_that_fails_tells_why():
    with pytest.raises(Failed, match="exit code 3 .*the reason"):
        watch([sys.executable, "-c", "import sys; print('the reason', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(Failed, match="SIGILL after"):
        watch([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGILL)"])
    with pytest.raises(Failed, match="no-such-program"):
        watch(["/no-such-program"])


def test_the_way_through_a_loop_leaves_out_what_is_rare():
    lines = """
.LBB0_1:
\tldr q0, [x0]
\ttbz w1, #0, .LBB0_3
// %bb.2:
\tfmul s1, s1, s2
\tfmul s1, s1, s2
.LBB0_3:
\tsdot v1.4s, v0.16b, v2.16b
\tsubs x2, x2, #1
\tb.ne .LBB0_1
\tret
""".strip("\n").splitlines()
    (loop,) = arm_throughput.Code(lines).loops()
    assert [line.split()[0] for line in loop] == ["ldr", "tbz", "sdot", "subs", "b.ne"]
    assert arm_throughput.count(loop, "sdot") == 1
