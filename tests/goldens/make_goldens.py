"""Makes the golden log-probabilities of a real model with Transformers, from the weights of its GGUF file.

    python3 tests/goldens/make_goldens.py MODEL.gguf tests/goldens/NAME.npz

Transformers dequantizes the file and runs it in float32 on the CPU. Nothing of Medlar is used. The packages it
needs are in tests/goldens/requirements.txt.
"""

import argparse
import pathlib

import gguf
import numpy as np
import torch
import transformers

import golden

GREEDY_TOKENS = 64


def load(path):
    """(model in float32, tokenizer) of a GGUF file."""
    folder, name = str(path.parent), path.name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=torch.float32, attn_implementation="eager"
    )
    check_weights(model, path)
    return model.eval(), tokenizer


def check_weights(model, path):
    """Fails unless the model runs exactly the dequantized weights of the file."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    embedding = tensors["token_embd.weight"]
    expected = gguf.dequantize(embedding.data, embedding.tensor_type)
    actual = model.get_input_embeddings().weight.numpy()
    assert actual.dtype == np.float32 and np.array_equal(actual, expected), "the weights differ from the file's"


def continue_greedily(model, tokens):
    """Appends GREEDY_TOKENS tokens, each the most likely one, and goes on past an end-of-text token."""
    tokens = list(tokens)
    step = model(torch.tensor([tokens]), use_cache=True)
    for _ in range(GREEDY_TOKENS):
        tokens.append(int(step.logits[0, -1].argmax()))
        step = model(torch.tensor([tokens[-1:]]), past_key_values=step.past_key_values, use_cache=True)
    return tokens


def make(model, tokenizer, name, text):
    prompt = tokenizer(text).input_ids
    tokens = continue_greedily(model, prompt)
    logits = model(torch.tensor([tokens])).logits[0].numpy()
    result = golden.make(name, tokens, len(prompt), logits)
    print(f"{name}: {len(prompt)} + {GREEDY_TOKENS} tokens, perplexity {np.exp(-result.next.mean()):.2f}, "
          f"smallest gap {result.gap.min():.4f}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    model, tokenizer = load(args.model)
    texts = sorted((golden.FOLDER / "prompts").glob("*.txt"))
    golden.save(args.out, [make(model, tokenizer, p.stem, p.read_text().rstrip("\n")) for p in texts])


if __name__ == "__main__":
    main()
