"""Makes tiny random models and their exact log-probabilities: one per architecture, small enough to commit.

    python3 tests/goldens/make_tiny.py [NAME...]

Transformers builds each model from a configuration and runs it; export_gguf.py writes it as GGUF. Nothing of
Medlar is used. For each NAME of golden.TINY, in tests/goldens/:
  tiny-NAME.gguf      the model, F32
  tiny-NAME.json      {"tokens": [...]}, the input
  tiny-NAME.npy       float32 (tokens, vocab), log-probabilities after each position
  tiny-NAME-hidden.npy  float32 (tokens, dim), hidden states after the final norm
The shapes are odd on purpose: heads wider than dim / heads, several heads to a KV head, rows that fill no vector
register, and more tokens than the sliding window holds.
"""

import json
import sys

import numpy as np
import torch
import transformers

import export_gguf
import golden

TOKENS = 96

COMMON = {"vocab_size": 280, "max_position_embeddings": 512, "attention_dropout": 0.0, "rms_norm_eps": 1e-5}

CONFIGS = {
    # Untied head, one KV head for three heads.
    "llama": transformers.LlamaConfig(
        **COMMON, hidden_size=48, intermediate_size=72, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=20, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    ),
    # Tied head and llama3 rope scaling whose three frequency bands all occur within the tokens.
    "llama3": transformers.LlamaConfig(
        **COMMON, hidden_size=40, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, tie_word_embeddings=True,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    ),
    # Biased q, k and v.
    "qwen2": transformers.Qwen2Config(
        **COMMON, hidden_size=40, intermediate_size=88, num_hidden_layers=2, num_attention_heads=5,
        num_key_value_heads=1, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    ),
    # Norms on q and k, heads wider than dim / heads.
    "qwen3": transformers.Qwen3Config(
        **COMMON, hidden_size=36, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=24, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    ),
    # A sliding window shorter than the input, two rope bases, and linear scaling of the global one.
    "gemma3": transformers.Gemma3TextConfig(
        **COMMON, hidden_size=32, intermediate_size=40, num_hidden_layers=7, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12, sliding_window=16,
        layer_types=["sliding_attention"] * 5 + ["full_attention", "sliding_attention"],
        tie_word_embeddings=True,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    ),
    # Experts that some tokens use and others do not, narrower than the model's feed_forward_length.
    "qwen3moe": transformers.Qwen3MoeConfig(
        **COMMON, hidden_size=36, intermediate_size=72, moe_intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, num_experts=9, num_experts_per_tok=3,
        norm_topk_prob=True, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    ),
    # A llama file with experts, as wide as feed_forward_length.
    "mixtral": transformers.MixtralConfig(
        **COMMON, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=20, num_local_experts=5, num_experts_per_tok=2,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    ),
}


def randomize(model, seed):
    """Weights large enough that attention is peaked and the distributions are far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if "norm" in name:
            centre = 0.0 if "gemma" in model.config.model_type else 1.0
            weight.copy_(centre + 0.2 * noise)
        elif weight.dim() == 1 or "embed" in name:
            weight.copy_(0.5 * noise)
        elif "mlp.gate." in name:  # no two experts are nearly equal, where rounding would choose
            weight.copy_(6 * noise / weight.shape[-1] ** 0.5)
        else:
            weight.copy_(1.5 * noise / weight.shape[-1] ** 0.5)


def main(names):
    torch.set_grad_enabled(False)
    for seed, (name, config) in enumerate(CONFIGS.items()):
        if names and name not in names:
            continue
        config._attn_implementation = config._experts_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        randomize(model, seed)
        tokens = np.random.default_rng(seed).integers(0, config.vocab_size, TOKENS).tolist()
        log_probs = golden.log_softmax(model(torch.tensor([tokens])).logits[0].numpy())
        hidden = model.model(torch.tensor([tokens])).last_hidden_state[0].numpy()
        stem = golden.FOLDER / f"tiny-{name}"
        export_gguf.write(model, stem.with_suffix(".gguf"))
        stem.with_suffix(".json").write_text(json.dumps({"tokens": tokens}) + "\n")
        np.save(stem.with_suffix(".npy"), log_probs.astype(np.float32))
        np.save(golden.FOLDER / f"tiny-{name}-hidden.npy", hidden.astype(np.float32))
        entropy = -(np.exp(log_probs) * log_probs).sum(-1).mean()
        print(f"{name}: mean entropy {entropy:.2f} of {np.log(config.vocab_size):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
