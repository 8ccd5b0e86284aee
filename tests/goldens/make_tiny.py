"""Makes tiny random models and their exact log-probabilities: one per architecture, small enough to commit.

    python3 tests/goldens/make_tiny.py [NAME...]

Transformers builds each model from a configuration and runs it; export_gguf.py writes it as GGUF. Nothing of
Medlar is used. For each NAME of golden.TINY, in tests/goldens/:
  tiny-NAME.gguf      the model; matrices in F16, those of golden.HIDDEN in F32
  tiny-NAME.json      {"tokens": [...]}, the input
  tiny-NAME.npy       float32 (tokens, vocab), log-probabilities after each position
  hf/tiny-NAME/         config.json and model.safetensors as Transformers saves them, types as in the GGUF
  tiny-NAME-hidden.npy  float32 (tokens, dim), hidden states after the final norm, of golden.HIDDEN
The shapes are odd on purpose: heads wider than dim / heads, several heads to a KV head, rows that fill no vector
register, and more tokens than the sliding window holds.
"""

import copy
import json
import sys

import gguf
import numpy as np
import torch
import transformers

import export_gguf
import golden

FIRST = {"vocab_size": 280, "max_position_embeddings": 512, "attention_dropout": 0.0, "rms_norm_eps": 1e-5}
SMALL = FIRST | {"vocab_size": 264}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.1, 1.2, 1.4, 1.6, 2.0],
    "long_factor": [1.0, 1.3, 1.9, 3.0, 6.0, 12.0],
}

DELTA = {
    "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 16, "linear_value_head_dim": 16, "tie_word_embeddings": False, "rope_parameters": None,
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
}

