"""Makes the scores that rerankers give pairs of texts: tests/goldens/rerank.json.

    python3 tests/goldens/make_rerank.py

Transformers runs the tiny models of make_tiny.py; nothing of Medlar is used. Two kinds of head:
  yes-no   qwen3: the rows of two tokens in the head over the vocabulary, and a prompt with both texts in it; the
           score is the probability of the first token against the second one
  number   qwen2: a classifier of one class on the last token; the two texts stand one after the other
The vocabulary's tokens are bytes, so that the texts have no "th" and the judge needs no tokenizer.
"""

import json
import re

import numpy as np
import torch
import transformers

import golden
import make_tiny

YES, NO = ord("y"), ord("n")
PROMPT = "<|im_start|>Is {document} an answer to {query}?<|im_end|>\n"
SPECIAL = {"<|endoftext|>": 257, "<|im_start|>": 258, "<|im_end|>": 259}
PAIRS = [
    ("where do pandas live", ["China", "in bamboo forests of Asia, mostly", "a panda is a bear", "{query} {document}"]),
    ("c", ["x", "c", "Caf\u00e9 \u2615"]),
]


def encode(text):
    """Byte-level tokens in the order of export_gguf's vocabulary: byte b is token b."""
    tokens = []
    for part in re.split("(" + "|".join(map(re.escape, SPECIAL)) + ")", text):
        tokens += [SPECIAL[part]] if part in SPECIAL else part.encode()
    return [int(token) for token in tokens]


def filled(query, document):
    return re.sub(r"\{query\}|\{document\}", lambda m: query if m[0] == "{query}" else document, PROMPT)


def main():
    torch.set_grad_enabled(False)
    seeds = {name: seed for seed, name in enumerate(make_tiny.CONFIGS)}
    models = {}
    for name in ("qwen3", "qwen2"):
        config = make_tiny.CONFIGS[name]
        config._attn_implementation = "eager"
        models[name] = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        make_tiny.randomize(models[name], seeds[name])
    head = models["qwen3"].get_output_embeddings().weight
    classifier = transformers.Qwen2ForSequenceClassification(
        transformers.Qwen2Config(**make_tiny.CONFIGS["qwen2"].to_dict() | {"num_labels": 1, "pad_token_id": None})
    ).eval()
    classifier.model.load_state_dict(models["qwen2"].model.state_dict())
    weight = torch.tensor(np.random.default_rng(7).normal(size=(1, classifier.config.hidden_size)) / 4)
    classifier.score.weight.copy_(weight.float())
    pairs = []
    for query, documents in PAIRS:
        for document in documents:
            logits = models["qwen3"](torch.tensor([encode(filled(query, document))])).logits[0, -1]
            yes_no = torch.softmax(logits[[YES, NO]], 0)[0]
            number = classifier(torch.tensor([encode(query + document)])).logits[0, 0]
            pairs.append({"query": query, "document": document, "yes_no": float(yes_no), "number": float(number)})
    result = {
        "prompt": PROMPT, "yes_no_head": head[[YES, NO]].tolist(), "number_head": weight.tolist(), "pairs": pairs,
    }
    (golden.FOLDER / "rerank.json").write_text(json.dumps(result, indent=1) + "\n")
    for pair in pairs:
        print(pair)


if __name__ == "__main__":
    main()
