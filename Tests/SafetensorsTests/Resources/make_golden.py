"""Writes golden.safetensors with the format's own library: every element type that the toolkit reads.

    pip install safetensors==0.8.0 torch && python make_golden.py

GoldenFileTests.swift holds the values.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

INFINITY = float("inf")

tensors = {
    "f32": torch.tensor([[0.5, -1.25, 3.0], [1e-40, -INFINITY, 65504.0]], dtype=torch.float32),
    "f16": torch.tensor([[0.5, -1.25], [5.960464477539063e-08, 65504.0], [-INFINITY, -0.0]], dtype=torch.float16),
    "bf16": torch.tensor([1.0, -3.140625, 1e38], dtype=torch.bfloat16),
    "i32": torch.tensor([-(2**31), -1, 0, 2**31 - 1], dtype=torch.int32),
    "i64": torch.tensor([[-5], [7]], dtype=torch.int64),
    "u8": torch.tensor([0, 1, 2, 3, 255], dtype=torch.uint8),
    "scalar": torch.tensor(2.5, dtype=torch.float32),
    "empty": torch.zeros((0, 4), dtype=torch.float32),
}
save_file(
    tensors,
    Path(__file__).with_name("golden.safetensors"),
    metadata={"classes": '["bad", "good"]', "source": "Büchner \u2014 \"quoted\"\n\\"},
)