# golden.TINY says what each is for.
CONFIGS = {
    "llama": transformers.LlamaConfig(
        **FIRST, hidden_size=48, intermediate_size=72, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=20, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    ),
    "llama3": transformers.LlamaConfig(
        **FIRST, hidden_size=40, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, tie_word_embeddings=True,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        },
    ),
    "qwen2": transformers.Qwen2Config(
        **FIRST, hidden_size=40, intermediate_size=88, num_hidden_layers=2, num_attention_heads=5,
        num_key_value_heads=1, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    ),
    "qwen3": transformers.Qwen3Config(
        **FIRST, hidden_size=36, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=24, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    ),
    "gemma3": transformers.Gemma3TextConfig(
        **FIRST, hidden_size=32, intermediate_size=40, num_hidden_layers=7, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12, sliding_window=16,
        layer_types=["sliding_attention"] * 5 + ["full_attention", "sliding_attention"],
        tie_word_embeddings=True,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    ),
    "qwen3moe": transformers.Qwen3MoeConfig(
        **FIRST, hidden_size=36, intermediate_size=72, moe_intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, num_experts=9, num_experts_per_tok=3,
        norm_topk_prob=True, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    ),
    "mixtral": transformers.MixtralConfig(
        **FIRST, hidden_size=48, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, head_dim=20, num_local_experts=5, num_experts_per_tok=2,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    ),
    "olmo2": transformers.Olmo2Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=False, rope_parameters=PLAIN_ROPE,
    ),
    "olmo3": transformers.Olmo3Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, sliding_window=12, tie_word_embeddings=False,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16,
            "beta_fast": 4.0, "beta_slow": 1.0, "attention_factor": 1.3,
        },
    ),
    "phi3": transformers.Phi3Config(
        **SMALL, hidden_size=36, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, sliding_window=20, tie_word_embeddings=False, pad_token_id=0,
        original_max_position_embeddings=32, rope_parameters=LONG_ROPE,
    ),
    "phi4": transformers.Phi3Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True, pad_token_id=0, original_max_position_embeddings=256,
        rope_parameters=LONG_ROPE | {"partial_rotary_factor": 0.75},
    ),
    "gemma2": transformers.Gemma2Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12, sliding_window=16,
        attn_logit_softcapping=3.0, final_logit_softcapping=5.0, rope_parameters=PLAIN_ROPE,
    ),
    "granite": transformers.GraniteConfig(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True, embedding_multiplier=3.0, residual_multiplier=0.4,
        attention_multiplier=0.2, logits_scaling=2.5, rope_parameters=PLAIN_ROPE,
    ),
    "granitemoe": transformers.GraniteMoeSharedConfig(
        **SMALL, hidden_size=32, intermediate_size=24, shared_intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=5, num_experts_per_tok=2,
        tie_word_embeddings=True, embedding_multiplier=3.0, residual_multiplier=0.4,
        attention_multiplier=0.2, logits_scaling=2.5, rope_parameters=PLAIN_ROPE,
    ),
    "smollm3": transformers.SmolLM3Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=1, tie_word_embeddings=True, no_rope_layer_interval=4, pad_token_id=0,
        rope_parameters=PLAIN_ROPE,
    ),
    "glm4": transformers.Glm4Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, attention_bias=True, tie_word_embeddings=False, pad_token_id=0,
        rope_parameters=PLAIN_ROPE | {"partial_rotary_factor": 0.5},
    ),
    "exaone4": transformers.Exaone4Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, sliding_window=12, sliding_window_pattern=4,
        tie_word_embeddings=True, rope_parameters=PLAIN_ROPE,
    ),
    "qwen2moe": transformers.Qwen2MoeConfig(
        **SMALL, hidden_size=32, intermediate_size=40, moe_intermediate_size=24,
        shared_expert_intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        num_experts=5, num_experts_per_tok=2, norm_topk_prob=False, tie_word_embeddings=False,
        rope_parameters=PLAIN_ROPE,
    ),
    "cohere2": transformers.Cohere2Config(
        **{key: value for key, value in SMALL.items() if key != "rms_norm_eps"}, layer_norm_eps=1e-5,
        hidden_size=32, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=12, logit_scale=0.3, pad_token_id=0, rope_parameters=PLAIN_ROPE,
    ),
    "mistral3": transformers.Ministral3Config(
        **SMALL, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, tie_word_embeddings=False, pad_token_id=0,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16,
            "beta_fast": 4.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
            "llama_4_scaling_beta": 0.3,
        },
    ),
    "gpt-oss": transformers.GptOssConfig(
        **SMALL, hidden_size=32, intermediate_size=32, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, num_local_experts=5, num_experts_per_tok=2, sliding_window=12,
        tie_word_embeddings=False, pad_token_id=0,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16,
            "beta_fast": 4.0, "beta_slow": 1.0, "truncate": False,
        },
    ),
    "deepseek2": transformers.DeepseekV3Config(
        **SMALL, hidden_size=32, intermediate_size=40, moe_intermediate_size=24, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=4, q_lora_rank=20, kv_lora_rank=28, qk_nope_head_dim=12,
        qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=8, num_experts_per_tok=3, n_group=4, topk_group=2,
        n_shared_experts=2, first_k_dense_replace=1, routed_scaling_factor=2.5, norm_topk_prob=True,
        tie_word_embeddings=False, pad_token_id=0,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16,
            "beta_fast": 4.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        },
    ),
    "deepseek2-lite": transformers.DeepseekV2Config(
        **SMALL, hidden_size=32, intermediate_size=40, moe_intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, q_lora_rank=None, kv_lora_rank=24, qk_nope_head_dim=12,
        qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=5, num_experts_per_tok=2, n_shared_experts=1,
        first_k_dense_replace=1, routed_scaling_factor=1.0, norm_topk_prob=False, tie_word_embeddings=False,
        pad_token_id=0, rope_parameters=PLAIN_ROPE,
    ),
    "glm4-moe-lite": transformers.Glm4MoeLiteConfig(
        **SMALL, hidden_size=32, intermediate_size=40, moe_intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, q_lora_rank=16, kv_lora_rank=20, qk_nope_head_dim=16,
        qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=6, num_experts_per_tok=2, n_group=1, topk_group=1,
        n_shared_experts=1, mlp_layer_types=["dense", "sparse"], routed_scaling_factor=1.8,
        norm_topk_prob=True, tie_word_embeddings=False, pad_token_id=0, rope_parameters=PLAIN_ROPE,
    ),
    "lfm2": transformers.Lfm2Config(
        **{key: value for key, value in SMALL.items() if key != "rms_norm_eps"}, norm_eps=1e-5, hidden_size=40,
        intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        layer_types=["conv", "conv", "full_attention", "conv"], conv_L_cache=3, tie_word_embeddings=True,
        rope_parameters=PLAIN_ROPE, block_auto_adjust_ff_dim=False,
    ),
    "qwen3next": transformers.Qwen3NextConfig(
        **SMALL, **DELTA, moe_intermediate_size=24, shared_expert_intermediate_size=40, num_experts=5,
        num_experts_per_tok=2, norm_topk_prob=True,
    ),
    "qwen35": transformers.Qwen3_5TextConfig(**SMALL, **DELTA),
    "qwen35moe": transformers.Qwen3_5MoeTextConfig(
        **{key: value for key, value in (SMALL | DELTA).items() if key != "intermediate_size"},
        moe_intermediate_size=24, shared_expert_intermediate_size=40, num_experts=5, num_experts_per_tok=2,
    ),
    "granitehybrid": transformers.GraniteMoeHybridConfig(
        **SMALL, hidden_size=32, intermediate_size=24, shared_intermediate_size=40, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, num_local_experts=5, num_experts_per_tok=2,
        layer_types=["mamba", "attention", "mamba"], mamba_n_heads=4, mamba_n_groups=1, mamba_d_state=12,
        mamba_d_head=16, mamba_expand=2, position_embedding_type=None, tie_word_embeddings=True,
        embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.2, logits_scaling=2.5,
    ),
    "nemotron_h": transformers.NemotronHConfig(
        vocab_size=264, max_position_embeddings=512, layer_norm_epsilon=1e-5, hidden_size=32, intermediate_size=40,
        num_attention_heads=4, num_key_value_heads=2, head_dim=12, mamba_num_heads=4, mamba_head_dim=10, n_groups=2,
        ssm_state_size=12, layers_block_type=["mamba", "mlp", "attention", "mamba"], tie_word_embeddings=False,
    ),
}
CONFIGS["gpt-oss-mxfp4"] = copy.deepcopy(CONFIGS["gpt-oss"])


