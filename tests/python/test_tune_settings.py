"""medlar tune: what it finds is kept, used where nothing else is asked for, and never stands in the way."""

import json
import os
import pathlib
import shlex
import signal
import sqlite3
import stat
import subprocess
import time

import pytest

SHORT = ("--prompt", 48, "--gen", 16)
KV = "f32 keys and values"


@pytest.fixture
def home(tmp_path):
    return {"MEDLAR_HOME": str(tmp_path / "home")}


@pytest.fixture
def model(tiny):
    return tiny("llama")


def keep(home, report, threads=1, batch=64, kv_type="f32", gpu_layers=-1, device=None):
    """Puts settings where a search puts them, for the model, machine and device of `report`."""
    with sqlite3.connect(pathlib.Path(home["MEDLAR_HOME"]) / "tuned.db") as database:
        database.execute(
            "INSERT OR REPLACE INTO tuned VALUES (?, ?, ?, 'some model', ?, ?, ?, ?, '2026-01-01T00:00:00Z', 1500000)",
            (report["machine_key"], report["model_key"], device or report["device"], threads, batch, kv_type, gpu_layers),
        )
    database.close()


@pytest.fixture
def kept(medlar, home, model):
    """A home in which 1 thread, batches of 64 and f32 are kept for the model."""
    report = medlar.json("tune", model, *SHORT, "-t", 1, "--json", env=home)
    keep(home, report)
    return report


def answer(medlar, home, model, *options):
    """What a run prints, and its message."""
    done = medlar.try_run("run", model, "the", "--raw", "--json", "-n", 2, *options, env=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.decode()


def test_the_report_is_of_one_piece(medlar, home, model, tmp_path):
    exported = tmp_path / "found.json"
    report = medlar.json("tune", model, *SHORT, "--json", "--export", exported, env=home)
    assert json.loads(exported.read_text()) == report
    assert report["complete"] is True and report["measurements"] >= 4
    assert (report["n_prompt"], report["n_gen"]) == (48, 16)
    assert report["gained"] is (report["best"] != report["defaults"]) is report["kept"]
    assert (report["gain"] is None) is not report["gained"]
    if report["gained"]:
        gain = report["gain"]
        assert gain["median"] >= 1.01 and gain["min"] <= gain["median"] <= gain["max"]
        assert sum(ratio > 1 for ratio in gain["ratios"]) >= 7 and len(gain["ratios"]) == 8
    entries = medlar.json("tune", "--list", "--json", env=home)
    assert len(entries) == report["gained"]


def test_text_says_what_was_gained_or_that_nothing_was(medlar, home, model):
    text = medlar.run("tune", model, *SHORT, "-t", 1, env=home).decode()
    assert "48 tokens read, 16 written" in text and "| defaults |" in text
    assert ("times as fast as the defaults" in text) or ("so they stay" in text)


def test_what_is_kept_is_used_and_said(medlar, home, model, kept):
    result, message = answer(medlar, home, model)
    assert message == f"note: 1 thread, 64 tokens at once, {KV}, as medlar tune found (--no-tuned ignores it)\n"
    plain, silence = answer(medlar, home, model, "--no-tuned")
    assert silence == ""
    assert result["memory"]["kv"] > plain["memory"]["kv"]  # f32 instead of f16
    assert result["memory"]["activations"] < plain["memory"]["activations"]  # for a smaller batch


def test_explicit_options_win(medlar, home, model, kept):
    _, message = answer(medlar, home, model, "-t", 2, "-b", 32, "--kv-type", "f16")
    assert message == ""
    _, message = answer(medlar, home, model, "-t", 2)
    assert "thread" not in message and "64 tokens at once" in message and KV in message
    _, message = answer(medlar, home, model, "-ctk", "f16")
    assert message.startswith("note: 1 thread, 64 tokens at once, as")
    _, message = answer(medlar, home, model, "--exact")
    assert message == ""


def test_the_memory_plan_rules(medlar, home, tmp_path):
    path = tmp_path / "long.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    report = medlar.json("tune", path, *SHORT, "-t", 1, "-b", 48, "--ctx", 512, "--json", env=home)
    keep(home, report, batch=512, kv_type="f16")
    _, roomy = answer(medlar, home, path, "--ctx", 2048, "--memory-limit", "400M")
    assert "1 thread, 512 tokens at once, f16 keys and values, as medlar tune found" in roomy
    planned = medlar.json("plan", path, "--json", "--ctx", 2048, "-t", 1, env=home)["total_bytes"]
    _, narrow = answer(medlar, home, path, "--ctx", 2048, "--memory-limit", planned + 1_000_000)
    assert "1 thread, as medlar tune found" in narrow


def test_chat_serve_and_bench_use_it(medlar, home, model, kept):
    rows = medlar.try_run("bench", "-m", model, "-p", 16, "-n", 0, "-r", 1, "--no-limit", "-o", "json", env=home)
    row = json.loads(rows.stdout)[0]
    assert (row["n_threads"], row["n_batch"], row["type_k"]) == (1, 64, "f32") and b"medlar tune" in rows.stderr
    rows = medlar.json("bench", "-m", model, "-p", 16, "-n", 0, "-r", 1, "-b", 32, "--no-limit", "-o", "json", env=home)
    assert (rows[0]["n_threads"], rows[0]["n_batch"]) == (1, 32)
    done = medlar.try_run("chat", model, input=b"", env=home)
    assert b"as medlar tune found" in done.stderr
    command = [medlar.path, "serve", str(model), "--port", "0", "-c", "128"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=medlar.environment(**home)) as server:
        ready = server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        _, messages = server.communicate(timeout=60)
    assert ready.startswith(b"Medlar serves")
    assert b"note: 1 thread, as medlar tune found" in messages and KV.encode() in messages


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, "foreign", "nonsense", "newer", "folder"])
def test_a_file_that_is_no_such_database_is_passed_over(medlar, home, model, kept, content):
    path = pathlib.Path(home["MEDLAR_HOME"]) / "tuned.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "nonsense":
        keep(home, kept, threads=-7)
    elif content == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.unlink()
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE tuned (x)" if content == "foreign" else "PRAGMA user_version = 99")
        database.close()
    result, message = answer(medlar, home, model)
    assert result["usage"]["completion_tokens"] == 2
    if content != b"":  # an empty file is an empty database
        assert message.startswith("note: the settings of medlar tune cannot be read") and message.count("\n") == 1


