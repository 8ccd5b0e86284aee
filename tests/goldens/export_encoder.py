"""Writes Transformers' encoders, which embed texts, as GGUF files, as other engines name their tensors.

The conventions that are not a plain renaming:
  attn_qkv     the rows of q, k and v are one tensor, of all but BERT
  token_types  and positions stay f32
  gemma        norms store 1 + w; the window is the whole one, of which half lies on either side
"""

import re

import gguf
import numpy as np

import export_gguf

# By Transformers' model_type.
ARCHITECTURES = {
    "bert": "bert", "nomic_bert": "nomic-bert", "jina_embeddings_v3": "jina-bert-v3",
    "gemma3_text": "gemma-embedding",
}
# What stands in a weight's name, and what in the file's.
NAMES = {
    r"^embeddings\.word_embeddings": "token_embd", r"^embeddings\.position_embeddings": "position_embd",
    r"^embeddings\.token_type_embeddings": "token_types", r"^embeddings\.LayerNorm": "token_embd_norm",
    r"^(?:encoder\.layer|layers)\.(\d+)": r"blk.\1",
    r"attention\.self\.query|self_attn\.q_proj": "attn_q", r"attention\.self\.key|self_attn\.k_proj": "attn_k",
    r"attention\.self\.value|self_attn\.v_proj": "attn_v",
    r"attention\.output\.dense|self_attn\.o_proj": "attn_output",
    r"attention\.output\.LayerNorm|post_attention_layernorm": "attn_output_norm",
    r"intermediate\.dense|mlp\.fc1|mlp\.up_proj": "ffn_up", r"mlp\.gate_proj": "ffn_gate",
    r"(?<!attention\.)output\.dense|mlp\.fc2|mlp\.down_proj": "ffn_down",
    r"(?<!attention\.)output\.LayerNorm|post_mlp_layernorm": "layer_output_norm",
    r"^pooler\.dense": "cls", r"^classifier": "cls.output",
}
POOLINGS = {"mean": gguf.PoolingType.MEAN, "cls": gguf.PoolingType.CLS, "rank": gguf.PoolingType.RANK}


def renamed(name):
    name = name.removeprefix("bert.")
    for pattern, ours in NAMES.items():
        name = re.sub(pattern, ours, name)
    return name


def bert_tensors(weights, arch):
    """(name, array) of all tensors but a pooler that nothing follows."""
    weights = {renamed(name): weight for name, weight in weights.items() if not name.endswith("position_ids")}
    ranks = "cls.output.weight" in weights
    for name, weight in weights.items():
        if name.startswith("cls.") and not ranks:
            continue
        if arch == "bert" or not re.search(r"attn_[qkv]\.", name):
            yield name, weight
        elif "attn_q." in name:
            parts = [weights[name.replace("attn_q.", f"attn_{part}.")] for part in "qkv"]
            yield name.replace("attn_q.", "attn_qkv."), np.concatenate(parts)


def gemma_tensors(weights, config):
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA_EMBEDDING, config.num_hidden_layers)
    for name, weight in weights.items():
        found = names.get_name(f"model.{name}", try_suffixes=(".weight", ".bias"))
        yield found, weight + (1 if "norm" in name else 0)


def add_hyperparameters(writer, config, arch, pooling):
    heads = config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_causal_attention(False)
    writer.add_pooling_type(POOLINGS[pooling])
    if arch == "gemma-embedding":
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_sliding_window(2 * (config.sliding_window - 1))  # the configuration has a side's
        export_gguf.add_rope(writer, config, config.head_dim)
        return
    writer.add_layer_norm_eps(config.layer_norm_eps)
    if arch != "bert":
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def add_wordpiece_vocabulary(writer, tokens):
    """WordPiece tokens as engines store them: the beginning of a word is marked instead of what goes on."""
    special = [t.startswith("[") and t.endswith("]") for t in tokens]
    marked = [
        t if is_special else t[2:] if t.startswith("##") and len(t) > 2 else "\u2581" + t
        for t, is_special in zip(tokens, special)
    ]
    types = [gguf.TokenType.CONTROL if is_special else gguf.TokenType.NORMAL for is_special in special]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list(marked)
    writer.add_token_types(types)
    writer.add_token_type_count(2)
    for name, method in (
        ("[PAD]", writer.add_pad_token_id), ("[UNK]", writer.add_unk_token_id),
        ("[SEP]", writer.add_sep_token_id), ("[MASK]", writer.add_mask_token_id),
    ):
        if name in tokens:
            method(tokens.index(name))
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_eos_token_id(tokens.index("[SEP]"))


def small_vocabulary(size):
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    return tokens + [f"[unused{i}]" for i in range(size - len(tokens))]


def write(config, weights, path, matrices=np.float32, tokens=None, pooling="mean"):
    """Writes the weights, arrays by Transformers' names, to path; with a small vocabulary if `tokens` are not given."""
    arch = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name("encoder")
    add_hyperparameters(writer, config, arch, pooling)
    add_wordpiece_vocabulary(writer, tokens or small_vocabulary(config.vocab_size))
    tensors = gemma_tensors(weights, config) if arch == "gemma-embedding" else bert_tensors(weights, arch)
    for name, array in tensors:
        plain = array.ndim == 1 or name.startswith(("token_types", "position_embd"))
        writer.add_tensor(name, np.ascontiguousarray(array.astype(np.float32 if plain else matrices)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
