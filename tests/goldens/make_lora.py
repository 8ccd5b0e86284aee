"""Makes LoRA adapters of tiny models, as PEFT saves them, and log-probabilities of the adapted models.

    python3 tests/goldens/make_lora.py

For each NAME of golden.LORA, in tests/goldens/lora/NAME/: adapter_config.json, adapter_model.safetensors, and
log_probs.npy, float32 (tokens, vocab), for the tokens of the model's own golden.
"""

import json

import numpy as np
import peft
import safetensors.torch
import torch
import transformers

import golden
from make_tiny import CONFIGS, randomize


def main():
    torch.set_grad_enabled(False)
    for seed, (name, (base, options)) in enumerate(golden.LORA.items()):
        config = CONFIGS[base]
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        matrices = torch.float32 if base in golden.HIDDEN else torch.float16
        randomize(model, list(CONFIGS).index(base), matrices)
        model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options)).eval()
        generator = torch.Generator().manual_seed(seed)
        for parameter_name, weight in model.named_parameters():
            if "lora_" in parameter_name:
                weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[-1] ** 0.5)
        folder = golden.FOLDER / "lora" / name
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        tokens = json.loads((golden.FOLDER / f"tiny-{base}.json").read_text())["tokens"]
        log_probs = golden.log_softmax(model(torch.tensor([tokens])).logits[0].numpy())
        np.save(folder / "log_probs.npy", log_probs.astype(np.float32))
        change = np.abs(log_probs - np.load(golden.FOLDER / f"tiny-{base}.npy")).mean()
        count = len(safetensors.torch.load_file(folder / "adapter_model.safetensors"))
        print(f"{name}: {count} tensors, mean change {change:.2f}")


if __name__ == "__main__":
    main()
