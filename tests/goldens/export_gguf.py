"""Writes a Transformers model as a GGUF file in F32, with the tensor names and conventions other engines use.

The conventions that are not a plain renaming:
  llama        rows of q and k are reordered so that rotary pairs are neighbours instead of half a head apart
  llama3 rope  the divisor of each rotary frequency is a tensor, rope_freqs.weight (head_dim / 2)
  gemma        norms store 1 + w
  experts      gate and up are tensors of their own, (experts, out, in) each
Linear weights keep their (out, in) order; GGUF lists dimensions innermost first, which the writer takes care of.
"""

import math

import gguf
import numpy as np

ARCHITECTURES = {
    "llama": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe",
    "gemma3_text": "gemma3",
}

GLOBAL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
}

GEMMA_LAYER_NAMES = LAYER_NAMES | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def gguf_name(name, arch):
    if name in GLOBAL_NAMES:
        return GLOBAL_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    module, kind = rest.rsplit(".", 1)
    names = GEMMA_LAYER_NAMES if arch == "gemma3" else LAYER_NAMES
    return f"blk.{layer}.{names[module]}.{kind}"


def pair_neighbours(weight, heads):
    """Within each head, rows i and i + head_dim / 2 become rows 2i and 2i + 1."""
    rows = weight.shape[0]
    halves = weight.reshape(heads, 2, rows // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(weight.shape)


def tensors(name, weight, config, arch):
    """The (name, array) pairs of the file that one weight of the model becomes."""
    if ".experts." not in name:
        return [(gguf_name(name, arch), convert(name, weight, config, arch))]
    layer = f"blk.{name.split('.')[2]}"
    if name.endswith("down_proj"):
        return [(f"{layer}.ffn_down_exps.weight", weight)]
    gate, up = np.split(weight, 2, axis=1)
    return [(f"{layer}.ffn_gate_exps.weight", gate), (f"{layer}.ffn_up_exps.weight", up)]


def convert(name, weight, config, arch):
    if arch == "llama" and "q_proj" in name:
        return pair_neighbours(weight, config.num_attention_heads)
    if arch == "llama" and "k_proj" in name:
        return pair_neighbours(weight, config.num_key_value_heads)
    if arch == "gemma3" and "norm" in name:
        return weight + 1
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


def add_hyperparameters(writer, config, arch):
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(f"tiny random {arch}")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if arch == "qwen3moe":
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    rope = config.rope_parameters
    if arch == "gemma3":
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    if arch == "llama":
        writer.add_rope_dimension_count(head_dim)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_divisors(rope, head_dim))
    writer.add_rope_freq_base(rope["rope_theta"])


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


def write(model, path):
    """Writes the model, with a small working vocabulary, to path."""
    config = model.config
    arch = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, arch)
    add_hyperparameters(writer, config, arch)
    if arch == "gemma3":
        add_sentencepiece_vocabulary(writer, config.vocab_size)
    else:
        add_byte_level_vocabulary(writer, config.vocab_size)
    weights = model.state_dict()
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    for name, weight in weights.items():
        for tensor, array in tensors(name, weight.float().numpy(), config, arch):
            writer.add_tensor(tensor, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
