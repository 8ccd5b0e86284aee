"""Writes a Transformers model as a GGUF file, with the tensor names and conventions other engines use.

Names are those of the gguf package. The conventions that are not a plain renaming:
  interleaved  rows of q and k are reordered so that rotary pairs are neighbours instead of half a head apart
  llama3 rope  the divisor of each rotary frequency is a tensor, rope_freqs.weight (head_dim / 2)
  longrope     two such tensors, rope_factors_long.weight and rope_factors_short.weight
  gemma        norms store 1 + w
  convolution  (channels, width), in F32
  experts      gate and up are tensors of their own, (experts, out, in) each
  gpt-oss      gate and up are every second output of one (experts, in, out) tensor; experts may be MXFP4
  deepseek2    what makes keys of a latent vector is (heads, latent, key), what makes values (heads, value, latent)
Linear weights keep their (out, in) order; GGUF lists dimensions innermost first, which the writer takes care of.
"""

import math
import re

import gguf
import numpy as np

import export_recurrent

# By Transformers' model_type.
ARCHITECTURES = {
    "llama": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe",
    "gemma3_text": "gemma3", "olmo2": "olmo2", "olmo3": "olmo2", "phi3": "phi3", "gemma2": "gemma2",
    "granite": "granite", "granitemoeshared": "granitemoe", "smollm3": "smollm3", "glm4": "glm4",
    "exaone4": "exaone4", "qwen2_moe": "qwen2moe", "cohere2": "cohere2", "ministral3": "mistral3",
    "gpt_oss": "gpt-oss", "deepseek_v2": "deepseek2", "deepseek_v3": "deepseek2", "glm4_moe_lite": "deepseek2",
    "lfm2": "lfm2", "qwen3_next": "qwen3next", "qwen3_5_text": "qwen35", "qwen3_5_moe_text": "qwen35moe",
    "granitemoehybrid": "granitehybrid", "nemotron_h": "nemotron_h",
}
# Whose rotary pairs are neighbours in the file, but half a head apart in Transformers.
INTERLEAVED = {"mistral3", "llama", "granite", "granitemoe", "granitehybrid", "smollm3"}

# Hyperparameters that some configurations have: the writer's method for each.
OPTIONAL = {
    "embedding_multiplier": "add_embedding_scale",
    "residual_multiplier": "add_residual_scale",
    "attention_multiplier": "add_attention_scale",
    "logits_scaling": "add_logit_scale",
    "attn_logit_softcapping": "add_attn_logit_softcapping",
    "final_logit_softcapping": "add_final_logit_softcapping",
    "moe_intermediate_size": "add_expert_feed_forward_length",
    "shared_intermediate_size": "add_expert_shared_feed_forward_length",
    "shared_expert_intermediate_size": "add_expert_shared_feed_forward_length",
    "logit_scale": "add_logit_scale",
    "rms_norm_eps": "add_layer_norm_rms_eps",
    "layer_norm_eps": "add_layer_norm_eps",
    "norm_eps": "add_layer_norm_rms_eps",
    "layer_norm_epsilon": "add_layer_norm_eps",
    "conv_L_cache": "add_shortconv_l_cache",
}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def gguf_name(name, names):
    """The file's name of a weight. Published Granite models call their router so, not as Transformers does now."""
    published = name.replace("moe.router.weight", "moe.router.layer.weight")
    if re.search(r"\.mixer\.|\.embeddings\.|\.norm_f\.|layers\.\d+\.norm\.", name):  # Nemotron-H
        published = name.replace("model.", "backbone.", 1)
    found = names.get_name(published, try_suffixes=(".weight", ".bias"))
    assert found, f"the gguf package knows no name for {name}"
    return found


