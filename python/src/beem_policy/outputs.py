"""What exits said of many samples, from files: the input of `beem-policy decide`."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .errors import InputError, unreadable
from .policy import Policy
from .rules import Doubles, Floats, Integers
from .safetensors_file import SafetensorsFile
from .sessions import BatchSession, Decisions, decide

# What each measure of confidence is called in tensors and columns.
_NAMES = {"max-probability": "confidence", "margin": "margin", "entropy": "entropy"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def decide_file(policy: Policy, path: str | os.PathLike[str]) -> Decisions:
    """Where the samples of a file leave, in its order.

    - Safetensors: `features.<i>` for a policy with heads, which are loaded; otherwise `logits.<i>`, or `label.<i>` with
      what the rule's confidence measures: `confidence.<i>`, `margin.<i>` or `entropy.<i>` (in nats).
    - CSV and TSV in wide form, a row for each sample: `label_<i>`, and `confidence_<i>`, `margin_<i>` or `entropy_<i>`,
      i from 0 or 1. Labels are names of the policy's classes, or their numbers. Other columns are ignored.
    """
    path = os.fspath(path)
    if path.lower().endswith((".csv", ".tsv")):
        _refuse_heads(policy, path)
        return _decide_table(policy, _Table(path))
    file = SafetensorsFile.open(path)
    if policy.heads is not None:
        return _decide_features(policy, file)
    if "logits.0" in file:
        return _decide_logits(policy, file)
    return _decide_labels(policy, file)


def _refuse_heads(policy: Policy, path: str) -> None:
    if policy.heads is not None:
        raise InputError(
            "mismatch",
            path,
            seen="no features, but what exits said",
            expected=f"features for the heads of {policy.file}",
            advice="The policy decides with its own heads; outputs go with a policy calibrated from outputs.",
        )


def _decide_features(policy: Policy, file: SafetensorsFile) -> Decisions:
    if "features.0" not in file:
        _refuse_heads(policy, file.path)
    heads = policy.load_heads()
    places, count = _check_tensors(policy, file, "features")
    _check_classes(policy, file)
    for exit_, head in zip(places, heads):
        shape = file.tensor(f"features.{exit_}").shape
        if shape != (count, head.width):
            raise InputError(
                "mismatch",
                file.path,
                f"features.{exit_}",
                seen=f"shape {list(shape)}",
                expected=f"[{count}, {head.width}], as the heads of {policy.file} read",
                advice="Heads exported with --full-width fit the backbone, not a compressed cache.",
            )
    session = BatchSession(policy, count)
    for exit_, head in zip(places, heads):
        features = file.floats(f"features.{exit_}", session.active)
        _check_finite(features, file, f"features.{exit_}", session.active)
        session.observe_logits(head.logits(features))
    return session.decisions


def _decide_logits(policy: Policy, file: SafetensorsFile) -> Decisions:
    places, count = _check_tensors(policy, file, "logits")
    _check_classes(policy, file)
    session = BatchSession(policy, count)
    for exit_ in places:
        name = f"logits.{exit_}"
        shape = file.tensor(name).shape
        if shape != (count, len(policy.classes)):
            raise InputError(
                "mismatch",
                file.path,
                name,
                seen=f"shape {list(shape)}",
                expected=f"[{count}, {len(policy.classes)}], samples and the classes of {policy.file}",
                advice="Policy and data belong to different tasks.",
            )
        logits = file.floats(name, session.active)
        _check_finite(logits, file, name, session.active)
        session.observe_logits(logits)
    return session.decisions


def _decide_labels(policy: Policy, file: SafetensorsFile) -> Decisions:
    if "label.0" not in file:
        raise InputError(
            "missing",
            file.path,
            "label.0",
            seen="no tensors `label.<i>` or `logits.<i>`",
            expected=f"exit outputs, since {policy.file} has no heads",
            advice="Record what the exits say of these samples, or calibrate a policy with heads.",
        )
    exits, count = _check_tensors(policy, file, "label")
    _check_classes(policy, file)
    for exit_ in exits:
        _check_shape(file, f"label.{exit_}", count)
    labels = np.stack([file.integers(f"label.{exit_}") for exit_ in exits])
    wrong = np.argwhere((labels < 0) | (labels >= len(policy.classes)))
    if wrong.size:
        place, row = wrong[0]
        raise InputError(
            "out-of-range",
            file.path,
            f"label.{exits[place]}[{row}]",
            seen=str(labels[place, row]),
            expected=f"a label in 0..<{len(policy.classes)}, the classes of {policy.file}",
            advice="Policy and data belong to different tasks.",
        )
    name = _NAMES[policy.rule.confidence]
    confidences: Floats | None = None
    if f"{name}.0" in file:
        _check_tensors(policy, file, name)
        rows = []
        for exit_ in exits:
            _check_shape(file, f"{name}.{exit_}", count)
            rows.append(file.floats(f"{name}.{exit_}"))
            _check_finite(rows[-1], file, f"{name}.{exit_}", None)
        confidences = np.stack(rows)
    return _decide_recorded(policy, labels, confidences, file.path, f"{name}.<i>")


def _decide_table(policy: Policy, table: _Table) -> Decisions:
    columns = table.exits("label")
    columns = [columns[i] for i in _offered(policy, table.path, [f"exit {column}" for column in columns])]
    labels = _class_codes([table.texts(f"label_{i}") for i in columns], policy, table.path)
    name = _NAMES[policy.rule.confidence]
    confidences: Floats | None = None
    if any(f"{name}_{i}" in table.header for i in columns):
        confidences = np.stack([table.floats(f"{name}_{i}") for i in columns])
    return _decide_recorded(policy, labels, confidences, table.path, f"{name}_<i>")


def _decide_recorded(policy: Policy, labels: Integers, confidences: Floats | None, path: str, name: str) -> Decisions:
    if confidences is None and policy.rule.uses_confidence:
        raise InputError(
            "missing",
            path,
            name,
            seen="labels without it",
            expected=f"what the rule's confidence measures: {policy.rule.confidence}",
            advice="Record it for all exits, or record logits, which give all measures.",
        )
    temperatures = [exit_.temperature for exit_ in policy.exits if exit_.temperature != 1]
    if confidences is not None and temperatures:
        raise InputError(
            "unsupported",
            path,
            seen=f"confidences, and a temperature of {temperatures[0]} in {policy.file}",
            expected="logits",
            advice="A confidence cannot be rescaled; record logits instead.",
        )
    if confidences is not None and policy.rule.confidence == "entropy":
        confidences = _of_entropy(confidences, len(policy.classes))
    return decide(policy, labels, confidences)


def _of_entropy(entropies: Floats, classes: int) -> Floats:
    """1 - H / ln(classes) of entropies in nats; 1 where there is one class."""
    if classes == 1:
        return np.ones_like(entropies)
    most = float(np.finfo(np.float32).max)
    values: Doubles = 1 - entropies.astype(np.float64) / math.log(classes)
    return np.clip(values, -most, most).astype(np.float32)


def _offered(policy: Policy, path: str, names: Sequence[str]) -> Sequence[int]:
    """Which exits of a file the policy offers: all, or those with the policy's names, the last among them."""
    if len(names) == len(policy.exits):
        return range(len(names))
    wanted = [exit_.name for exit_ in policy.exits]
    places = [list(names).index(name) for name in wanted if name in names]
    if len(places) < len(wanted) or places != sorted(set(places)) or places[-1] != len(names) - 1:
        raise InputError(
            "mismatch",
            path,
            seen=f"{len(names)} exits, {', '.join(names)}",
            expected=f"{len(wanted)}, {', '.join(wanted)}, as in {policy.file}, or more of which these are some and the last",
            advice="Policy and data belong to different networks.",
        )
    return places


