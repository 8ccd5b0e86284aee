"""Runs in MLX's environment: GGUF FOLDER. Writes a model of the file's shape with random weights for mlx-lm.

Codes get the file's bits, in groups of 64. Scales, offsets and so activations are f32, with which MLX's products are
tens of times faster on a CPU than with 16-bit floats. Types other than q4_0 and q8_0 have no counterpart.
"""

import json
import pathlib
import sys

import mlx.core as mx
import mlx.nn as nn
from gguf import GGUFReader, LlamaFileType
from mlx.utils import tree_flatten
from mlx_lm.models import llama

BITS = {LlamaFileType.MOSTLY_Q4_0: 4, LlamaFileType.MOSTLY_Q8_0: 8}


def config_of(reader):
    def value(key):
        return reader.fields[key].contents()

    if value("general.architecture") != "llama":
        sys.exit(f"{value('general.architecture')}: only the llama shape is made")
    bits = BITS.get(value("general.file_type"))
    if bits is None:
        sys.exit(f"{LlamaFileType(value('general.file_type')).name}: only q4_0 and q8_0 have a counterpart in MLX")
    names = {tensor.name for tensor in reader.tensors}
    return {
        "model_type": "llama",
        "hidden_size": value("llama.embedding_length"),
        "num_hidden_layers": value("llama.block_count"),
        "intermediate_size": value("llama.feed_forward_length"),
        "num_attention_heads": value("llama.attention.head_count"),
        "num_key_value_heads": value("llama.attention.head_count_kv"),
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": value("llama.rope.freq_base"),
        "vocab_size": len(reader.fields["tokenizer.ggml.tokens"].data),
        "tie_word_embeddings": "output.weight" not in names,
        "quantization": {"group_size": 64, "bits": bits},
    }


def main():
    source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    config = config_of(GGUFReader(source))
    model = llama.Model(llama.ModelArgs.from_dict(config))
    nn.quantize(model, **config["quantization"])
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())))
    (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main()
