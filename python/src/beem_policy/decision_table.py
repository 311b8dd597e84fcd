"""Decisions as `beem apply` writes them, to the same bytes."""

from __future__ import annotations

import math

import numpy as np

from .sessions import Decisions


def csv(decisions: Decisions) -> str:
    """A header, and a line `sample,exit,label,score,cost` for each sample; the label is the class's number."""
    lines = ["sample,exit,label,score,cost\n"]
    if decisions.numbers is None:
        labels = [str(label) for label in decisions.labels.tolist()]
    else:
        labels = [float_text(number) for number in decisions.numbers]
    rows = zip(decisions.exits.tolist(), labels, decisions.scores.tolist(), decisions.costs.tolist())
    for sample, (exit_, label, score, cost) in enumerate(rows):
        lines.append(f"{sample},{exit_},{label},{double_text(score)},{double_text(cost)}\n")
    return "".join(lines)


def double_text(value: float) -> str:
    """The shortest text that reads back as the same Float64, in the form that Swift gives it.

    It is Python's own, but that Swift has an exponent from above 2^53 on, Python from 1e16 on.
    """
    if 2.0**53 < abs(value) < 1e16:
        digits = repr(value).replace(".0", "").rstrip("0")
        sign, digits = ("-", digits[1:]) if value < 0 else ("", digits)
        return f"{sign}{digits[0]}.{digits[1:]}e+15"
    return repr(value)


def float_text(value: np.float32) -> str:
    """The shortest text that reads back as the same Float32, in the form that Swift gives it."""
    size = abs(float(value))
    if not math.isfinite(size):
        return repr(float(value))
    text = np.format_float_scientific(value, unique=True, trim="-", exp_digits=2)
    # By the exponent of the text: the Float32 next to 1e-4 is a little less than that.
    if size > 2.0**24 or int(text.partition("e")[2]) < -4:
        return text
    return np.format_float_positional(value, unique=True, trim="0")