def _exit_names(file: SafetensorsFile, count: int) -> list[str]:
    """What the file calls its exits, as the Swift library has it."""
    try:
        names = json.loads(file.metadata.get("exits", ""))
    except ValueError:
        names = None
    if isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names):
        return names
    return [f"exit {index}" for index in range(count)]


def _check_tensors(policy: Policy, file: SafetensorsFile, prefix: str) -> tuple[Sequence[int], int]:
    """Checks that there is a tensor for each exit of the policy; their numbers, and how many samples the first has."""
    tensors = file.numbered(prefix)
    places = _offered(policy, f"{file.path}: {prefix}.<i>", _exit_names(file, len(tensors)))
    first = tensors[places[0]]
    if not first.shape or first.shape[0] == 0:
        raise InputError(
            "mismatch",
            file.path,
            first.name,
            seen=f"shape {list(first.shape)}",
            expected="a row for each sample, at least 1",
            advice="Write the file again.",
        )
    return places, first.shape[0]


def _check_shape(file: SafetensorsFile, name: str, count: int) -> None:
    shape = file.tensor(name).shape
    if shape != (count,):
        raise InputError(
            "mismatch",
            file.path,
            name,
            seen=f"shape {list(shape)}",
            expected=f"[{count}], one for each sample",
            advice="Write the file again.",
        )


def _check_classes(policy: Policy, file: SafetensorsFile) -> None:
    text = file.metadata.get("classes")
    if text is None or policy.predicts_numbers:
        return
    try:
        classes = json.loads(text)
    except ValueError:
        classes = None
    if classes != list(policy.classes):
        raise InputError(
            "mismatch",
            file.path,
            "metadata 'classes'",
            seen=text[:200],
            expected=f"{json.dumps(list(policy.classes))}, as in {policy.file}",
            advice="Policy and data belong to different tasks.",
        )


def _check_finite(values: Floats, file: SafetensorsFile, name: str, rows: Integers | None) -> None:
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise InputError(
            "not-finite",
            file.path,
            f"{name}, row {row if rows is None else rows[row]}",
            seen="NaN or infinity",
            expected="finite numbers",
            advice="Make the file again, or leave the sample out.",
        )


def _whole_number(text: str) -> int | None:
    """The whole number that a text is, `3.0` among them."""
    if not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text)
    return int(value) if abs(value) <= 2**31 and value.is_integer() else None


