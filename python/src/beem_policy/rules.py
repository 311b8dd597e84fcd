"""What the exits say, and the score that is made of it: the arithmetic of the rule, step by step as in Swift.

1. Logits are Float32. The label is the first of the largest.
2. The softmax is computed in Float64 from logits divided by the temperature, as 1 over the sum of exp(z_k - z_label).
3. The confidence is rounded to Float32, once, before anything is done with it.
4. S_i = (m * S_{i-1}) + (w_i * C_i) in Float64, every operation rounded by itself, exits in order. NumPy has no fused
   multiply-add across two calls, so two calls are what it takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .policy import Policy

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def predictions(logits: Floats, temperature: float = 1.0, measure: str = "max-probability") -> tuple[Integers, Floats]:
    """Labels and confidences [rows] of finite logits [rows, classes], at least one class."""
    labels = logits.argmax(axis=1)
    scaled = logits.astype(np.float64) / temperature
    # The label's own: dividing by a positive temperature keeps the order.
    top = scaled.max(axis=1, keepdims=True)
    exponentials = np.exp(scaled - top)
    total = _sum(exponentials)
    if measure == "max-probability":
        return labels, (1 / total).astype(np.float32)
    count = logits.shape[1]
    if measure == "margin":
        np.put_along_axis(scaled, labels[:, None], -np.inf, axis=1)
        second = scaled.max(axis=1)
        return labels, ((1 - np.exp(second - top[:, 0])) / total).astype(np.float32)
    if count == 1:
        return labels, np.ones(len(labels), dtype=np.float32)
    # H = ln(sum) - sum p_k (z_k - top), with p_k = e_k / sum. Both logarithms are of the C library, as in Swift: for
    # equal logits they cancel to the bit.
    entropy = _log(total) - _sum(exponentials * (scaled - top)) / total
    return labels, (1 - entropy / math.log(count)).astype(np.float32)


def prediction(logits: list[float], temperature: float = 1.0, measure: str = "max-probability") -> tuple[int, float]:
    """`predictions` of one row, in plain Python: for a few classes NumPy's calls take longer than the arithmetic.

    The exponential is the C library's, as in Swift; NumPy's own may differ in the last bit of Float64, which rounding to
    Float32 nearly always takes away. All else is the same operation by operation.
    """
    label = logits.index(max(logits))
    scaled = [value / temperature for value in logits]
    top = scaled[label]
    shifted = [value - top for value in scaled]
    exponentials = [math.exp(value) for value in shifted]
    total = 0.0
    for value in exponentials:
        total += value
    if measure == "max-probability":
        return label, _rounded(1 / total)
    if measure == "margin":
        others = [value for index, value in enumerate(shifted) if index != label]
        return label, _rounded((1 - (math.exp(max(others)) if others else 0.0)) / total)
    if len(logits) == 1:
        return label, 1.0
    weighted = 0.0
    for exponential, value in zip(exponentials, shifted):
        weighted += exponential * value
    entropy = math.log(total) - weighted / total
    return label, _rounded(1 - entropy / math.log(len(logits)))


def _rounded(value: float) -> float:
    return float(np.float32(value))


def _sum(rows: Doubles) -> Doubles:
    # np.sum adds in pairs; the contract is one class after the other.
    sums: Doubles = np.add.accumulate(rows, axis=1)[:, -1]
    return sums


def _log(values: Doubles) -> Doubles:
    return np.fromiter(map(math.log, values.tolist()), dtype=np.float64, count=len(values))


@dataclass
class Said:
    """What the exit before said of the rows at hand: all that the next exit's score needs."""

    labels: Integers
    scores: Doubles
    numbers: Floats | None = None

    def __getitem__(self, rows: Booleans) -> Said:
        return Said(self.labels[rows], self.scores[rows], None if self.numbers is None else self.numbers[rows])


def scores(policy: Policy, exit_: int, labels: Integers, confidences: Floats | None, previous: Said | None) -> Doubles:
    """The scores [rows] of what an exit says; `previous` is None at exit 0. They do not depend on thresholds."""
    rule = policy.rule
    if rule.kind == "static":
        return np.full(len(labels), float(exit_))
    if rule.kind == "patience":
        if previous is None:
            return np.zeros(len(labels))
        return np.where(labels == previous.labels, previous.scores + 1, 0.0)
    if confidences is None:
        raise ValueError(f"the rule `{rule.kind}` of {policy.file} needs confidences; labels alone do not do")
    own = confidences.astype(np.float64)
    if rule.kind != "beem":
        return own
    own = policy.exits[exit_].weight * own
    if previous is None:
        return own
    kept = rule.memory * previous.scores
    restarted = own if rule.restart == "current" else np.zeros_like(own)
    return np.where(labels == previous.labels, kept + own, restarted)


def score(
    policy: Policy, exit_: int, label: int, confidence: float | None, previous: tuple[int, float] | None
) -> float:
    """`scores` of one row, in plain Python; `previous` has the label and the score of the exit before."""
    rule = policy.rule
    if rule.kind == "static":
        return float(exit_)
    if rule.kind == "patience":
        return previous[1] + 1 if previous is not None and label == previous[0] else 0.0
    if confidence is None:
        raise ValueError(f"the rule `{rule.kind}` of {policy.file} needs confidences; labels alone do not do")
    if rule.kind != "beem":
        return confidence
    own = policy.exits[exit_].weight * confidence
    if previous is None:
        return own
    if label == previous[0]:
        return rule.memory * previous[1] + own
    return own if rule.restart == "current" else 0.0


def number_labels(values: Floats, previous: Said | None, tolerance: float) -> Integers:
    """Labels for numbers that are equal exactly when neighbouring exits agree: that of the exit before, or the next."""
    if previous is None or previous.numbers is None:
        return np.zeros(len(values), dtype=np.int64)
    with np.errstate(invalid="ignore"):
        agree = np.abs(values.astype(np.float64) - previous.numbers.astype(np.float64)) <= tolerance
    return np.where(agree, previous.labels, previous.labels + 1)


def releases(policy: Policy, exit_: int, scores: Doubles) -> Booleans:
    """Which samples leave at an exit: all at the last, none where there is no threshold."""
    if exit_ == len(policy.exits) - 1:
        return np.ones(len(scores), dtype=np.bool_)
    threshold = policy.exits[exit_].threshold
    if threshold is None:
        return np.zeros(len(scores), dtype=np.bool_)
    released: Booleans = scores >= threshold
    return released
