"""What makes training on a few CPU cores bearable."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import torch
from torch import Tensor, nn

# glibc's numbers for mallopt.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_memory() -> None:
    """Have glibc keep freed memory instead of giving it back after every large tensor.

    Else half of the time goes into clearing the same pages again and again. Elsewhere than on Linux nothing happens.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    for parameter in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
        mallopt(parameter, (1 << 31) - 1)


class ByteDropout(nn.Module):
    """Dropout that draws a byte an element, with a probability rounded to 1/256.

    PyTorch's own takes a tenth of a training step for its random numbers on a CPU. All modules of a model draw from one
    generator, whose state belongs into checkpoints.
    """

    def __init__(self, probability: float, generator: np.random.Generator) -> None:
        super().__init__()
        self.dropped = round(probability * 256)
        self.generator = generator

    def forward(self, rows: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return rows
        drawn = np.frombuffer(self.generator.bytes(rows.numel()), dtype=np.uint8)
        kept = torch.from_numpy(drawn >= self.dropped).view(rows.shape)
        return rows * kept.to(rows.dtype).mul_(256 / (256 - self.dropped))
