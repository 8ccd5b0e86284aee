"""The golden file of one real model: log-probabilities of an independent implementation, compressed.

A full vocabulary per position would be hundreds of megabytes, so each position keeps the K most likely tokens
exactly, and the rest as logsumexp over BUCKETS groups of tokens (group = token id mod BUCKETS). Summing tokens
into groups can only lower a KL divergence (the log-sum inequality), and with this many groups it lowers it
little, so a bound on the compressed divergence is close to a bound on the full one.

Arrays of the .npz, for each prompt NAME (n positions, prompt followed by the greedy continuation):
  NAME.tokens   int32   (n,)           token ids; position i holds the distribution of the token after tokens[i]
  NAME.prompt   int32   ()             how many of them are the prompt; the rest was chosen greedily
  NAME.gap      float32 (n - prompt,)  difference of the two best logits at each greedy choice
  NAME.top_ids  int32   (n, K)         most likely tokens, best first
  NAME.top      float32 (n, K)         their log-probabilities
  NAME.rest     float32 (n, BUCKETS)   logsumexp of the log-probabilities of all others, by group
  NAME.next     float32 (n - 1,)       log-probability of the token that follows
"""

import dataclasses
import pathlib

import numpy as np

K = 64
BUCKETS = 64
FOLDER = pathlib.Path(__file__).parent

# Tiny models that make_tiny.py makes, and what each covers.
TINY = {
    "llama": "untied head, one KV head for three heads",
    "llama3": "tied head; llama3 rope scaling whose three frequency bands all occur within the tokens",
    "qwen2": "biased q, k and v",
    "qwen3": "norms on q and k, heads wider than dim / heads",
    "gemma3": "a sliding window shorter than the input, two rope bases, linear scaling of the global one",
    "qwen3moe": "experts that some tokens use and others do not, narrower than feed_forward_length",
    "mixtral": "a llama file with experts, as wide as feed_forward_length",
    "olmo2": "norms of whole queries and keys, norms behind blocks only",
    "olmo3": "one global layer with YaRN among sliding ones without",
    "phi3": "fused q, k and v, fused gate and up, long factors of LongRoPE, a sliding window",
    "phi4": "a part of each head rotated, short factors of LongRoPE, tied head",
    "gemma2": "soft caps of attention and logits, a sliding window in every second layer",
    "granite": "four scales that are not 1",
    "granitemoe": "experts beside a shared MLP",
    "smollm3": "a layer without positions",
    "glm4": "half of each head rotated, biased q, k and v, fused gate and up",
    "qwen2moe": "a gated shared expert, experts whose weights do not add up to 1",
    "cohere2": "LayerNorm, parallel blocks, sliding layers that rotate and a global one that does not, scaled logits",
    "mistral3": "YaRN without a magnitude, a temperature that changes within the tokens",
    "exaone4": "sliding layers that rotate and a global one that does not",
    "gpt-oss": "sinks, biases everywhere, gates beyond their clamp, YaRN in every layer, a sliding window in every second",
    "gpt-oss-mxfp4": "the same with experts of four bits, as they are published",
    "deepseek2": "one latent for all heads, queries through a latent of their own, groups of experts chosen by sigmoids "
                 "and a bias, a shared expert, a dense layer, YaRN that scales attention",
    "deepseek2-lite": "queries without a latent, experts chosen by a softmax whose weights do not add up to 1",
    "glm4-moe-lite": "a latent narrower than a head, values narrower than keys",
    "lfm2": "short convolutions around a layer of attention",
    "qwen3next": "delta networks with two heads for each key head, gated attention that rotates a part, a gated shared expert",
    "qwen35": "delta networks whose heads of values take key heads in turn, an MLP",
    "qwen35moe": "delta networks as in qwen35, experts, a gated shared expert",
    "granitehybrid": "Mamba 2 around attention without positions, experts beside a shared MLP, four scales that are not 1",
    "nemotron_h": "Mamba 2 in two groups, attention without positions, squared ReLU",
}
# Tiny encoders that make_encoders.py makes, of which there are hidden states instead.
ENCODERS = {
    "bert": "learned positions, biases everywhere",
    "nomic-bert": "rotated positions, gated MLPs, fused q, k and v",
    "jina-bert-v3": "rotated positions, fused q, k and v with biases",
    "gemma-embedding": "windows to both sides, shorter than the text, two rope bases",
}
# Those with recurrent layers: more tokens than a page of the cache has.
RECURRENT = ["lfm2", "qwen3next", "qwen35", "qwen35moe", "granitehybrid", "nemotron_h"]
# Those of which the hidden states are stored, too.
HIDDEN = ["llama", "llama3", "qwen2", "qwen3", "gemma3", "qwen3moe", "mixtral"]

