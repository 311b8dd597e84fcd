"""The `split` tensor of a cache: drawn, or as a column of the data says."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .records import NOT_ASSIGNED, Record
from .train_draw import draw_train_groups, draw_train_rows

TRAIN = 0

Codes = npt.NDArray[np.uint8]


def drawn_splits(labels: Sequence[int], groups: Sequence[int] | None, fraction: float, seed: int) -> Codes:
    """0 for the rows drawn for training, 255 for the others."""
    if groups is None:
        is_train = draw_train_rows(labels, fraction, seed)
    else:
        is_train = draw_train_groups(labels, groups, fraction, seed)
    return np.where(is_train, TRAIN, NOT_ASSIGNED).astype(np.uint8)


def given_splits(records: Sequence[Record], groups: Sequence[int] | None, path: Path) -> Codes:
    """The splits of the data's own column; a group that is in two of them is an error."""
    splits = [NOT_ASSIGNED if record.split is None else record.split for record in records]
    if groups is not None:
        first: dict[int, int] = {}
        for row, group in enumerate(groups):
            other = first.setdefault(group, row)
            if splits[other] != splits[row]:
                raise InputError(
                    "mismatch",
                    os.fspath(path),
                    f"line {records[row].line}",
                    seen=f"another split than that of line {records[other].line}, of the same group",
                    expected="groups that are in one split each",
                    advice="Rows of a group depend on each other.",
                )
    return np.array(splits, np.uint8)


def check_classes(splits: Codes, labels: Sequence[int], classes: Sequence[str], path: Path, drawn: bool) -> None:
    """Where heads are to be trained, every class needs a row for that; a draw must leave it one besides."""
    is_train = splits == TRAIN
    if not is_train.any():
        return
    train = Counter(np.asarray(labels)[is_train].tolist())
    other = Counter(np.asarray(labels)[~is_train].tolist())
    for number, name in enumerate(classes):
        lacks_other = drawn and bool(other) and not other[number]
        if train[number] and not lacks_other:
            continue
        raise InputError(
            "out-of-range",
            os.fspath(path),
            f"class {name!r}",
            seen=f"{train[number] + other[number]} rows, {train[number]} of them to train",
            expected="one or more to train" + (", and one or more besides" if drawn and other else ""),
            advice="Give the class more rows, leave it out, or divide the rows otherwise.",
        )