def mxfp4(weight):
    """The nearest values of MXFP4, whose blocks lie along the inputs of (experts, in, out)."""
    values = weight.swapaxes(1, 2).contiguous().numpy()
    kind = gguf.GGMLQuantizationType.MXFP4
    return torch.from_numpy(gguf.dequantize(gguf.quantize(values, kind), kind)).swapaxes(1, 2)


def randomize(model, seed, dtype):
    """Weights large enough that attention is peaked and the distributions are far from uniform, as `dtype`s."""
    generator = torch.Generator().manual_seed(seed)
    from_one = model.config.model_type.startswith(("gemma", "qwen3_next", "qwen3_5"))  # norms hold w - 1
    choice = [(name, bias) for name, bias in model.named_buffers() if "e_score_correction_bias" in name]
    for name, weight in [*model.named_parameters(), *choice]:
        noise = torch.randn(weight.shape, generator=generator)
        if "norm" in name:
            weight.copy_((0.0 if from_one and "linear_attn" not in name else 1.0) + 0.2 * noise)
        elif weight.dim() == 1 or "embed" in name:
            weight.copy_(0.5 * noise)
        elif "mlp.gate." in name or "router" in name:  # no two experts are nearly equal, where rounding would choose
            spread = 3 if choice else 12 if model.config.model_type == "gpt_oss" else 6
            weight.copy_(spread * noise / weight.shape[-1] ** 0.5)
        elif name.endswith("gate_up_proj") and model.config.model_type == "gpt_oss":  # some gates are clamped
            weight.copy_(4 * noise / weight.shape[1] ** 0.5)
        else:
            weight.copy_(1.5 * noise / weight.shape[-1] ** 0.5)
        if weight.dim() > 1:
            weight.copy_(weight.to(dtype).float())


def save_folder(model, folder, dtype):
    """As models are published, without a tokenizer; matrices as `dtype`."""
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data = weight.data.to(dtype)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def main(names):
    torch.set_grad_enabled(False)
    for seed, (name, config) in enumerate(CONFIGS.items()):
        if names and name not in names:
            continue
        first = name in golden.HIDDEN
        config._attn_implementation = config._experts_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        randomize(model, seed, torch.float32 if first else torch.float16)
        four_bits = name.endswith("mxfp4")
        if four_bits:
            for weight in (w for key, w in model.named_parameters() if ".experts." in key and w.dim() == 3):
                weight.copy_(mxfp4(weight))
        count = 96 if first or name in golden.RECURRENT else 48
        tokens = np.random.default_rng(seed).integers(0, config.vocab_size, count).tolist()
        log_probs = golden.log_softmax(model(torch.tensor([tokens])).logits[0].numpy())
        stem = golden.FOLDER / f"tiny-{name}"
        export_gguf.write(model, stem.with_suffix(".gguf"), np.float32 if first else np.float16, four_bits)
        stem.with_suffix(".json").write_text(json.dumps({"tokens": tokens}) + "\n")
        np.save(stem.with_suffix(".npy"), log_probs.astype(np.float32))
        if first:
            hidden = model.model(torch.tensor([tokens])).last_hidden_state[0].numpy()
            np.save(golden.FOLDER / f"tiny-{name}-hidden.npy", hidden.astype(np.float32))
        save_folder(model, golden.FOLDER / "hf" / stem.name, torch.float32 if first else torch.float16)
        entropy = -(np.exp(log_probs) * log_probs).sum(-1).mean()
        print(f"{name}: mean entropy {entropy:.2f} of {np.log(config.vocab_size):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
