"""Log-probabilities against goldens that Transformers made (tests/goldens), on tiny and on real models.

Bounds: mean KL below 1e-4 with f32 activations and KV cache, below 2e-3 in the default mode; greedy text agrees
wherever the two best logits are more than 0.02 apart.
"""

import json

import golden
import numpy as np
import pytest

EXACT_KL, DEFAULT_KL = 1e-4, 2e-3
TIE = 0.02
REAL = {"smollm2:135m": "smollm2-135m", "gemma3:270m": "gemma3-270m"}
REAL_GOLDENS = {name: golden.load(golden.FOLDER / f"{file}.npz") for name, file in REAL.items()}
PROMPTS = [(name, prompt) for name, prompts in REAL_GOLDENS.items() for prompt in prompts]


@pytest.fixture
def log_probs(medlar, tmp_path):
    """log_probs(model, tokens, options...): float32 (tokens, vocab)"""

    def read(model, tokens, *options):
        out = tmp_path / "logits.npy"
        medlar.run("logits", "-m", model, "--tokens", ",".join(map(str, tokens)), "--npy", out, *options)
        result = np.load(out)
        assert result.dtype == np.float32
        return result

    return read


@pytest.mark.parametrize("device", ["cpu", "emulator"])
@pytest.mark.parametrize("name", golden.TINY)
def test_tiny_models_agree(log_probs, tiny, name, device):
    expected = np.load(golden.FOLDER / f"tiny-{name}.npy")
    tokens = json.loads((golden.FOLDER / f"tiny-{name}.json").read_text())["tokens"]
    actual = log_probs(tiny(name), tokens, "--exact", "--device", device, "--ctx", 128)
    assert actual.shape == expected.shape
    assert golden.full_kl(expected, actual).mean() < 1e-8
    assert np.abs(actual - expected).max() < 2e-3


@pytest.mark.parametrize("name", golden.TINY)
def test_tiny_models_agree_in_the_default_mode(log_probs, tiny, name):
    expected = np.load(golden.FOLDER / f"tiny-{name}.npy")
    tokens = json.loads((golden.FOLDER / f"tiny-{name}.json").read_text())["tokens"]
    assert golden.full_kl(expected, log_probs(tiny(name), tokens, "--ctx", 128)).mean() < DEFAULT_KL


@pytest.mark.parametrize("name, prompt", PROMPTS, ids=lambda value: getattr(value, "name", value))
def test_real_models_agree_exactly(log_probs, pulled, name, prompt):
    actual = log_probs(pulled(name), prompt.tokens, "--exact")
    assert golden.kl(prompt, actual).mean() < EXACT_KL
    assert [
        (position, gap) for position, token, gap in prompt.greedy if actual[position].argmax() != token and gap > TIE
    ] == []


@pytest.mark.parametrize("name", REAL)
def test_real_models_agree_in_the_default_mode(log_probs, pulled, name):
    """The mean over all positions of all prompts."""
    path = pulled(name)
    divergence = {
        prompt.name: golden.kl(prompt, log_probs(path, prompt.tokens)) for prompt in REAL_GOLDENS[name]
    }
    for prompt, values in divergence.items():
        print(f"{prompt}: mean KL {values.mean():.2e}, largest {values.max():.2e}")
    assert np.concatenate(list(divergence.values())).mean() < DEFAULT_KL


@pytest.mark.parametrize("name, prompt", PROMPTS, ids=lambda value: getattr(value, "name", value))
def test_greedy_text_agrees(medlar, pulled, name, prompt):
    """Generation, which reads one token at a time, against the golden's choices up to the first near tie."""
    text = (golden.FOLDER / "prompts" / f"{prompt.name}.txt").read_text().rstrip("\n")
    answer = medlar.json(
        "run", pulled(name), "-", "--raw", "--json", "--exact", "--temp", 0, "-n", 64, input=text.encode()
    )
    assert answer["usage"]["prompt_tokens"] == prompt.prompt
    for (_, expected, gap), token in zip(prompt.greedy, answer["tokens"]):
        if gap <= TIE:
            break
        assert token == expected


def test_the_compressed_divergence_bounds_the_full_one():
    """The measure itself: zero for equal distributions, never more than the full divergence, and close to it."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20, 3000)) * 2
    p, q = golden.log_softmax(logits), golden.log_softmax(logits + 0.1 * generator.normal(size=logits.shape))
    tokens = generator.integers(0, 3000, 20)
    prompt = golden.make("x", tokens, 10, logits)
    full, compressed = golden.full_kl(p, q).mean(), golden.kl(prompt, q).mean()
    assert abs(golden.kl(prompt, p)).max() < 1e-6
    assert 0.3 * full < compressed < full