def test_tune_begins_anew_beside_a_damaged_database(medlar, home, model):
    folder = pathlib.Path(home["MEDLAR_HOME"])
    folder.mkdir()
    (folder / "tuned.db").write_bytes(b"no database at all" * 100)
    assert "tuned.db" in medlar.fail("tune", "--list", env=home)
    medlar.run("tune", model, *SHORT, "-t", 1, env=home)
    assert list(folder.glob("tuned.damaged-*.db")) and medlar.json("tune", "--list", "--json", env=home) is not None


def test_a_home_that_cannot_be_written(medlar, model, tmp_path):
    (tmp_path / "file").write_text("")
    home = {"MEDLAR_HOME": str(tmp_path / "file" / "home")}
    start = time.monotonic()
    assert "tuned.db" in medlar.fail("tune", model, "--prompt", 100_000, "--gen", 0, "-c", 200_000, env=home)
    assert time.monotonic() - start < 60  # told before anything is measured
    _, message = answer(medlar, home, model)
    assert message == ""


def test_list_and_forget(medlar, home, model, kept):
    (entry,) = medlar.json("tune", "--list", "--json", env=home)
    assert (entry["threads"], entry["batch"], entry["kv_type"], entry["gain"]) == (1, 64, "f32", 1.5)
    assert entry["model_key"] == kept["model_key"] and entry["machine_key"] == kept["machine_key"]
    assert b"some model: 1 thread, 64 tokens at once, f32" in medlar.run("tune", "--list", env=home)
    medlar.run("tune", model, "--forget", env=home)
    assert medlar.json("tune", "--list", "--json", env=home) == []
    assert "nothing is kept" in medlar.fail("tune", model, "--forget", env=home)
    keep(home, kept)
    medlar.run("tune", "some model", "--forget", env=home)  # by the name that the list shows


