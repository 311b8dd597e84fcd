"""The classifiers of the exits, as `heads.safetensors` holds them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Union, overload

import numpy as np
import numpy.typing as npt

from .errors import InputError, unreadable
from .safetensors_file import SafetensorsFile

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ACTIVATIONS = ("tanh", "relu", "gelu")
LAYER_NORM_EPSILON = 1e-5
"""What is added to the variance under the root: PyTorch's default."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """`logits = W x + b`, the layout of `torch.nn.Linear`."""

    weight: Floats
    """[classes, width]"""
    bias: Floats
    """[classes]"""

    @property
    def width(self) -> int:
        """How many features it reads."""
        return int(self.weight.shape[1])

    @property
    def class_count(self) -> int:
        """How many classes it tells apart; 1 for a head that predicts a number."""
        return int(self.weight.shape[0])

    def logits(self, x: npt.ArrayLike) -> Floats:
        """The logits [rows, classes] of features [rows, width]; summed in Float64, rounded to Float32 once."""
        return _affine(_features(x, self.width), self._matrix, self.bias).astype(np.float32)

    @cached_property
    def _matrix(self) -> Doubles:
        return np.ascontiguousarray(self.weight.T, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class HiddenHead:
    """`logits = W2 activation(W1 norm(x) + b1) + b2`; `norm` is `torch.nn.LayerNorm`, or nothing."""

    hidden_weight: Floats
    """[hidden, width]"""
    hidden_bias: Floats
    """[hidden]"""
    activation: str
    """`tanh`, `relu` or `gelu`; gelu in the exact form with erf, not the approximation with tanh."""
    weight: Floats
    """[classes, hidden]"""
    bias: Floats
    """[classes]"""
    norm_weight: Floats | None = None
    """[width]; None where features are not normalised."""
    norm_bias: Floats | None = None
    """[width]"""

    @property
    def width(self) -> int:
        """How many features it reads."""
        return int(self.hidden_weight.shape[1])

    @property
    def class_count(self) -> int:
        """How many classes it tells apart; 1 for a head that predicts a number."""
        return int(self.weight.shape[0])

    def logits(self, x: npt.ArrayLike) -> Floats:
        """The logits [rows, classes] of features [rows, width]; all in Float64, rounded to Float32 once."""
        values = _features(x, self.width)
        if self.norm_weight is not None and self.norm_bias is not None:
            values = values - values.mean(axis=1, keepdims=True)
            variance = np.square(values).mean(axis=1, keepdims=True)
            values = values * (1 / np.sqrt(variance + LAYER_NORM_EPSILON))
            values = self.norm_weight * values + self.norm_bias
        hidden = _activated(_affine(values, self._hidden_matrix, self.hidden_bias), self.activation)
        return _affine(hidden, self._matrix, self.bias).astype(np.float32)

    @cached_property
    def _hidden_matrix(self) -> Doubles:
        return np.ascontiguousarray(self.hidden_weight.T, dtype=np.float64)

    @cached_property
    def _matrix(self) -> Doubles:
        return np.ascontiguousarray(self.weight.T, dtype=np.float64)


Head = Union[LinearHead, HiddenHead]


class Heads(Sequence[Head]):
    """The heads of all exits, in order."""

    def __init__(self, heads: Sequence[Head], file: str = "heads") -> None:
        if not heads:
            raise ValueError("one or more heads")
        self._heads = tuple(heads)
        self.file = file
        """The file they were read from, for messages."""

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Heads:
        """Reads a heads file; raises `InputError` for one of another form, or with a number that is not finite."""
        path = os.fspath(path)
        return Heads.parse(read(path), path)

    @staticmethod
    def parse(data: bytes, file: str = "heads") -> Heads:
        """Reads heads from the bytes of a file; `file` is its name in messages."""
        reader = _Reader(SafetensorsFile(data, file))
        heads: list[Head] = []
        while not heads or f"exit.{len(heads)}.weight" in reader.file:
            heads.append(reader.head(len(heads)))
        strangers = [name for name in reader.file.tensors if name not in reader.known]
        if strangers:
            raise InputError(
                "malformed",
                file,
                strangers[0],
                seen="a tensor that belongs to no head",
                expected=f"exit.<i>.weight and exit.<i>.bias for exits 0...{len(heads) - 1}, none left out",
                advice="A hidden layer has exit.<i>.hidden.weight and exit.<i>.hidden.bias too.",
            )
        return Heads(heads, file)

    def __len__(self) -> int:
        return len(self._heads)

    @overload
    def __getitem__(self, index: int) -> Head: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Head]: ...
    def __getitem__(self, index: int | slice) -> Head | Sequence[Head]:
        return self._heads[index]

    def __iter__(self) -> Iterator[Head]:
        return iter(self._heads)


