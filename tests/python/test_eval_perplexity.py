"""medlar perplexity: against Transformers' log-probabilities (tests/goldens), windows and statistics made with NumPy.

The definitions are llama-perplexity's, written here a second time: a window's second half is scored, errors are those
of a mean, propagated. Its file of log-probabilities is read and written here as docs/quality.md describes it.
"""

import json
import signal
import struct
import subprocess
import time

import golden
import numpy as np
import pytest

REAL = {"smollm2:135m": "smollm2-135m", "gemma3:270m": "gemma3-270m"}
PROMPTS = ["code", "english", "japanese"]
TEXTS = [
    (name, prompt)
    for name, file in REAL.items()
    for prompt in golden.load(golden.FOLDER / f"{file}.npz")
    if prompt.name in PROMPTS
]
CTX = 32
TINY_TEXT = "the thin thread, then the other thing\n" * 12


def write_base(path, tokens, log_probs, ctx):
    """log_probs (len(tokens), vocab) of windows of ctx tokens, in llama.cpp's format."""
    windows, vocab = len(tokens) // ctx, log_probs.shape[1]
    with open(path, "wb") as file:
        file.write(b"_logits_" + struct.pack("<3i", ctx, vocab, windows))
        file.write(np.asarray(tokens[: windows * ctx], "<i4").tobytes())
        for window in range(windows):
            for row in log_probs[window * ctx + ctx // 2 : (window + 1) * ctx - 1].astype(np.float64):
                least = max(row.min(), row.max() - 16)
                scale = (row.max() - least) / 65535
                values = np.rint(np.maximum(row - least, 0) / scale).astype("<u2")
                file.write(struct.pack("<2f", scale, least) + values.tobytes() + b"\0\0" * (vocab % 2))


def read_base(path):
    """Context, tokens, and log-probabilities (windows, rows, vocab)."""
    data = path.read_bytes()
    assert data[:8] == b"_logits_"
    ctx, vocab, windows = struct.unpack("<3i", data[8:20])
    tokens = np.frombuffer(data, "<i4", windows * ctx, 20)
    row = np.dtype([("scale", "<f4"), ("least", "<f4"), ("values", "<u2", vocab + vocab % 2)])
    rows = np.frombuffer(data, row, offset=20 + tokens.nbytes).reshape(windows, ctx - 1 - ctx // 2)
    log_probs = rows["values"][..., :vocab] * rows["scale"][..., None].astype(np.float64) + rows["least"][..., None]
    return ctx, tokens, log_probs


def scored(tokens, log_probs, ctx):
    """Rows whose next token is scored, and -ln p of that token, of whole windows that are read as one text."""
    places = [i for w in range(len(tokens) // ctx) for i in range(w * ctx + ctx // 2, (w + 1) * ctx - 1)]
    rows = np.asarray(log_probs, np.float64)[places]
    return rows, -rows[np.arange(len(places)), np.asarray(tokens)[np.array(places) + 1]]


def estimate(samples):
    return samples.mean(), samples.std(ddof=1) / np.sqrt(len(samples))


def own_log_probs(medlar, model, tokens, out):
    medlar.run("logits", "-m", model, "--tokens", ",".join(map(str, tokens)), "--npy", out, "--exact")
    return np.load(out)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TINY_TEXT)
    return path


@pytest.mark.parametrize("name, prompt", TEXTS, ids=lambda value: getattr(value, "name", value))
def test_real_models_have_the_perplexity_that_transformers_gives(medlar, pulled, name, prompt):
    """One window, as long as the text: the goldens have the log-probability of every token that follows."""
    file = golden.FOLDER / "prompts" / f"{prompt.name}.txt"
    ctx = prompt.prompt
    expected = -prompt.next[ctx // 2 : ctx - 1].astype(np.float64)
    result = medlar.json("perplexity", "-m", pulled(name), "-f", file, "--ctx", ctx, "--exact", "--json")
    value, error = estimate(expected)
    assert result["tokens"] == len(expected) and result["windows"] == 1
    assert result["perplexity"] == pytest.approx(np.exp(value), rel=1e-3)
    assert result["perplexity_error"] == pytest.approx(np.exp(value) * error, rel=1e-2)


@pytest.mark.parametrize("name", [name for name in golden.TINY if name != "gemma3"])
def test_a_base_made_from_transformers_log_probabilities(medlar, tiny, tmp_path, name):
    """One window of all tokens. The base is the model itself, seen by Transformers."""
    expected = np.load(golden.FOLDER / f"tiny-{name}.npy")
    tokens = json.loads((golden.FOLDER / f"tiny-{name}.json").read_text())["tokens"]
    write_base(tmp_path / "base.kld", tokens, expected, len(tokens))
    result = medlar.json("perplexity", "-m", tiny(name), "--kl-base", tmp_path / "base.kld", "--exact", "--json")
    _, nll = scored(tokens, expected, len(tokens))
    # What is far below the best is stored as if it were 16 below.
    _, stored_nll = scored(tokens, np.maximum(expected, expected.max(-1, keepdims=True) - 16), len(tokens))
    assert result["perplexity"] == pytest.approx(np.exp(nll.mean()), rel=1e-3)
    assert result["base_perplexity"]["value"] == pytest.approx(np.exp(stored_nll.mean()), rel=1e-3)
    assert abs(result["kl"]["mean"]) < 1e-5 and result["kl"]["max"] < 1e-4
    assert result["same_top"]["value"] == 1


def test_every_statistic_agrees_with_numpy(medlar, tiny, tmp_path):
    """Of one model beside another's distributions, both as Transformers sees them."""
    tokens = json.loads((golden.FOLDER / "tiny-llama.json").read_text())["tokens"]
    ours, base = (np.load(golden.FOLDER / f"tiny-{name}.npy") for name in ("llama", "qwen3"))
    write_base(tmp_path / "base.kld", tokens, base, len(tokens))
    result = medlar.json("perplexity", "-m", tiny("llama"), "--kl-base", tmp_path / "base.kld", "--exact", "--json")
    p, base_nll = scored(tokens, base, len(tokens))
    q, nll = scored(tokens, ours, len(tokens))
    kl = (np.exp(p) * (p - q)).sum(-1)
    change = np.exp(-nll) - np.exp(-base_nll)
    same = (p.argmax(-1) == q.argmax(-1)).mean()
    near = {"rel": 2e-3, "abs": 1e-6}
    assert [result["kl"]["mean"], result["kl"]["error"]] == pytest.approx(estimate(kl), **near)
    for key, part in {"min": 0, "p1": 0.01, "p10": 0.1, "median": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1}.items():
        assert result["kl"][key] == pytest.approx(np.quantile(kl, part), **near)
        assert result["delta_p"][key] == pytest.approx(np.quantile(change, part), **near)
    square, square_error = estimate(change**2)
    assert [result["delta_p"]["mean"], result["delta_p"]["error"]] == pytest.approx(estimate(change), **near)
    assert result["delta_p"]["rms"] == pytest.approx(np.sqrt(square), **near)
    assert result["delta_p"]["rms_error"] == pytest.approx(square_error / (2 * np.sqrt(square)), **near)
    ratio, ratio_error = estimate(nll - base_nll)
    assert result["log_ratio"] == pytest.approx({"value": ratio, "error": ratio_error}, **near)
    assert result["ratio"] == pytest.approx({"value": np.exp(ratio), "error": np.exp(ratio) * ratio_error}, **near)
    assert result["correlation"] == pytest.approx(np.corrcoef(nll, base_nll)[0, 1], **near)
    assert result["same_top"]["value"] == pytest.approx(same)
    assert result["same_top"]["error"] == pytest.approx(np.sqrt(same * (1 - same) / (len(kl) - 1)))


def test_windows_are_cut_and_scored_as_llama_perplexity_does(medlar, tiny, text, tmp_path):
    tokens = medlar.json("tokenize", "-m", tiny("llama"), input=TINY_TEXT.removesuffix("\n").encode())["tokens"]
    result = medlar.json("perplexity", "-m", tiny("llama"), "-f", text, "--ctx", CTX, "--exact", "--json")
    assert result["windows"] == len(tokens) // CTX > 2
    nll = []
    for start in range(0, len(tokens) - CTX + 1, CTX):
        window = tokens[start : start + CTX]
        nll.extend(scored(window, own_log_probs(medlar, tiny("llama"), window, tmp_path / "w.npy"), CTX)[1])
        assert result["running"][start // CTX] == pytest.approx(np.exp(np.mean(nll)), rel=1e-4)
    value, error = estimate(np.array(nll))
    assert result["nll"] == pytest.approx(value, rel=1e-4)
    assert result["nll_error"] == pytest.approx(error, rel=1e-4)
    assert len(result["running"]) == result["windows"] and result["complete"]


def test_a_stride_scores_the_last_tokens_of_longer_windows(medlar, tiny, text, tmp_path):
    stride, length = 8, CTX + 4
    tokens = medlar.json("tokenize", "-m", tiny("llama"), input=TINY_TEXT.removesuffix("\n").encode())["tokens"]
    result = medlar.json(
        "perplexity", "-m", tiny("llama"), "-f", text, "--ctx", CTX, "--stride", stride, "--chunks", 5, "--exact", "--json"
    )
    nll = []
    for start in range(0, 5 * stride, stride):
        window = tokens[start : start + length]
        rows = own_log_probs(medlar, tiny("llama"), window, tmp_path / "w.npy")
        nll += [-rows[i, window[i + 1]] for i in range(length - stride - 1, length - 1)]
    assert result["tokens"] == len(nll) == 5 * stride
    assert result["perplexity"] == pytest.approx(np.exp(np.mean(nll)), rel=1e-4)


def test_windows_of_models_with_a_begin_token_begin_with_it(medlar, tiny, text, tmp_path):
    tokens = medlar.json("tokenize", "-m", tiny("gemma3"), input=TINY_TEXT.removesuffix("\n").encode())["tokens"]
    result = medlar.json("perplexity", "-m", tiny("gemma3"), "-f", text, "--ctx", CTX, "--chunks", 2, "--exact", "--json")
    assert tokens[0] == 2
    window = [2, *tokens[CTX + 1 : 2 * CTX]]
    nll = scored(window, own_log_probs(medlar, tiny("gemma3"), window, tmp_path / "w.npy"), CTX)[1]
    first, both = np.log(result["running"])
    assert 2 * both - first == pytest.approx(nll.mean(), rel=1e-4)


def test_a_saved_base_holds_the_models_log_probabilities(medlar, tiny, text, tmp_path):
    base = tmp_path / "base.kld"
    saved = medlar.json(
        "perplexity", "-m", tiny("llama"), "-f", text, "--ctx", CTX, "--save-base", base, "--exact", "--json"
    )
    assert saved["saved"] == str(base)
    ctx, tokens, log_probs = read_base(base)
    assert ctx == CTX and len(log_probs) == saved["windows"]
    expected = own_log_probs(medlar, tiny("llama"), tokens[CTX : 2 * CTX], tmp_path / "w.npy")[CTX // 2 : -1]
    assert np.abs(log_probs[1] - np.maximum(expected, expected.max(-1, keepdims=True) - 16)).max() < 2e-4
    itself = medlar.json("perplexity", "-m", tiny("llama"), "-f", text, "--kl-base", base, "--exact", "--json")
    assert itself["perplexity"] == pytest.approx(saved["perplexity"], rel=1e-9)
    assert abs(itself["kl"]["mean"]) < 1e-5 and itself["same_top"]["value"] == 1


def test_another_model_beside_it(medlar, tiny, text, tmp_path):
    """By turns, and by a saved base: the same divergence; against itself none."""
    base = tmp_path / "base.kld"
    ask = ["perplexity", "-m", tiny("llama"), "--exact", "--json"]
    medlar.run("perplexity", "-m", tiny("qwen3"), "-f", text, "--ctx", CTX, "--save-base", base, "--exact")
    stored = medlar.json(*ask, "--kl-base", base)
    beside = medlar.json(*ask, "-f", text, "--ctx", CTX, "--kl-against", tiny("qwen3"))
    itself = medlar.json(*ask, "-f", text, "--ctx", CTX, "--kl-against", tiny("llama"))
    assert beside["kl"]["mean"] == pytest.approx(stored["kl"]["mean"], rel=1e-3)
    assert beside["perplexity"] == stored["perplexity"]
    assert itself["kl"]["max"] == itself["kl"]["mean"] == itself["delta_p"]["rms"] == 0
    assert itself["ratio"] == {"value": 1, "error": pytest.approx(0, abs=1e-7)}


def test_the_table_says_what_the_json_says(medlar, tiny, text):
    ask = ["perplexity", "-m", tiny("llama"), "-f", text, "--ctx", CTX, "--kl-against", tiny("qwen3")]
    lines = medlar.run(*ask).decode().splitlines()
    result = medlar.json(*ask, "--json")
    table = {line[:26].strip(): line[26:] for line in lines[1:]}
    assert table["perplexity"] == f"{result['perplexity']:.4f} ± {result['perplexity_error']:.4f}"
    assert table["99.9 %"] == f"{result['kl']['p99.9']:.6f}"
    assert table["same best token"].startswith(f"{100 * result['same_top']['value']:.3f} ± ")


def test_what_cannot_be_is_refused_with_the_reason(medlar, tiny, text, tmp_path):
    ask = ["perplexity", "-m", tiny("llama")]
    base, short, other = tmp_path / "base.kld", tmp_path / "short.txt", tmp_path / "other.txt"
    short.write_text("the end")
    other.write_text("and " + TINY_TEXT)
    medlar.run(*ask, "-f", text, "--ctx", CTX, "--save-base", base)
    assert "there is no text" in medlar.fail(*ask, code=2)
    assert "a window takes 512" in medlar.fail(*ask, "-f", short)
    assert "--stride 33" in medlar.fail(*ask, "-f", text, "--ctx", CTX, "--stride", 33, code=2)
    assert "made from another text: token 0 is" in medlar.fail(*ask, "-f", other, "--kl-base", base, code=2)
    assert f"made with --ctx {CTX}, not 16" in medlar.fail(*ask, "--kl-base", base, "--ctx", 16, code=2)
    assert "no file of log-probabilities" in medlar.fail(*ask, "--kl-base", text)
    base.write_bytes(base.read_bytes()[:-9])
    assert "ends in window" in medlar.fail(*ask, "--kl-base", base)
    assert "token 0 is" in medlar.fail(*ask, "-f", text, "--ctx", CTX, "--kl-against", tiny("gemma3"), code=2)
    write_base(base, [0] * CTX, np.log(np.full((CTX, 281), 1 / 281)) + np.arange(281) * 1e-6, CTX)
    assert "a vocabulary of 281 tokens; the model has 280" in medlar.fail(*ask, "--kl-base", base, code=2)


def test_ctrl_c_prints_what_there_is_and_saves_no_half_base(medlar, tiny, tmp_path):
    text, base = tmp_path / "long.txt", tmp_path / "base.kld"
    text.write_text(TINY_TEXT * 2000)
    command = [medlar.path, "perplexity", "-m", tiny("llama"), "-f", text, "--ctx", "64", "--json", "--save-base", base]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=medlar.environment())
    # The base's temporary file has its first rows.
    for _ in range(600):
        if any(file.stat().st_size > 4_000_000 for file in tmp_path.glob(".medlar-*")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    result = json.loads(out)
    assert not result["complete"] and 0 < result["windows"] < result["windows_total"]
    assert result["perplexity"] == pytest.approx(result["running"][-1])
    assert b"is not written" in errors and not base.exists() and result["saved"] is None