def pair_neighbours(weight, heads):
    """Within each head, rows i and i + head_dim / 2 become rows 2i and 2i + 1."""
    rows = weight.shape[0]
    halves = weight.reshape(heads, 2, rows // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(weight.shape)


def tensors(name, weight, config, names):
    """The (name, array) pairs of the file that one weight of the model becomes."""
    layer = f"blk.{name.split('.')[2]}" if ".layers." in name else ""
    if recurrent := export_recurrent.tensors(layer, name, weight, config):
        return recurrent
    if config.model_type == "gpt_oss" and (".experts." in name or "sinks" in name):
        return gpt_oss_tensors(name.split(".")[-1], weight, layer)
    if "kv_b_proj" in name:
        heads = weight.reshape(config.num_attention_heads, -1, config.kv_lora_rank)
        key, value = np.split(heads, [config.qk_nope_head_dim], axis=1)
        return [(f"{layer}.attn_k_b.weight", key.swapaxes(1, 2)), (f"{layer}.attn_v_b.weight", value)]
    if "e_score_correction_bias" in name:
        return [(f"{layer}.exp_probs_b.bias", weight)]
    expert = ".experts." in name or "block_sparse_moe." in name
    if expert and name.split(".")[-2 if name.endswith(".weight") else -1] in ("gate_up_proj", "input_linear"):
        gate, up = np.split(weight, 2, axis=1)
        return [(f"{layer}.ffn_gate_exps.weight", gate), (f"{layer}.ffn_up_exps.weight", up)]
    if expert and ("down_proj" in name or "output_linear" in name):
        return [(f"{layer}.ffn_down_exps.weight", weight)]
    if "shared_mlp.input_linear" in name:
        gate, up = np.split(weight, 2, axis=0)
        return [(f"{layer}.ffn_gate_shexp.weight", gate), (f"{layer}.ffn_up_shexp.weight", up)]
    return [(gguf_name(name, names), convert(name, weight, config))]


def gpt_oss_tensors(name, weight, layer):
    if name == "sinks":
        return [(f"{layer}.attn_sinks.weight", weight)]
    kind = "bias" if name.endswith("_bias") else "weight"
    weight = weight if kind == "bias" else weight.swapaxes(1, 2)
    if name.startswith("down_proj"):
        return [(f"{layer}.ffn_down_exps.{kind}", weight)]
    return [(f"{layer}.ffn_gate_exps.{kind}", weight[:, ::2]), (f"{layer}.ffn_up_exps.{kind}", weight[:, 1::2])]


def convert(name, weight, config):
    arch = ARCHITECTURES[config.model_type]
    if arch in INTERLEAVED and "q_proj" in name:
        return pair_neighbours(weight, config.num_attention_heads)
    if arch in INTERLEAVED and "k_proj" in name:
        return pair_neighbours(weight, config.num_key_value_heads)
    if arch.startswith(("gemma", "qwen3next", "qwen35")) and "norm" in name:
        return weight + 1
    if "shared_expert_gate" in name:
        return weight[0]
    return weight


def llama3_divisors(rope, head_dim):
    """The divisors of the rotary frequencies, as published with Llama 3.1."""
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    divisors = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
            rope["high_freq_factor"] - rope["low_freq_factor"]
        )
        if wavelength < high:
            divisors.append(1.0)
        elif wavelength > low:
            divisors.append(rope["factor"])
        else:
            divisors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(divisors, np.float32)


def add_rope(writer, config, head_dim):
    rope = config.rope_parameters
    if "full_attention" in rope:
        if "sliding_attention" in rope:
            writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    writer.add_rope_freq_base(rope["rope_theta"])
    rotated = getattr(config, "qk_rope_head_dim", None) or int(head_dim * rope.get("partial_rotary_factor", 1.0))
    writer.add_rope_dimension_count(rotated)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(rope, head_dim))
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
        if rope.get("mscale_all_dim"):
            tenth = 0.1 if ARCHITECTURES[config.model_type] == "deepseek2" else 1.0
            writer.add_rope_scaling_yarn_log_mul(tenth * rope["mscale_all_dim"])
        if rope.get("llama_4_scaling_beta"):
            writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])
        if rope.get("attention_factor"):
            writer.add_rope_scaling_yarn_attn_factor(rope["attention_factor"])
    if rope["rope_type"] == "longrope":
        original = rope["original_max_position_embeddings"]
        growth = config.max_position_embeddings / original
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(growth) / math.log(original)))
        for kind in ("long", "short"):
            writer.add_tensor(f"rope_factors_{kind}.weight", np.array(rope[f"{kind}_factor"], np.float32))


def add_sliding_window(writer, config, arch):
    if getattr(config, "sliding_window", None) is None or arch.startswith("qwen"):
        return
    writer.add_sliding_window(config.sliding_window)
    if arch in ("olmo2", "exaone4"):
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])


def add_latent_attention(writer, config):
    """One head of keys for all queries: a latent vector and what is rotated."""
    writer.add_head_count_kv(1)
    writer.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
    writer.add_value_length(config.kv_lora_rank)
    writer.add_key_length_mla(config.qk_nope_head_dim + config.qk_rope_head_dim)
    writer.add_value_length_mla(config.v_head_dim)
    writer.add_kv_lora_rank(config.kv_lora_rank)
    if config.q_lora_rank:
        writer.add_q_lora_rank(config.q_lora_rank)


