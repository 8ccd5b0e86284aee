"""medlar run and chat on tiny random models: no network, no meaning, every path."""

import json
import pathlib
import re
import signal
import subprocess
import time

import pytest
from terminal import Terminal

LORA = pathlib.Path(__file__).resolve().parents[1] / "goldens" / "lora" / "llama-all"
STATS = re.compile(
    r"\d+ tokens read( \(\d+ of them cached\))?( at [\d.]+/s)?, \d+ written( at [\d.]+/s)?, "
    r"first token after \d+\.\d\d s, [\d.]+ [kMG]?B of memory"
)


@pytest.fixture
def run(medlar, tiny):
    """run(options...): the JSON of a run of a tiny model on a raw text."""

    def call(*options, model="llama", prompt="the thing", **kwargs):
        return medlar.json("run", tiny(model), prompt, "--raw", "--json", *options, **kwargs)

    return call


def test_json_has_what_the_reference_says(run):
    answer = run("-n", 5, "--seed", 1)
    assert set(answer) >= {"text", "tokens", "finish_reason", "seed", "usage", "timings", "memory"}
    assert answer["finish_reason"] in ("length", "stop") and answer["seed"] == 1
    assert len(answer["tokens"]) == answer["usage"]["completion_tokens"] <= 5
    assert answer["usage"]["prompt_tokens"] == len("the thing") - 2 and answer["usage"]["cached_tokens"] == 0
    assert answer["timings"]["ttft_ms"] > 0
    memory = answer["memory"]
    assert memory["weights_mapped"] > 100_000 and memory["kv"] > 0
    assert memory["resident"] >= memory["resident_anonymous"] > 0


def test_the_seed_decides(run):
    first, second = run("-n", 30, "--seed", 7), run("-n", 30, "--seed", 7)
    assert first["tokens"] == second["tokens"]
    assert any(run("-n", 30, "--seed", seed)["tokens"] != first["tokens"] for seed in (8, 9))
    assert run("-n", 3)["seed"] != run("-n", 3)["seed"]
    assert run("-n", 3, "--seed", -1)["seed"] != run("-n", 3, "--seed", -1)["seed"]


def test_temperature_zero_takes_the_best(run, medlar, tiny):
    prompt = "the thing"
    answer = run("-n", 8, "--temp", 0, "--exact")
    tokens = medlar.json("tokenize", "-m", tiny("llama"), input=prompt.encode())["tokens"]
    ids = ",".join(map(str, tokens + answer["tokens"][:-1]))
    top = medlar.json("logits", "-m", tiny("llama"), "--tokens", ids, "--top", 1, "--exact")["top"]
    assert [position[0]["token"] for position in top[len(tokens) - 1 :]] == answer["tokens"]


def test_the_text_on_a_pipe_is_the_text_of_the_json(run, medlar, tiny):
    options = ["-n", 40, "--seed", 3, "--raw"]
    plain = medlar.run("run", tiny("llama"), "the thing", *options)
    text = run(*options)["text"]
    assert plain == (text if text.endswith("\n") else text + "\n").encode()


@pytest.mark.parametrize("option", [["--stop", "never seen"], ["--lora", LORA]])
def test_a_prompt_behind_an_option_that_may_be_repeated_is_a_prompt(medlar, tiny, option):
    before = medlar.run("run", tiny("llama"), *option, "Once upon", "--raw", "-n", 4, "--temp", 0)
    assert before == medlar.run("run", tiny("llama"), "Once upon", *option, "--raw", "-n", 4, "--temp", 0)


def test_the_prompt_may_come_from_a_pipe(run, medlar, tiny):
    expected = run("-n", 5, "--temp", 0)["tokens"]
    for words in ([], ["-"]):
        answer = medlar.json("run", tiny("llama"), *words, "--raw", "--json", "-n", 5, "--temp", 0, input=b"the thing")
        assert answer["tokens"] == expected


def test_the_newline_of_echo_is_no_part_of_a_question(medlar, tiny):
    def prompt_tokens(text, *options):
        answer = medlar.json("run", tiny("qwen3"), "-", "-n", 1, "--json", *options, input=text)
        return answer["usage"]["prompt_tokens"]

    assert prompt_tokens(b"hi\n") == prompt_tokens(b"hi")
    assert prompt_tokens(b"hi\n", "--raw") > prompt_tokens(b"hi", "--raw")