def _class_codes(rows: list[list[str]], policy: Policy, path: str) -> Integers:
    """[exits, samples]: labels as numbers, by the rules of the Swift library.

    Where all texts are whole numbers, `3` and `3.0` are the same class; where no class of the policy has a number for a
    name, they are places in its list, from 0.
    """
    texts = {text for row in rows for text in row}
    numbers = {text: _whole_number(text) for text in texts}
    are_numbers = all(number is not None for number in numbers.values())
    called = {text: str(numbers[text]) if are_numbers else text for text in texts}
    places = {name: place for place, name in enumerate(policy.classes)}
    if are_numbers:
        values = [_whole_number(name) for name in policy.classes]
        are_places = all(value is None for value in values)
        for place, value in enumerate(values):
            if are_places or value is not None:
                places.setdefault(str(place if are_places else value), place)
    strangers = sorted(name for name in called.values() if name not in places)
    if strangers:
        raise InputError(
            "out-of-range",
            path,
            "labels",
            seen=f"'{strangers[0][:40]}'",
            expected=f"one of the {len(policy.classes)} classes {', '.join(policy.classes[:20])}",
            advice="Policy and data belong to different tasks.",
        )
    codes = {text: places[name] for text, name in called.items()}
    return np.array([[codes[text] for text in row] for row in rows], dtype=np.int64)


class _Table:
    """A CSV or TSV file with a header, as texts."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                delimiter = "\t" if path.lower().endswith(".tsv") else ","
                rows = list(csv.reader(file, delimiter=delimiter, strict=True))
        except OSError as error:
            raise unreadable(path, error, "a table in CSV or TSV") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(
                "malformed",
                path,
                seen=f"text that cannot be parsed ({error})",
                expected="a table in CSV or TSV, UTF-8",
                advice="A quote inside a quoted text is written twice.",
            ) from None
        while rows and rows[-1] in ([], [""]):
            rows.pop()
        if len(rows) < 2:
            raise InputError(
                "malformed",
                path,
                seen="a header and no rows" if rows else "an empty file",
                expected="a header and rows",
                advice="Write a row for each sample.",
            )
        self.header = rows[0]
        self._rows = rows[1:]
        for row, texts in enumerate(self._rows):
            if len(texts) != len(self.header):
                raise InputError(
                    "malformed",
                    path,
                    f"row {row + 1}",
                    seen=f"{len(texts)} texts",
                    expected=f"{len(self.header)}, as many as the header has",
                    advice="Is the delimiter the right one?",
                )

    def exits(self, name: str) -> list[int]:
        """The numbers of the exits: all for which there is a column, one after the other."""
        pattern = re.compile(rf"{name}_(0|[1-9]\d*)", re.ASCII)
        found = sorted({int(match[1]) for match in map(pattern.fullmatch, self.header) if match})
        if not found:
            raise InputError(
                "missing",
                self.path,
                f"column '{name}_<i>'",
                seen="no column of that pattern",
                expected=f"{name}_0, {name}_1, ..., or counted from 1: a row for each sample, a column for each exit",
                advice=f"The columns are {', '.join(self.header[:20])}; `beem apply --recipe` maps other names.",
            )
        for before, after in zip(found, found[1:]):
            if after != before + 1:
                raise self._no_column(f"{name}_{before + 1}", f"a column for each exit from {found[0]} to {found[-1]}")
        return found

    def texts(self, column: str) -> list[str]:
        """[rows]: the texts of a column; none is empty."""
        place = self._place(column)
        texts = [row[place] for row in self._rows]
        if "" in texts:
            raise InputError(
                "missing",
                self.path,
                f"row {texts.index('') + 1}, column '{column}'",
                seen="nothing",
                expected="a label",
                advice="Leave samples without a label out.",
            )
        return texts

    def floats(self, column: str) -> Floats:
        """[rows]: the numbers of a column, rounded to Float32."""
        place = self._place(column)
        values: npt.NDArray[np.float64] = np.empty(len(self._rows))
        for row, texts in enumerate(self._rows):
            text = texts[place]
            number = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
            if not abs(number) <= float(np.finfo(np.float32).max):
                raise InputError(
                    "malformed",
                    self.path,
                    f"row {row + 1}, column '{column}'",
                    seen=f"'{text[:40]}'" if text else "nothing",
                    expected="a finite number of 32 bits",
                    advice="Leave samples without it out.",
                )
            values[row] = number
        return values.astype(np.float32)

    def _place(self, column: str) -> int:
        count = self.header.count(column)
        if count == 0:
            raise self._no_column(column, f"one of {', '.join(self.header[:20])}")
        if count > 1:
            raise InputError(
                "malformed",
                self.path,
                f"column '{column}'",
                seen=f"{count} columns of that name",
                expected="one",
                advice="Leave the others out.",
            )
        return self.header.index(column)

    def _no_column(self, column: str, expected: str) -> InputError:
        return InputError(
            "missing",
            self.path,
            f"column '{column}'",
            seen="no such column",
            expected=expected,
            advice="Record all exits of all samples.",
        )
