"""What several tests need: files written by hand, and the `beem` command."""

from __future__ import annotations

import json
import os
import pathlib
import struct
import subprocess
from typing import Any

import numpy as np
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(__file__).resolve().parent / "data"
TYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "int64": "I64", "uint8": "U8"}


def safetensors_bytes(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file, made without the code under test."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, values in tensors.items():
        values = np.ascontiguousarray(values)
        begin = len(data)
        data += values.tobytes()
        header[name] = {
            "dtype": TYPES[str(values.dtype)],
            "shape": list(values.shape),
            "data_offsets": [begin, len(data)],
        }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def read_safetensors(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata, straight from the description of the format; BF16 comes as raw bits."""
    types = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "U8": "u1"}
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[8 + length + begin : 8 + length + end], types[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(content) - 8 - length
    return tensors, metadata


def policy_value(exits: int = 3, **changes: Any) -> dict[str, Any]:
    """A small valid policy, as JSON has it."""
    policy = {
        "format": "beem-policy",
        "version": 1,
        "name": "example",
        "classes": ["no", "yes"],
        "rule": {
            "kind": "beem",
            "weights": "accuracy",
            "memory": 1,
            "confidence": "max-probability",
            "restart": "current",
        },
        "exits": [
            {"index": i, "name": f"layer {i + 1}", "cost": i + 1, "weight": 0.75, "temperature": 1, "threshold": None}
            for i in range(exits)
        ],
        "heads": None,
        "certificate": None,
        "test": None,
        "provenance": {"recipe": "r", "features": {"sha256": "f"}, "seed": 7, "tool": "beem"},
    }
    policy.update(changes)
    return policy


def find_beem() -> str | None:
    """The command that decisions are held against: the one `BEEM` names, or one that was built in the repository."""
    named = os.environ.get("BEEM")
    if named:
        return named
    for folder in (".build", ".build-test"):
        path = REPOSITORY / folder / "release" / "beem"
        if os.access(path, os.X_OK):
            return str(path)
    return None


needs_beem = pytest.mark.skipif(find_beem() is None, reason="no `beem`: set BEEM, or build it with `make build`")


def beem(*arguments: str | os.PathLike[str]) -> str:
    """What `beem` writes to standard output."""
    command = find_beem()
    assert command is not None
    result = subprocess.run([command, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def tiny_bert(folder: pathlib.Path) -> pathlib.Path:
    """A BERT of 3 layers and width 8 with random weights, and a tokenizer of five words; needs torch and transformers."""
    import torch
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "not", "a"]
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    vocabulary = {word: index for index, word in enumerate(words)}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=16).save_pretrained(folder)
    return folder