def test_a_stop_string_ends_the_answer_before_it(run):
    text = run("-n", 60, "--seed", 5)["text"]
    stop = text[len(text) // 2 : len(text) // 2 + 2]
    answer = run("-n", 60, "--seed", 5, "--stop", "never seen", "--stop", stop)
    assert answer["finish_reason"] == "stop"
    assert answer["text"] == text[: text.index(stop)]


def test_a_full_context_ends_with_length_and_says_so(medlar, tiny):
    done = medlar.try_run("run", tiny("llama"), "the thing", "--raw", "--ctx", 32, "--seed", 1, "--json")
    answer = json.loads(done.stdout)
    if answer["finish_reason"] == "length":
        assert "context" in answer["message"]
        assert answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"] >= 31
    else:
        assert answer["finish_reason"] == "stop"


def test_a_prompt_longer_than_the_context_is_refused(medlar, tiny):
    message = medlar.fail("run", tiny("llama"), "x" * 100, "--raw", "--ctx", 32)
    assert "100" in message and "32" in message


def test_the_kv_types(run):
    exact = run("-n", 1, "--temp", 0, "--exact")["tokens"]
    for kind in ("f32", "f16", "bf16"):
        assert run("-n", 1, "--temp", 0, "-ctk", kind, "-ctv", kind)["tokens"] == exact


def test_stats_are_one_line(medlar, tiny):
    done = medlar.try_run("run", tiny("llama"), "the thing", "--raw", "-n", 5, "--stats")
    lines = done.stderr.decode().splitlines()
    assert STATS.fullmatch(lines[-1]), lines


def test_a_model_without_a_template_continues_the_text(medlar, tiny):
    done = medlar.try_run("run", tiny("gemma3"), "the thing", "-n", 3)
    assert done.returncode == 0 and "no chat template" in done.stderr.decode()
    assert "template" in medlar.fail("chat", tiny("gemma3"))


def test_ctrl_c_stops_the_answer(medlar, tiny):
    command = [medlar.path, "run", tiny("gemma3"), "x", "--raw", "--ctx", "500000", "--stop", "never"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=medlar.environment())
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, message = process.communicate(timeout=30)
    assert time.monotonic() - start < 5
    # A random model may have ended its turn by itself just before.
    assert process.returncode in (0, 1)
    if process.returncode == 1:
        assert b"Ctrl-C" in message


def test_what_a_model_writes_cannot_drive_a_terminal(medlar, tiny):
    """A random model over bytes soon writes control characters."""
    options = ["--raw", "-n", "400", "--temp", "5", "--top-k", "0", "--top-p", "1", "--min-p", "0", "--seed"]
    for seed in range(100):
        arguments = ["run", tiny("llama"), "the thing", *options, seed]
        if any(byte < 32 and byte not in b"\n\t" for byte in medlar.run(*arguments)):
            break
    else:
        raise AssertionError("no control character in a hundred texts")
    terminal = Terminal([medlar.path, *arguments], medlar.environment(TERM="xterm", NO_COLOR="1"))
    assert terminal.finish() == 0
    shown = terminal.output.replace(b"\r\n", b"\n").decode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", shown)
    assert re.search("[\u2400-\u241f]", shown)


@pytest.fixture
def chat(medlar, tiny, tmp_path):
    """chat(): a conversation on a terminal, after its first prompt."""

    def start(*options, **env):
        environment = medlar.environment(TERM="xterm", MEDLAR_HOME=str(tmp_path / "home"), **env)
        terminal = Terminal([medlar.path, "chat", tiny("qwen3"), "--seed", "1", *options], environment)
        terminal.wait_for(b">>> ")
        return terminal

    return start


def test_chat_answers_and_leaves(chat, tmp_path):
    terminal = chat("-n", "5")
    terminal.type("hello\n")
    terminal.wait_for(b">>> ")
    terminal.type("/stats\n")
    terminal.wait_for(STATS.pattern.encode())
    terminal.wait_for(b">>> ")
    terminal.type("/save %s\n" % (tmp_path / "chat.json"))
    terminal.wait_for(b"saved 2 messages")
    terminal.wait_for(b">>> ")
    terminal.type("/exit\n")
    assert terminal.finish() == 0
    roles = [message["role"] for message in json.loads((tmp_path / "chat.json").read_text())["messages"]]
    assert roles == ["user", "assistant"]


def test_chat_keeps_its_history_to_the_owner(chat, tmp_path):
    terminal = chat("-n", "1")
    terminal.type("remember this\n")
    terminal.wait_for(b"(?s)limit of 1 tokens.*>>> ")  # the prompt after the answer
    terminal.type("\x04")
    assert terminal.finish() == 0
    history = tmp_path / "home" / "history"
    assert "remember" in history.read_text() and history.stat().st_mode & 0o077 == 0
    terminal = chat("-n", "1")
    terminal.type("\x1b[A")  # cursor up
    terminal.wait_for(b"remember this")
    terminal.type("\x15\x04")
    assert terminal.finish() == 0


def test_ctrl_c_stops_a_chat_answer_but_not_the_program(chat):
    terminal = chat("-c", "400000")
    terminal.type("go on\n")
    terminal.wait_for(b"go on\r\n")
    time.sleep(0.2)
    terminal.type("\x03")
    terminal.wait_for(b">>> ")
    terminal.type("/help\n")
    terminal.wait_for(b"/system TEXT")
    terminal.wait_for(b">>> ")
    terminal.type("\x03")
    terminal.wait_for(b"Ctrl-D")
    terminal.type("/exit\n")
    assert terminal.finish() == 0


def test_ctrl_z_suspends_a_chat_at_its_prompt(medlar, tiny, tmp_path):
    environment = medlar.environment(TERM="xterm", MEDLAR_HOME=str(tmp_path / "home"), PS1="shell: ")
    terminal = Terminal(["bash", "--norc", "--noediting", "-i"], environment)
    terminal.wait_for(b"shell: ")
    terminal.type(f"{medlar.path} chat {tiny('qwen3')}\n")
    terminal.wait_for(b">>> ")
    terminal.type("/sta\x1a")
    terminal.wait_for(b"Stopped")
    terminal.wait_for(b"shell: ")
    terminal.type("fg\n")
    terminal.wait_for(b">>> /sta")
    terminal.type("ts\n")
    terminal.wait_for(b"no answer yet")
    terminal.wait_for(b">>> ")
    terminal.type("/exit\n")
    terminal.wait_for(b"shell: ")
    terminal.type("exit\n")
    assert terminal.finish() == 0


def piped_chat(medlar, tiny, lines, *options):
    done = medlar.try_run("chat", tiny("qwen3"), "--seed", 1, "-n", 3, *options, input="\n".join(lines).encode())
    assert done.returncode == 0, done.stderr
    return done.stderr.decode()


def test_chat_commands(medlar, tiny, tmp_path):
    saved = tmp_path / "chat.json"
    messages = piped_chat(medlar, tiny, [
        "/stats", "/system", "/system Be brief.", "one", '"""', "two", "", "three", '"""', "four \\", "five",
        f"/save {saved}", "/reset", f"/save {tmp_path / 'reset.json'}", f"/load {saved}", "/nonsense", "/save",
        "/load /none", "/exit", "never read",
    ])
    assert "There is no answer yet." in messages and "There is no system message." in messages
    assert "there is no /nonsense" in messages and "/save needs a file" in messages and "/none" in messages
    kept = json.loads(saved.read_text())["messages"]
    assert [m["role"] for m in kept] == ["system"] + ["user", "assistant"] * 3
    assert [m["content"] for m in kept if m["role"] == "user"] == ["one", "two\n\nthree", "four \nfive"]
    assert [m["role"] for m in json.loads((tmp_path / "reset.json").read_text())["messages"]] == ["system"]
    assert "loaded 7 messages" in messages


def test_chat_goes_on_when_the_context_is_full(medlar, tiny):
    messages = piped_chat(medlar, tiny, ["x" * 200, "/reset", "hello", "/stats"], "--ctx", 64)
    assert "context" in messages
    assert STATS.search(messages)


def test_chat_reads_only_what_is_new(medlar, tiny):
    messages = piped_chat(medlar, tiny, ["hello " * 10, "and then?", "/stats"])
    assert "cached" in STATS.search(messages).group()
