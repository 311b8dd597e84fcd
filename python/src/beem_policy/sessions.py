"""Samples on their way through the exits: what serving code holds while it runs a network layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import rules
from .policy import Policy
from .rules import Booleans, Doubles, Floats, Integers, Said


@dataclass(frozen=True)
class ExitDecision:
    """Where a sample left, and with which answer."""

    exit: int
    label: int
    """The class; with numbers, how often neighbouring exits disagreed on the way."""
    score: float
    cost: float
    """Cumulative, up to that exit."""
    number: float | None = None
    """The number predicted there; None where exits tell classes apart."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """Where samples left, [samples] each."""

    exits: Integers
    labels: Integers
    scores: Doubles
    costs: Doubles
    numbers: Floats | None = None
    """What was predicted there; None where exits tell classes apart."""


class BatchSession:
    """A batch on its way: what the next exit says of the samples still running goes in, who leaves comes out.

    ```python
    session = BatchSession(policy, len(hidden))
    for layer, head in zip(layers, heads):
        hidden = layer(hidden)
        stops = session.observe_logits(head.logits(pooled(hidden)))
        hidden = hidden[~stops]
        if not session.active.size:
            break
    session.exits, session.labels
    ```

    Exits are observed in order, from exit 0 on, none left out; the rows given are those of `active`, in its order.
    """

    def __init__(self, policy: Policy, count: int) -> None:
        self.policy = policy
        self.active: Integers = np.arange(count, dtype=np.int64)
        """[active]: the rows still running."""
        self.exits: Integers = np.full(count, -1, dtype=np.int64)
        """[count]: the exit taken; -1 while a sample runs."""
        self.labels: Integers = np.full(count, -1, dtype=np.int64)
        """[count]: the label given there; -1 while a sample runs. With numbers: how often neighbours disagreed."""
        self.scores: Doubles = np.full(count, np.nan)
        """[count]: the score there; NaN while a sample runs."""
        self.costs: Doubles = np.full(count, np.nan)
        """[count]: the cumulative cost up to there; NaN while a sample runs."""
        self.numbers: Floats | None = None
        """[count]: the number predicted there; None where exits tell classes apart."""
        if policy.predicts_numbers:
            self.numbers = np.full(count, np.nan, dtype=np.float32)
        self.next_exit = 0
        """The exit that is observed next."""
        self._previous: Said | None = None

    def observe_logits(self, logits: npt.ArrayLike) -> Booleans:
        """Takes the logits [active, classes] of the next exit, as Float32, before any temperature; says who leaves.

        Under a policy for numbers they are the numbers, [active, 1].
        """
        values = np.asarray(logits, dtype=np.float32)
        shape = (len(self.active), len(self.policy.classes))
        if values.shape != shape:
            raise ValueError(
                f"logits of shape {list(values.shape)} at exit {self.next_exit}; "
                f"expected {list(shape)}: the rows in `active`, and the classes of {self.policy.file}"
            )
        if self.policy.predicts_numbers:
            return self.observe_numbers(values[:, 0])
        self._check_finite(values, "a logit")
        exit_ = self.policy.exits[self._exit()]
        labels, confidences = rules.predictions(values, exit_.temperature, self.policy.rule.confidence)
        return self._step(labels, confidences, None)

    def observe(self, labels: npt.ArrayLike, confidences: npt.ArrayLike | None = None) -> Booleans:
        """Takes labels and confidences [active] of the next exit; says who leaves.

        Confidences are what the policy's rule measures, after the temperature, and are rounded to Float32. Rules that
        ask for none (`patience`, `static`) do without.
        """
        given = np.asarray(labels)
        # An empty list is of Float64 in NumPy.
        if given.dtype.kind not in "iu" and given.size:
            raise ValueError(f"labels of type {given.dtype} at exit {self.next_exit}; expected integers")
        self._check_count(given, "labels")
        rounded: Floats | None = None
        if confidences is not None:
            rounded = np.asarray(confidences, dtype=np.float32)
            self._check_count(rounded, "confidences")
            self._check_finite(rounded, "a confidence")
        return self._step(given.astype(np.int64), rounded, None)

    def observe_numbers(self, values: npt.ArrayLike) -> Booleans:
        """Takes the numbers [active] that the next exit predicts, as Float32; says who leaves."""
        if self.policy.rule.tolerance is None:
            raise ValueError(
                f"numbers at exit {self.next_exit}; expected logits or labels: {self.policy.file} is for classes"
            )
        numbers = np.asarray(values, dtype=np.float32)
        self._check_count(numbers, "numbers")
        labels = rules.number_labels(numbers, self._previous, self.policy.rule.tolerance)
        return self._step(labels, None, numbers)

    @property
    def decisions(self) -> Decisions:
        """Where samples left; once all have."""
        if self.active.size:
            raise RuntimeError(f"{self.active.size} samples are still running, before exit {self.next_exit}")
        return Decisions(self.exits, self.labels, self.scores, self.costs, self.numbers)

    def _exit(self) -> int:
        if self.next_exit == len(self.policy.exits):
            raise RuntimeError(f"all samples have left: exit {self.next_exit - 1} is the last of {self.policy.file}")
        return self.next_exit

    def _check_count(self, values: npt.NDArray[np.generic], what: str) -> None:
        if values.shape != self.active.shape:
            raise ValueError(
                f"{what} of shape {list(values.shape)} at exit {self.next_exit}; "
                f"expected {list(self.active.shape)}, one for each row in `active`"
            )

    def _check_finite(self, values: Floats, what: str) -> None:
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise ValueError(
                f"{what} that is not finite at exit {self.next_exit}, sample {self.active[row]}; "
                "expected finite numbers"
            )

    def _step(self, labels: Integers, confidences: Floats | None, numbers: Floats | None) -> Booleans:
        exit_ = self._exit()
        scores = rules.scores(self.policy, exit_, labels, confidences, self._previous)
        stops = rules.releases(self.policy, exit_, scores)
        leaving = self.active[stops]
        self.exits[leaving] = exit_
        self.labels[leaving] = labels[stops]
        self.scores[leaving] = scores[stops]
        self.costs[leaving] = self.policy.exits[exit_].cost
        if self.numbers is not None and numbers is not None:
            self.numbers[leaving] = numbers[stops]
        stays = ~stops
        self.active = self.active[stays]
        self._previous = Said(labels, scores, numbers)[stays]
        self.next_exit = exit_ + 1
        return stops


class ExitSession:
    """One sample on its way through the exits.

    ```python
    session = ExitSession(policy)
    for layer, head in zip(layers, heads):
        hidden = layer(hidden)
        decision = session.observe_logits(head.logits(pooled(hidden)[None])[0])
        if decision:
            return policy.classes[decision.label]
    ```

    Every `observe` takes what the next exit says, from exit 0 on, and returns the decision to leave, or None to go on.
    """

    MOST_CLASSES = 64
    """Up to so many classes a row is computed in plain Python, which is faster than NumPy's calls on one row."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.next_exit = 0
        """The exit that is observed next."""
        self._previous: tuple[int, float] | None = None
        self._number: float | None = None
        self._left: int | None = None

    def observe(self, label: int, confidence: float | None = None) -> ExitDecision | None:
        """Takes a label and its confidence, as the policy's rule measures it; it is rounded to Float32."""
        self._check_running()
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
            seen = type(label).__name__
            raise ValueError(f"a label of type {seen} at exit {self.next_exit}; expected an integer")  # noqa: TRY004
        rounded: float | None = None
        if confidence is not None:
            rounded = float(np.float32(confidence))
            self._check_finite(rounded, "a confidence")
        return self._step(int(label), rounded, None)

    def observe_logits(self, logits: npt.ArrayLike) -> ExitDecision | None:
        """Takes logits [classes], as Float32, before any temperature."""
        self._check_running()
        values = np.asarray(logits, dtype=np.float32)
        if values.shape != (len(self.policy.classes),):
            raise ValueError(
                f"logits of shape {list(values.shape)} at exit {self.next_exit}; "
                f"expected [{len(self.policy.classes)}], the classes of {self.policy.file}"
            )
        row: list[float] = values.tolist()
        if self.policy.predicts_numbers:
            return self.observe_number(row[0])
        for value in row:
            self._check_finite(value, "a logit")
        temperature, measure = self.policy.exits[self.next_exit].temperature, self.policy.rule.confidence
        if len(row) <= self.MOST_CLASSES:
            return self._step(*rules.prediction(row, temperature, measure), None)
        labels, confidences = rules.predictions(values[None], temperature, measure)
        return self._step(int(labels[0]), float(confidences[0]), None)

    def observe_number(self, value: float) -> ExitDecision | None:
        """Takes a number, as Float32, under a policy for numbers."""
        self._check_running()
        tolerance = self.policy.rule.tolerance
        if tolerance is None:
            raise ValueError(
                f"a number at exit {self.next_exit}; expected logits or a label: {self.policy.file} is for classes"
            )
        number = float(np.float32(value))
        label = 0
        if self._previous is not None and self._number is not None:
            # A number that is not finite agrees with none.
            label = self._previous[0] + (0 if abs(number - self._number) <= tolerance else 1)
        return self._step(label, None, number)

    def _check_running(self) -> None:
        if self._left is not None:
            raise RuntimeError(f"the sample has left at exit {self._left} already")

    def _check_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise ValueError(f"{what} that is not finite at exit {self.next_exit}; expected finite numbers")

    def _step(self, label: int, confidence: float | None, number: float | None) -> ExitDecision | None:
        exit_ = self.policy.exits[self.next_exit]
        score = rules.score(self.policy, self.next_exit, label, confidence, self._previous)
        is_last = self.next_exit == len(self.policy.exits) - 1
        if is_last or (exit_.threshold is not None and score >= exit_.threshold):
            self._left = self.next_exit
            return ExitDecision(self.next_exit, label, score, exit_.cost, number)
        self._previous, self._number = (label, score), number
        self.next_exit += 1
        return None


