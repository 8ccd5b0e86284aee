"""Tensors and hyperparameters of recurrent layers in a GGUF file, by the conventions that other engines use.

  rates          ssm_a is -exp(A_log)
  convolutions   (channels, width), in F32
  Mamba 2        ssm_a and ssm_d are (heads, 1), ssm_norm (groups, width of a group)
  Qwen3-Next     in_proj_qkvz goes by key heads: for each its query, its key, and values and gates of its heads. The
                 file has all queries, all keys, all values (attn_qkv), and all gates (attn_gate)
  Qwen 3.5       heads of values go by key heads: those of the first, those of the second, ... The file takes one
                 of each key head in turn
"""

import numpy as np


def is_recurrent(kind):
    return kind in ("linear_attention", "mamba", "conv")


def delta_parts(weight, config):
    """Rows by key heads, [query, key, values, gates] each, as (queries then keys then values, gates)."""
    keys, each = config.linear_num_key_heads, config.linear_num_value_heads // config.linear_num_key_heads
    dim, value = config.linear_key_head_dim, each * config.linear_value_head_dim
    rows = weight.reshape(keys, 2 * (dim + value), -1)
    q, k, v, z = np.split(rows, [dim, 2 * dim, 2 * dim + value], axis=1)
    flat = [part.reshape(-1, weight.shape[-1]) for part in (q, k, v, z)]
    return np.concatenate(flat[:3]), flat[3]


def in_turn(weight, config, axis, head_dim):
    """Heads of values (key head, its own) as (its own, key head)."""
    keys = config.linear_num_key_heads
    shape = weight.shape
    split = weight.reshape(*shape[:axis], keys, -1, head_dim, *shape[axis + 1 :])
    return split.swapaxes(axis, axis + 1).reshape(shape)


def values_in_turn(name, weight, config):
    """A tensor of a delta network with its heads of values in the file's order."""
    queries_and_keys = 2 * config.linear_num_key_heads * config.linear_key_head_dim
    if "in_proj_qkv." in name or "conv1d" in name:
        values = in_turn(weight[queries_and_keys:], config, 0, config.linear_value_head_dim)
        return np.concatenate([weight[:queries_and_keys], values])
    if "in_proj_z" in name:
        return in_turn(weight, config, 0, config.linear_value_head_dim)
    if "out_proj" in name:
        return in_turn(weight, config, 1, config.linear_value_head_dim)
    return weight if "norm" in name else in_turn(weight, config, 0, 1)


DELTA = {
    "dt_bias": "ssm_dt.bias", "A_log": "ssm_a", "conv1d.weight": "ssm_conv1d.weight", "norm.weight": "ssm_norm.weight",
    "in_proj_ba.weight": "ssm_ba.weight", "in_proj_qkv.weight": "attn_qkv.weight", "in_proj_z.weight": "attn_gate.weight",
    "in_proj_b.weight": "ssm_beta.weight", "in_proj_a.weight": "ssm_alpha.weight", "out_proj.weight": "ssm_out.weight",
}
MAMBA = {
    "dt_bias": "ssm_dt.bias", "A_log": "ssm_a", "D": "ssm_d", "conv1d.weight": "ssm_conv1d.weight",
    "conv1d.bias": "ssm_conv1d.bias", "norm.weight": "ssm_norm.weight", "in_proj.weight": "ssm_in.weight",
    "out_proj.weight": "ssm_out.weight",
}


def tensors(layer, name, weight, config):
    """The (name, array) pairs of the file that a weight of a recurrent layer becomes; none for other weights."""
    if ".conv.conv." in name:
        return [(f"{layer}.shortconv.conv.weight", weight[:, 0])]
    weight = -np.exp(weight) if name.endswith("A_log") else weight[:, 0] if "conv1d.weight" in name else weight
    if "linear_attn." in name:
        own = name.split("linear_attn.")[1]
        if own == "in_proj_qkvz.weight":
            qkv, gate = delta_parts(weight, config)
            return [(f"{layer}.attn_qkv.weight", qkv), (f"{layer}.attn_gate.weight", gate)]
        if config.model_type.startswith("qwen3_5"):
            weight = values_in_turn(own, weight, config)
        return [(f"{layer}.{DELTA[own]}", weight)]
    own = name.split(".mamba." if ".mamba." in name else ".mixer.")[-1]
    if own not in MAMBA or "mamba" not in name and "mixer" not in name:
        return []
    if own in ("A_log", "D"):
        weight = weight[:, None]
    if own == "norm.weight":
        weight = weight.reshape(getattr(config, "mamba_n_groups", None) or config.n_groups, -1)
    return [(f"{layer}.{MAMBA[own]}", weight)]


def add_hyperparameters(writer, config, arch):
    kinds = getattr(config, "layer_types", None)
    if arch in ("qwen3next", "qwen35", "qwen35moe"):
        writer.add_ssm_conv_kernel(config.linear_conv_kernel_dim)
        writer.add_ssm_state_size(config.linear_key_head_dim)
        writer.add_ssm_group_count(config.linear_num_key_heads)
        writer.add_ssm_time_step_rank(config.linear_num_value_heads)
        writer.add_ssm_inner_size(config.linear_num_value_heads * config.linear_value_head_dim)
        writer.add_full_attention_interval(kinds.index("full_attention") + 1)
        if arch != "qwen3next":
            pairs = int(config.head_dim * config.rope_parameters["partial_rotary_factor"]) // 2
            writer.add_rope_dimension_sections([(pairs + 2) // 3, (pairs + 1) // 3, pairs // 3, 0])
    if arch == "granitehybrid":
        writer.add_ssm_conv_kernel(config.mamba_d_conv)
        writer.add_ssm_state_size(config.mamba_d_state)
        writer.add_ssm_group_count(config.mamba_n_groups)
        writer.add_ssm_time_step_rank(config.mamba_n_heads)
        writer.add_ssm_inner_size(config.mamba_n_heads * config.mamba_d_head)
        writer.add_rope_scaling_finetuned(config.position_embedding_type == "rope")
    if arch == "nemotron_h":
        writer.add_ssm_conv_kernel(config.conv_kernel)
        writer.add_ssm_state_size(config.ssm_state_size)
        writer.add_ssm_group_count(config.n_groups)
        writer.add_ssm_time_step_rank(config.mamba_num_heads)
        writer.add_ssm_inner_size(config.mamba_num_heads * config.mamba_head_dim)
        writer.add_feed_forward_length([config.intermediate_size if kind == "mlp" else 0 for kind in kinds])
