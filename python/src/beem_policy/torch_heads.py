"""The heads of a policy on torch, where the features are: one small multiplication, and only logits leave the device.

`Heads` computes the same on NumPy, with sums in Float64. Here they are in Float32, as in training; the last bits of a logit
may differ, and with them a decision whose score is that close to its threshold. Right after a layer has filled the caches
with its parameters, NumPy's way takes three times as long for one row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from .heads import LAYER_NORM_EPSILON, Head, LinearHead

TorchHead = Callable[[torch.Tensor], torch.Tensor]

_ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "gelu": functional.gelu}  # gelu: the exact form, with erf


def torch_head(head: Head, device: torch.device) -> TorchHead:
    """A function from features [rows, width] on `device` to logits [rows, classes], both Float32."""

    def tensor(values: object) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    weight, bias = tensor(head.weight), tensor(head.bias)
    if isinstance(head, LinearHead):
        return lambda features: functional.linear(features, weight, bias)
    hidden_weight, hidden_bias = tensor(head.hidden_weight), tensor(head.hidden_bias)
    activation = _ACTIVATIONS[head.activation]
    norm = None if head.norm_weight is None else (tensor(head.norm_weight), tensor(head.norm_bias))

    def logits(features: torch.Tensor) -> torch.Tensor:
        if norm is not None:
            features = functional.layer_norm(features, (features.shape[1],), *norm, eps=LAYER_NORM_EPSILON)
        return functional.linear(activation(functional.linear(features, hidden_weight, hidden_bias)), weight, bias)

    return logits