def test_how_many_layers_a_gpu_has_is_searched(medlar, home, model, tmp_path):
    """The emulator is the slowest GPU there is: what is found is to leave it."""
    script = tmp_path / "launch.sh"
    ask = ("--prompt", 16, "--gen", 4, "-t", 1, "-b", 512, "--device", "emulator")
    report = medlar.json("tune", model, *ask, "--json", "--script", script, env=home)
    layers = medlar.json("plan", model, "--json", "--device", "emulator")["device"]["gpu_layers"]
    assert (report["device"], report["gpu"], report["defaults"]["gpu_layers"]) == ("emulator", "emulator", layers)
    assert layers > 0 == report["best"]["gpu_layers"] and report["gained"] and report["kept"]
    assert report["gain"]["min"] > 1
    flags = script.read_text().splitlines()[-1]
    assert "--device emulator" in flags and "--gpu-layers 0" in flags
    (entry,) = medlar.json("tune", "--list", "--json", env=home)
    assert (entry["device"], entry["gpu_layers"]) == ("emulator", 0)
    # Used where the same is asked for, and nothing else.
    _, message = answer(medlar, home, model, "--device", "emulator")
    assert "no layers on the GPU, as medlar tune found" in message
    _, message = answer(medlar, home, model, "--device", "emulator", "--gpu-layers", 1)
    assert "on the GPU" not in message.partition(", as medlar tune found")[0]
    assert answer(medlar, home, model)[1] == "" and answer(medlar, home, model, "--device", "cpu")[1] == ""
    medlar.run("tune", model, "--forget", env=home)
    assert medlar.json("tune", "--list", "--json", env=home) == []


def test_kept_layers_are_used_as_far_as_there_is_room(medlar, home, model):
    report = medlar.json("tune", model, "-t", 1, "-b", 512, "--device", "emulator", "--gpu-layers", 0, "--prompt", 8, "--gen", 2, "--json", env=home)
    keep(home, report, gpu_layers=1)
    _, message = answer(medlar, home, model, "--device", "emulator")
    assert "1 layer on the GPU, as medlar tune found" in message and " layers on emulator, " in message
    done = medlar.try_run("bench", "-m", model, "-p", 8, "-n", 0, "-r", 1, "-o", "json", "--device", "emulator", env=home)
    assert b"1 layer on the GPU" in done.stderr


def test_layers_need_a_gpu(medlar, home, model):
    if medlar.json("plan", model, "--json")["device"]["name"] != "cpu":
        pytest.skip("this machine has a GPU")
    assert "there is no GPU that could have layers" in medlar.fail("tune", model, *SHORT, "--gpu-layers", "1,0", env=home)
    assert "doctor" in medlar.run("tune", model, "--prompt", 8, "--gen", 2, "-t", 1, "-b", 512, env=home).decode()
    report = medlar.json("tune", model, "--prompt", 8, "--gen", 2, "-t", 1, "-b", 512, "--device", "cpu", "--json", env=home)
    assert (report["gpu"], report["best"]["gpu_layers"], report["device"]) == (None, 0, "cpu")


def test_settings_of_an_older_version_are_the_processors(medlar, home, model, kept):
    path = pathlib.Path(home["MEDLAR_HOME"]) / "tuned.db"
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE tuned (machine TEXT NOT NULL, model TEXT NOT NULL, name TEXT NOT NULL, threads INTEGER NOT NULL,"
            " batch INTEGER NOT NULL, kv_type TEXT NOT NULL, created TEXT NOT NULL, gain_millionths INTEGER NOT NULL,"
            " PRIMARY KEY (machine, model)) WITHOUT ROWID"
        )
        database.execute("INSERT INTO tuned VALUES (?, ?, 'old', 1, 64, 'f32', '2026-01-01T00:00:00Z', 1500000)", (kept["machine_key"], kept["model_key"]))
        database.execute("PRAGMA user_version = 1")
    database.close()
    assert "1 thread, 64 tokens at once" in answer(medlar, home, model, "--device", "cpu")[1]
    (entry,) = medlar.json("tune", "--list", "--json", env=home)
    assert (entry["device"], entry["gpu_layers"], entry["model"]) == ("cpu", None, "old")


def test_a_search_without_a_gain_forgets_what_was_kept(medlar, home, model, kept):
    defaults = kept["defaults"]  # nothing but these is tried
    report = medlar.json("tune", model, *SHORT, "-t", defaults["threads"], "-b", defaults["batch"], "--json", env=home)
    assert (report["gained"], report["measurements"]) == (False, 0)
    assert medlar.json("tune", "--list", "--json", env=home) == []


