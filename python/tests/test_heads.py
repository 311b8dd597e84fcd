"""Heads files: logits as PyTorch gives them, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import REPOSITORY, safetensors_bytes

from beem_policy import Heads, HiddenHead, InputError, LinearHead

TORCH = REPOSITORY / "Tests" / "ExitHeadsTests" / "Resources"


def linear(exit_: int = 0, classes: int = 2, width: int = 3) -> dict[str, np.ndarray]:
    values = np.arange(classes * width, dtype=np.float32).reshape(classes, width)
    return {f"exit.{exit_}.weight": values, f"exit.{exit_}.bias": np.arange(classes, dtype=np.float32)}


def hidden(exit_: int = 0, norm: bool = False) -> dict[str, np.ndarray]:
    tensors = {
        f"exit.{exit_}.hidden.weight": np.ones((4, 3), np.float32),
        f"exit.{exit_}.hidden.bias": np.zeros(4, np.float32),
        f"exit.{exit_}.weight": np.ones((2, 4), np.float32),
        f"exit.{exit_}.bias": np.zeros(2, np.float32),
    }
    if norm:
        tensors |= {
            f"exit.{exit_}.norm.weight": np.ones(3, np.float32),
            f"exit.{exit_}.norm.bias": np.zeros(3, np.float32),
        }
    return tensors


def parse(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> Heads:
    return Heads.parse(safetensors_bytes(tensors, metadata), "heads.safetensors")


def test_logits_are_those_of_pytorch():
    """The golden file of the Swift tests; logits are correct but for one rounding to Float32 of a sum in Float64."""
    golden = json.loads((TORCH / "torch_heads.json").read_text())
    heads = Heads.load(TORCH / "torch_heads.safetensors")
    assert [type(head) for head in heads] == [LinearHead, HiddenHead, HiddenHead, HiddenHead]
    for head, features, logits in zip(heads, golden["features"], golden["doubleLogits"]):
        expected = np.array(logits)
        own = head.logits(np.array(features, dtype=np.float32))
        assert own.dtype == np.float32 and own.shape == expected.shape
        assert head.class_count == expected.shape[1]
        # Half a unit in the last place of Float32, and what sums in another order cost in Float64.
        assert (np.abs(own - expected) <= 2.0**-24 * (1 + 1e-6) * np.abs(expected) + 1e-12).all()


def test_a_linear_head_by_hand():
    (head,) = parse(linear())
    assert (head.width, head.class_count) == (3, 2)
    assert head.logits([[1, 0, 2]]).tolist() == [[4, 14]]
    assert head.logits(np.zeros((0, 3))).shape == (0, 2)
    with pytest.raises(ValueError, match=r"features of shape \[3\]; expected \[rows, 3\]"):
        head.logits([1, 0, 2])
    with pytest.raises(ValueError, match=r"features of shape \[1, 2\]; expected \[rows, 3\]"):
        head.logits([[1, 0]])


def test_the_tail_of_gelu_keeps_its_digits():
    tensors = {name: values[:1, :1] if values.ndim == 2 else values[:1] for name, values in hidden().items()}
    (head,) = parse(tensors, {"exit.0.activation": "gelu"})
    # -10 * Phi(-10), Phi(-10) = 7.619853024160527e-24.
    assert head.logits([[-10]])[0, 0] == pytest.approx(-7.619853024160527e-23, rel=1e-6)


def test_16_bit_heads_widen_exactly():
    """As in Swift: heads of F16 are read as the same numbers in Float32."""
    tensors = {name: values.astype(np.float16) for name, values in linear().items()}
    assert parse(tensors)[0].logits([[1, 0, 2]]).tolist() == [[4, 14]]


def without(tensors: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: values for key, values in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "activation", "message"),
    [
        ({}, None, "exit.0.weight: no tensor of this name among 0; expected the tensor 'exit.0.weight'"),
        (without(linear(), "exit.0.bias"), None, "exit.0.bias: no tensor of this name among 1"),
        (linear() | linear(2), None, "exit.2.weight: a tensor that belongs to no head; expected exit.<i>.weight"),
        (
            linear() | {"exit.0.wieght": np.zeros(1, np.float32)},
            None,
            "exit.0.wieght: a tensor that belongs to no head",
        ),
        (linear() | {"exit.0.bias": np.zeros(3, np.float32)}, None, r"exit.0.bias: shape \[3\]; expected \[2\]"),
        (
            linear() | {"exit.0.weight": np.zeros(2, np.float32)},
            None,
            r"exit.0.weight: shape \[2\]; expected \[classes, w",
        ),
        (linear() | {"exit.0.weight": np.zeros((2, 0), np.float32)}, None, r"exit.0.weight: shape \[2, 0\]"),
        (
            linear() | {"exit.0.bias": np.array([0, np.nan], np.float32)},
            None,
            "exit.0.bias: nan at element 1; expected fi",
        ),
        (
            linear() | {"exit.0.bias": np.array([0, 1], np.int32)},
            None,
            "exit.0.bias: elements of type I32; expected F32",
        ),
        (hidden(), None, "metadata 'exit.0.activation': no such text; expected one of tanh, relu, gelu, since exit 0"),
        (hidden(), "swish", "metadata 'exit.0.activation': 'swish'; expected one of tanh, relu, gelu"),
        (without(hidden(), "exit.0.hidden.bias"), "relu", "exit.0.hidden.bias: no tensor of this name"),
        (
            hidden() | {"exit.0.weight": np.ones((2, 5), np.float32)},
            "relu",
            "exit.0.weight: 5 columns; expected 4, the units of exit.0.hidden.weight",
        ),
        (without(hidden(norm=True), "exit.0.norm.bias"), "relu", "exit.0.norm.bias: no tensor of this name"),
        (
            hidden(norm=True) | {"exit.0.norm.bias": np.ones(4, np.float32)},
            "relu",
            r"exit.0.norm.bias: shape \[4\]; expected \[3\], the features of exit.0.hidden.weight",
        ),
    ],
)
def test_wrong_heads_are_refused_by_name(tensors, activation, message):
    with pytest.raises(InputError, match=message) as caught:
        parse(tensors, {"exit.0.activation": activation} if activation else None)
    assert caught.value.file == "heads.safetensors"