def read(path: str) -> bytes:
    """All bytes of a heads file: hash and parameters are then of the same bytes, whatever happens to the file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, error, "the heads, a safetensors file") from None


def _features(x: npt.ArrayLike, width: int) -> Doubles:
    # Features are Float32 by contract: others are rounded first, so that all runtimes see the same ones.
    features = np.asarray(x, dtype=np.float32)
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(f"features of shape {list(features.shape)}; expected [rows, {width}], the width of the head")
    return features.astype(np.float64)


def _affine(x: Doubles, matrix: Doubles, bias: Floats) -> Doubles:
    product: Doubles = x @ matrix
    return product + bias


def _activated(sums: Doubles, activation: str) -> Doubles:
    if activation == "tanh":
        return np.tanh(sums)
    if activation == "relu":
        return np.maximum(sums, 0)
    # NumPy has no erfc; that of the C library keeps the digits of the tail at negative inputs. A series in NumPy that is
    # as exact is no faster.
    scaled = (-sums * math.sqrt(0.5)).ravel().tolist()
    complements = np.fromiter(map(math.erfc, scaled), dtype=np.float64, count=len(scaled)).reshape(sums.shape)
    gelu: Doubles = 0.5 * sums * complements
    return gelu


class _Reader:
    """Takes heads out of a file, and keeps the names of the tensors it used."""

    def __init__(self, file: SafetensorsFile) -> None:
        self.file = file
        self.known: set[str] = set()

    def head(self, exit_: int) -> Head:
        name = f"exit.{exit_}"
        if f"{name}.hidden.weight" not in self.file:
            return LinearHead(*self._layer(name, "classes", "width"))
        weight, bias = self._layer(name, "classes", "hidden")
        hidden_weight, hidden_bias = self._layer(f"{name}.hidden", "hidden", "width")
        if weight.shape[1] != hidden_weight.shape[0]:
            raise InputError(
                "mismatch",
                self.file.path,
                f"{name}.weight",
                seen=f"{weight.shape[1]} columns",
                expected=f"{hidden_weight.shape[0]}, the units of {name}.hidden.weight",
                advice="Write the heads again.",
            )
        norm: tuple[Floats | None, Floats | None] = (None, None)
        if f"{name}.norm.weight" in self.file or f"{name}.norm.bias" in self.file:
            width = int(hidden_weight.shape[1])
            norm = (
                self._vector(f"{name}.norm.weight", width, f"the features of {name}.hidden.weight"),
                self._vector(f"{name}.norm.bias", width, f"the features of {name}.hidden.weight"),
            )
        return HiddenHead(hidden_weight, hidden_bias, self._activation(exit_), weight, bias, *norm)

    def _activation(self, exit_: int) -> str:
        key = f"exit.{exit_}.activation"
        expected = f"one of {', '.join(ACTIVATIONS)}"
        name = self.file.metadata.get(key)
        if name is None:
            raise InputError(
                "missing",
                self.file.path,
                f"metadata '{key}'",
                seen="no such text",
                expected=f"{expected}, since exit {exit_} has a hidden layer",
                advice="Write the file again with what the hidden units do.",
            )
        if name not in ACTIVATIONS:
            raise InputError(
                "unsupported",
                self.file.path,
                f"metadata '{key}'",
                seen=f"'{name[:60]}'",
                expected=expected,
                advice="Write the file again with what the hidden units do.",
            )
        return name

    def _layer(self, name: str, outputs: str, inputs: str) -> tuple[Floats, Floats]:
        weight = self.file.tensor(f"{name}.weight")
        if len(weight.shape) != 2 or 0 in weight.shape:
            raise InputError(
                "malformed",
                self.file.path,
                weight.name,
                seen=f"shape {list(weight.shape)}",
                expected=f"[{outputs}, {inputs}], both at least 1",
                advice="Write the heads again, in the layout of torch.nn.Linear.",
            )
        bias = self._vector(f"{name}.bias", weight.shape[0], f"the {outputs} of {weight.name}")
        return self._finite(weight.name), bias

    def _vector(self, name: str, count: int, whose: str) -> Floats:
        tensor = self.file.tensor(name)
        if tensor.shape != (count,):
            raise InputError(
                "mismatch",
                self.file.path,
                name,
                seen=f"shape {list(tensor.shape)}",
                expected=f"[{count}], {whose}",
                advice="Write the heads again.",
            )
        return self._finite(name)

    def _finite(self, name: str) -> Floats:
        self.known.add(name)
        values = self.file.floats(name)
        wrong = np.flatnonzero(~np.isfinite(values))
        if wrong.size:
            raise InputError(
                "not-finite",
                self.file.path,
                name,
                seen=f"{values.flat[wrong[0]]} at element {wrong[0]}",
                expected="finite numbers",
                advice="Train the heads again.",
            )
        return values