def test_the_script_runs_the_model(medlar, home, model, tmp_path):
    folder = tmp_path / "it's $HOME \"quoted\""
    folder.mkdir()
    odd = folder / "a model.gguf"
    odd.write_bytes(model.read_bytes())
    script = tmp_path / "launch.sh"
    report = medlar.json("tune", odd, *SHORT, "-t", 1, "--json", "--script", script, env=home)
    assert script.stat().st_mode & stat.S_IXUSR
    words = shlex.split(script.read_text().splitlines()[-1])
    assert str(odd) in words and words[words.index("--threads") + 1] == str(report["best"]["threads"])
    environment = medlar.environment(MEDLAR=medlar.path, **home)
    done = subprocess.run([script, "run", "the", "--raw", "-n", "2", "--json"], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["usage"]["completion_tokens"] == 2


def test_ctrl_c_keeps_the_best_so_far(medlar, home, model):
    command = [medlar.path, "tune", str(model), "--prompt", "384", "--gen", "64", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=medlar.environment(**home)) as process:
        database = pathlib.Path(home["MEDLAR_HOME"]) / "tuned.db"
        deadline = time.monotonic() + 60
        while not database.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    report = json.loads(out)
    assert report["gained"] is report["kept"]
    assert len(medlar.json("tune", "--list", "--json", env=home)) == report["kept"]


def test_nothing_coarser_is_taken_unless_it_is_named(medlar, home, model, tmp_path):
    report = medlar.json("tune", model, *SHORT, "-t", 1, "--json", env=home)
    assert report["best"]["type_k"] == report["defaults"]["type_k"] == "f16"  # there is nothing finer to try
    path = tmp_path / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    options = ("--prompt", 16, "--gen", 4, "-t", 1, "-b", 512, "--json")
    report = medlar.json("tune", path, *options, env=home)
    assert report["defaults"]["type_k"] == "q8_0" and report["best"]["type_k"] in ("q8_0", "f16")
    report = medlar.json("tune", path, *options, "--kv-types", "q4_0", env=home)
    assert report["best"]["type_k"] in ("q8_0", "q4_0")
    assert "q4_0" in medlar.fail("tune", model, *SHORT, "--kv-types", "q4_0", env=home)  # its heads are too short


def test_what_needs_too_much_is_not_tried(medlar, home, tmp_path):
    path = tmp_path / "m.gguf"
    medlar.run("synth", "smollm2-135m:q4_0", path)
    planned = medlar.json("plan", path, "--json", "--ctx", 2048, env=home)["total_bytes"]
    options = ("--ctx", 2048, "--prompt", 16, "--gen", 4, "-t", 1, "-b", 512)
    report = medlar.json("tune", path, *options, "--memory-limit", planned + 500_000, "--json", env=home)
    assert [s["type_k"] for s in report["too_large"]] == ["f16"] and report["best"]["type_k"] == "q8_0"
    message = medlar.fail("tune", path, *options, "--memory-limit", "40M", env=home)
    assert "needs " in message and "--memory-limit" in message


@pytest.mark.parametrize(("options", "code", "message"), [
    (["--prompt", 0, "--gen", 0], 2, "nothing to be fast at"),
    (["--prompt", 100_000], 2, "does not fit the context"),
    (["--kv-types", "q2_k"], 2, "--kv-types"),
    (["-t", 0], 2, "--threads"),
    (["--device", "abacus"], 2, "abacus"),
    (["--gpu-layers", "-1"], 2, "--gpu-layers"),
    (["--export", "/nonexistent/f.json"], 1, "/nonexistent"),
    (["--script", "/nonexistent/f.sh"], 1, "/nonexistent"),
])  # fmt: skip
def test_wrong_usage(medlar, home, model, options, code, message):
    assert message in medlar.fail("tune", model, *options, code=code, env=home)


def test_needs_a_model(medlar, home):
    assert "there is no model to tune" in medlar.fail("tune", code=2, env=home)
    assert medlar.run("tune", "--list", env=home) == b"" and not os.path.exists(home["MEDLAR_HOME"])
