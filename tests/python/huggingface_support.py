"""Folders as Hugging Face has them: the tiny models of tests/goldens/hf, with a tokenizer made here."""

import json
import pathlib
import shutil
import struct

import tokenizers
from tokenizers import pre_tokenizers as pre

GOLDENS = pathlib.Path(__file__).resolve().parents[1] / "goldens"
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
         r"\s*[\r\n]+|\s+(?!\S)|\s+")
CHAT_TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


def byte_level_tokens(size):
    """The texts of the goldens' vocabulary: 256 bytes, one merge, then control tokens."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    plain = [letters[byte] for byte in range(256)] + ["th"]
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return plain, control + [f"<|reserved_{i}|>" for i in range(size - len(plain) - len(control))]


def write_tokenizer(folder, size):
    plain, control = byte_level_tokens(size)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(plain)}, [("t", "h")]))
    tokenizer.pre_tokenizer = pre.Sequence([
        pre.Split(tokenizers.Regex(QWEN2), "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens(control)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>"}, "chat_template": CHAT_TEMPLATE}))


def make_folder(target, name):
    """The folder of golden.TINY's `name`."""
    shutil.copytree(GOLDENS / "hf" / f"tiny-{name}", target)
    write_tokenizer(target, json.loads((target / "config.json").read_text())["vocab_size"])
    return target


def read_safetensors(path):
    """{name: (dtype, shape, bytes)}"""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length:]
    return {name: (t["dtype"], t["shape"], body[slice(*t["data_offsets"])]) for name, t in header.items()}


def write_safetensors(path, tensors):
    """From {name: (dtype, shape, bytes)}."""
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def shard(folder):
    """Turns the folder's one file into two shards and an index."""
    tensors = list(read_safetensors(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for i, part in enumerate([tensors[::2], tensors[1::2]]):
        name = f"model-{i + 1:05}-of-00002.safetensors"
        write_safetensors(folder / name, dict(part))
        weight_map |= {tensor: name for tensor, _ in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
