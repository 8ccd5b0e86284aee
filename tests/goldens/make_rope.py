"""Makes tests/goldens/rope.txt: rotary frequencies and magnitudes as Transformers computes them.

    python3 tests/goldens/make_rope.py > tests/goldens/rope.txt

One case a line: scaling dim theta factor original_context magnitude inv_freq...
"""

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

CASES = [
    ("linear", 64, 10000.0, 8.0, 4096),
    ("linear", 128, 1000000.0, 2.5, 32768),
    ("yarn", 128, 1000000.0, 4.0, 32768),
    ("yarn", 64, 10000.0, 32.0, 4096),
    ("yarn", 96, 150000.0, 40.0, 4096),
]

for kind, dim, theta, factor, context in CASES:
    parameters = {"rope_type": kind, "rope_theta": theta, "factor": factor}
    if kind == "yarn":
        parameters["original_max_position_embeddings"] = context
    config = LlamaConfig(
        hidden_size=dim * 2,
        num_attention_heads=2,
        head_dim=dim,
        max_position_embeddings=int(context * factor),
        rope_parameters=parameters,
    )
    inv_freq, magnitude = ROPE_INIT_FUNCTIONS[kind](config, device="cpu")
    numbers = " ".join(f"{x:.9g}" for x in inv_freq.tolist())
    print(kind, dim, theta, factor, context, f"{magnitude:.9g}", numbers)