# LoRA adapters that make_lora.py makes: the tiny model and PEFT's options.
LORA = {
    "llama-all": ("llama", {"r": 4, "lora_alpha": 6, "target_modules": [
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]}),
    "llama-rslora": ("llama", {
        "r": 3, "lora_alpha": 2, "use_rslora": True, "target_modules": ["q_proj", "down_proj"]}),
    "phi3-fused": ("phi3", {"r": 2, "lora_alpha": 4, "target_modules": ["qkv_proj", "gate_up_proj"]}),
}


@dataclasses.dataclass
class Golden:
    """One prompt of one model."""

    name: str
    tokens: np.ndarray
    prompt: int
    gap: np.ndarray
    top_ids: np.ndarray
    top: np.ndarray
    rest: np.ndarray
    next: np.ndarray

    @property
    def greedy(self):
        """(position, chosen token, gap to the runner-up in logits) of each greedy choice."""
        choices = range(self.prompt, len(self.tokens))
        return [(i - 1, int(self.tokens[i]), float(self.gap[i - self.prompt])) for i in choices]


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def compress(log_probs, top_ids):
    """(n, vocab) log-probabilities -> those of top_ids (n, K), and the rest by group (n, BUCKETS)."""
    top = np.take_along_axis(log_probs, top_ids, -1)
    probs = np.exp(log_probs)
    np.put_along_axis(probs, top_ids, 0.0, -1)
    pad = -probs.shape[-1] % BUCKETS
    groups = np.pad(probs, ((0, 0), (0, pad))).reshape(len(probs), -1, BUCKETS).sum(1)
    with np.errstate(divide="ignore"):
        return top, np.log(groups)


def make(name, tokens, prompt, logits):
    """Compresses the logits (n, vocab) of one prompt."""
    log_probs = log_softmax(logits)
    top_ids = np.argsort(-log_probs, -1)[:, :K]
    top, rest = compress(log_probs, top_ids)
    best = top[prompt - 1 : len(tokens) - 1]
    return Golden(
        name=name,
        tokens=np.asarray(tokens, np.int32),
        prompt=prompt,
        gap=(best[:, 0] - best[:, 1]).astype(np.float32),
        top_ids=top_ids.astype(np.int32),
        top=top.astype(np.float32),
        rest=rest.astype(np.float32),
        next=log_probs[np.arange(len(tokens) - 1), tokens[1:]].astype(np.float32),
    )


def save(path, goldens):
    arrays = {}
    for golden in goldens:
        for field in dataclasses.fields(Golden):
            if field.name != "name":
                arrays[f"{golden.name}.{field.name}"] = np.asarray(getattr(golden, field.name))
    np.savez_compressed(path, **arrays)


def load(path):
    """The goldens of one model, in the order they were made."""
    with np.load(path) as arrays:
        names = list(dict.fromkeys(key.split(".")[0] for key in arrays))
        fields = [field.name for field in dataclasses.fields(Golden) if field.name != "name"]
        result = []
        for name in names:
            values = {field: arrays[f"{name}.{field}"] for field in fields}
            values["prompt"] = int(values["prompt"])
            result.append(Golden(name=name, **values))
        return result


def kl(golden, log_probs):
    """KL(golden || log_probs) at each position, in nats, over the K best tokens and the groups of the rest."""
    top, rest = compress(np.asarray(log_probs, np.float64), golden.top_ids)
    p = np.concatenate([golden.top, golden.rest], -1).astype(np.float64)
    q = np.concatenate([top, rest], -1)
    mass = np.exp(p)
    return np.where(mass > 0, mass * (p - q), 0.0).sum(-1)


def full_kl(p, q):
    """KL(p || q) at each position, in nats, of two full sets of log-probabilities (n, vocab). Rounded to f32 they
    do not quite add up to 1, which is made good."""
    p = log_softmax(p)
    return (np.exp(p) * (p - log_softmax(q))).sum(-1)