def decide(policy: Policy, labels: npt.ArrayLike, confidences: npt.ArrayLike | None = None) -> Decisions:
    """Where samples leave, given labels and confidences [exits, samples] of all exits; see `BatchSession.observe`."""
    rows = np.asarray(labels)
    _check_exits(policy, rows, "labels", 2)
    certainties = None if confidences is None else np.asarray(confidences, dtype=np.float32)
    if certainties is not None and certainties.shape != rows.shape:
        raise ValueError(
            f"confidences of shape {list(certainties.shape)}; expected {list(rows.shape)}, that of the labels"
        )
    session = BatchSession(policy, rows.shape[1])
    for exit_ in range(len(policy.exits)):
        active = session.active
        session.observe(rows[exit_][active], None if certainties is None else certainties[exit_][active])
    return session.decisions


def decide_logits(policy: Policy, logits: npt.ArrayLike | Sequence[npt.ArrayLike]) -> Decisions:
    """Where samples leave, given the logits of all exits, [exits, samples, classes], before any temperature."""
    rows = np.asarray(logits, dtype=np.float32)
    _check_exits(policy, rows, "logits", 3)
    session = BatchSession(policy, rows.shape[1])
    for exit_ in range(len(policy.exits)):
        session.observe_logits(rows[exit_][session.active])
    return session.decisions


def decide_numbers(policy: Policy, values: npt.ArrayLike) -> Decisions:
    """Where samples leave, given the numbers [exits, samples] that all exits predict."""
    rows = np.asarray(values, dtype=np.float32)
    _check_exits(policy, rows, "numbers", 2)
    session = BatchSession(policy, rows.shape[1])
    for exit_ in range(len(policy.exits)):
        session.observe_numbers(rows[exit_][session.active])
    return session.decisions


def _check_exits(policy: Policy, rows: npt.NDArray[np.generic], what: str, dimensions: int) -> None:
    if rows.ndim != dimensions or rows.shape[0] != len(policy.exits):
        expected = "[exits, samples, classes]" if dimensions == 3 else "[exits, samples]"
        raise ValueError(
            f"{what} of shape {list(rows.shape)}; "
            f"expected {expected} with the {len(policy.exits)} exits of {policy.file}"
        )
