"""Makes tiny random encoders and their exact hidden states: one per architecture, small enough to commit.

    python3 tests/goldens/make_encoders.py [NAME...]

Transformers builds each model from a configuration and runs it; export_encoder.py writes it as GGUF. Nothing of
Medlar is used. For each NAME, in tests/goldens/:
  encoder-NAME.gguf  the model; matrices in F16
  encoder-NAME.json  {"tokens": [...]}, the longest text
  encoder-NAME.npy   float32 (sum of TEXTS, dim): of each text, which is the first so many tokens, the hidden states
                     of all its tokens, which see each other
"""

import json
import sys

import numpy as np
import torch
import transformers

import export_encoder
import golden
import make_tiny

TEXTS = [90, 1, 23]
SMALL = {
    "vocab_size": 264, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 96, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}
# golden.ENCODERS says what each is for.
CONFIGS = {
    "bert": transformers.BertConfig(**SMALL, layer_norm_eps=1e-12),
    "nomic-bert": transformers.NomicBertConfig(
        **SMALL, head_dim=8, rope_parameters=make_tiny.PLAIN_ROPE
    ),
    "jina-bert-v3": transformers.JinaEmbeddingsV3Config(
        **SMALL, rope_parameters={"rope_type": "default", "rope_theta": 20000.0}
    ),
    "gemma-embedding": transformers.Gemma3TextConfig(
        vocab_size=264, hidden_size=32, intermediate_size=40, num_hidden_layers=7, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, query_pre_attn_scalar=12, sliding_window=16, rms_norm_eps=1e-5,
        max_position_embeddings=96, use_bidirectional_attention=True,
        layer_types=["sliding_attention"] * 5 + ["full_attention", "sliding_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    ),
}


def main(names):
    torch.set_grad_enabled(False)
    for seed, (name, config) in enumerate(CONFIGS.items()):
        if names and name not in names:
            continue
        config._attn_implementation = "eager"
        model = transformers.AutoModel.from_config(config).float().eval()
        make_tiny.randomize(model, seed, torch.float16)
        tokens = np.random.default_rng(seed).integers(0, config.vocab_size, max(TEXTS)).tolist()
        states = [model(torch.tensor([tokens[:n]])).last_hidden_state[0].numpy() for n in TEXTS]
        stem = golden.FOLDER / f"encoder-{name}"
        weights = {key: weight.float().numpy() for key, weight in model.state_dict().items()}
        export_encoder.write(config, weights, stem.with_suffix(".gguf"), np.float16)
        stem.with_suffix(".json").write_text(json.dumps({"tokens": tokens}) + "\n")
        np.save(stem.with_suffix(".npy"), np.concatenate(states).astype(np.float32))
        print(f"{name}: {states[0].std():.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