def add_experts(writer, config, arch):
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    if not experts or (arch == "nemotron_h" and "moe" not in config.layer_types):
        return
    writer.add_expert_count(experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    if arch == "gpt-oss":
        writer.add_expert_feed_forward_length(config.intermediate_size)
    if arch != "deepseek2":
        return
    dense = getattr(config, "mlp_layer_types", ["dense"] * getattr(config, "first_k_dense_replace", 0)).count("dense")
    writer.add_leading_dense_block_count(dense)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    writer.add_expert_weights_norm(bool(config.norm_topk_prob))
    softmax = config.model_type == "deepseek_v2"
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SOFTMAX if softmax else gguf.ExpertGatingFuncType.SIGMOID)
    if config.n_group and config.n_group > 1:
        writer.add_expert_group_count(config.n_group)
        writer.add_expert_group_used_count(config.topk_group)


def kv_heads(config):
    """A number, or one for each layer, 0 where there is no attention."""
    if config.model_type in ("lfm2", "granitemoehybrid", "nemotron_h"):
        return [config.num_key_value_heads if kind == "full_attention" else 0 for kind in config.layer_types]
    return config.num_key_value_heads


def add_hyperparameters(writer, config, arch):
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name("tiny random model")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    if getattr(config, "intermediate_size", None) and arch != "nemotron_h":
        writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if arch == "deepseek2":
        add_latent_attention(writer, config)
    else:
        writer.add_head_count_kv(kv_heads(config))
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_experts(writer, config, arch)
    for field, method in OPTIONAL.items():
        if getattr(config, field, None) and not (arch == "nemotron_h" and field.startswith("moe_")):
            getattr(writer, method)(getattr(config, field))
    add_sliding_window(writer, config, arch)
    if getattr(config, "rope_parameters", None):
        add_rope(writer, config, head_dim)
    export_recurrent.add_hyperparameters(writer, config, arch)


def add_byte_level_vocabulary(writer, size):
    """256 bytes in the printable alphabet of byte-level BPE, one merge, then control tokens."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    tokens = [letters[byte] for byte in range(256)] + ["th"]
    types = [gguf.TokenType.NORMAL] * len(tokens)
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    control += [f"<|reserved_{i}|>" for i in range(size - len(tokens) - len(control))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens + control)
    writer.add_token_types(types + [gguf.TokenType.CONTROL] * len(control))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens) + 2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def add_sentencepiece_vocabulary(writer, size):
    """Control tokens, the 256 byte tokens, and a few pieces with scores."""
    pieces = ["\u2581", "e", "t", "h", "a", "th", "the", "\u2581the"]
    tokens = ["<pad>", "</s>", "<s>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)] + pieces
    types = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.UNKNOWN] + [gguf.TokenType.BYTE] * 256
    types += [gguf.TokenType.NORMAL] * len(pieces)
    scores = [0.0] * 260 + [-float(i) for i in range(len(pieces))]
    for i in range(size - len(tokens)):
        tokens.append(f"<unused{i}>")
        types.append(gguf.TokenType.UNUSED)
        scores.append(0.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_scores(scores)
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)


def is_f32(tensor):
    return any(part in tensor for part in ("shortconv.conv.", "ssm_conv1d", "ssm_a", "ssm_d", "ssm_norm"))


def add_tensor(writer, name, array, matrices, mxfp4):
    if mxfp4 and name.endswith("_exps.weight"):
        blocks = gguf.quantize(np.ascontiguousarray(array), gguf.GGMLQuantizationType.MXFP4)
        writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.MXFP4)
        return
    dtype = matrices if array.ndim > 1 and not is_f32(name) and not name.endswith(".bias") else np.float32
    writer.add_tensor(name, np.ascontiguousarray(array.astype(dtype)))


def write(model, path, matrices=np.float32, mxfp4=False):
    """Writes the model, with a small working vocabulary, to path; matrices as that type, all else as f32; where
    `mxfp4`, those of experts so."""
    config = model.config
    arch = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, arch)
    add_hyperparameters(writer, config, arch)
    if arch == "gemma3":
        add_sentencepiece_vocabulary(writer, config.vocab_size)
    else:
        add_byte_level_vocabulary(writer, config.vocab_size)
    names = gguf.get_tensor_name_map(
        next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == arch), config.num_hidden_layers
    )
    weights = model.state_dict()
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    for name, weight in weights.items():
        for tensor, array in tensors(name, weight.float().numpy(), config, names):
            add_tensor(writer, tensor, array, matrices, mxfp4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
