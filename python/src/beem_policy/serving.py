"""Rows on their way through an encoder that stops early: what torch and onnxruntime have in common. On NumPy alone.

`EarlyExit` holds the loop: batches go from exit to exit, a `BatchSession` says who leaves, survivors are regrouped. How a
batch gets to the next exit is the business of `torch_encoder.py` and `onnx_encoder.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Optional, TypeVar

import numpy as np
import numpy.typing as npt

from .policy import Policy
from .sessions import BatchSession, ExitDecision, ExitSession

Integers = npt.NDArray[np.int64]
OnExit = Optional[Callable[[int, int], None]]


class EncoderError(ValueError):
    """The encoder, the policy, the heads or the inputs do not go together; the text says what was seen and expected."""


# --- what comes out -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EarlyExitResult:
    """Where each row left, in the order of the inputs.

    - labels: [rows], the number of the class; its name is `policy.classes[label]`.
    - exits: [rows], the exit taken, from 0.
    - scores: [rows], the score at that exit.
    - costs: [rows], the policy's cost of that exit.
    - numbers: [rows], what that exit predicts, where exits predict numbers; labels are then of no use. None otherwise.
    """

    labels: np.ndarray
    exits: np.ndarray
    scores: np.ndarray
    costs: np.ndarray
    numbers: np.ndarray | None = None


@dataclass
class ExitStatistics:
    """How many rows took which exit since the encoder was made, or since `clear`."""

    costs: np.ndarray
    full_cost: float
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.counts = np.zeros(len(self.costs), np.int64)

    def add(self, exits: np.ndarray) -> None:
        self.counts += np.bincount(exits, minlength=len(self.costs))

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def mean_cost(self) -> float:
        """In the policy's unit; NaN before the first row."""
        return float(self.counts @ self.costs / self.rows) if self.rows else float("nan")

    @property
    def speed_up(self) -> float:
        """The cost without early exit over the mean cost: what the policy predicts, not what a clock says."""
        return self.full_cost / self.mean_cost


# --- rows that run together -----------------------------------------------------------------------------------------


class Batch(ABC):
    """Rows that run together, at some exit."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def keep(self: BatchT, rows: Integers) -> BatchT:
        """These rows only, and no more places than the longest of them has tokens."""

    @abstractmethod
    def joined(self: BatchT, others: Sequence[BatchT]) -> BatchT:
        """These rows, then those of the others (one or more), padded on the right to the longest."""


BatchT = TypeVar("BatchT", bound=Batch)


def regrouped(batches: Sequence[BatchT], is_kept: npt.NDArray[np.bool_], size: int) -> list[BatchT]:
    """The rows that are kept, in their order, in batches of `size`; only the last may be smaller."""
    groups: list[list[BatchT]] = [[]]
    room = size
    start = 0
    for batch in batches:
        count = batch.count
        rows = np.flatnonzero(is_kept[start : start + count])
        start += count
        while len(rows):
            if room == 0:
                groups.append([])
                room = size
            taken, rows = rows[:room], rows[room:]
            room -= len(taken)
            groups[-1].append(batch if len(taken) == count else batch.keep(taken))
    return [group[0] if len(group) == 1 else group[0].joined(group[1:]) for group in groups if group]


# --- the loop -------------------------------------------------------------------------------------------------------


class EarlyExit(ABC, Generic[BatchT]):
    """An encoder that stops, row by row, where its policy says.

    - policy: where to leave.
    - inputs: what the encoder takes; the first is the one that cannot be missing.
    - keeps_statistics: whether `statistics` counts the exits taken.
    """

    def __init__(self, policy: Policy, inputs: Sequence[str], keeps_statistics: bool) -> None:
        self.policy = policy
        self.inputs = tuple(inputs)
        self.statistics = (
            ExitStatistics(np.array(policy.costs, np.float64), policy.full_cost) if keeps_statistics else None
        )

    def __call__(
        self, inputs: Mapping[str, Any], batch_size: int | None = None, on_exit: OnExit = None
    ) -> EarlyExitResult:
        """Runs rows until all have left.

        - inputs: what the tokenizer gives for texts, padded (`input_ids`, `attention_mask` and, of some, `token_type_ids`),
          or `pixel_values`; [rows, ...].
        - batch_size: how many rows run together. None: all of them, and the batch shrinks as rows leave. With more rows
          than that, rows of like length run together, every layer runs for all rows before the next one, and the
          survivors of every exit are regrouped to full batches: the more rows are given at once, the fuller they stay.
        - on_exit: called after each exit with its number and how many rows got there.

        Raises `EncoderError` for inputs that this encoder does not take.
        """
        inputs, mask, rows = self._checked(inputs)
        if batch_size is not None and batch_size < 1:
            raise EncoderError(f"batch_size: saw {batch_size}, expected a number from 1")
        if rows == 1:
            return self._one(inputs, mask, on_exit)
        size = max(rows, 1) if batch_size is None else batch_size
        session = BatchSession(self.policy, rows)
        order = None
        if mask is not None and rows > size:
            order = np.argsort(self._lengths(mask), kind="stable")
            inputs = {name: self._taken(values, order) for name, values in inputs.items()}
            mask = self._taken(mask, order)
        batches = [
            self._started({name: values[start : start + size] for name, values in inputs.items()},
                          None if mask is None else mask[start : start + size])
            for start in range(0, rows, size)
        ]  # fmt: skip
        for exit_index in range(len(self.policy.exits) if rows else 0):
            stops = session.observe_logits(self._at_exit(exit_index, batches))
            if on_exit is not None:
                on_exit(exit_index, len(stops))
            remaining = len(session.active)
            if remaining == 0:
                break
            if remaining < len(stops):
                batches = regrouped(batches, ~stops, size)
        return self._result(session, order)

    def _one(self, inputs: dict[str, Any], mask: Any, on_exit: OnExit) -> EarlyExitResult:
        """One row, with a session for one: what an exit adds to a small layer is then a matter of microseconds."""
        session = ExitSession(self.policy)
        batches = [self._started(inputs, mask)]
        decision: ExitDecision | None = None
        for exit_index in range(len(self.policy.exits)):
            decision = session.observe_logits(self._at_exit(exit_index, batches)[0])
            if on_exit is not None:
                on_exit(exit_index, 1)
            if decision is not None:
                break
        assert decision is not None  # everyone leaves at the last exit
        result = EarlyExitResult(
            labels=np.array([decision.label], np.int64),
            exits=np.array([decision.exit], np.int64),
            scores=np.array([decision.score]),
            costs=np.array([decision.cost]),
            numbers=None if decision.number is None else np.array([decision.number], np.float32),
        )
        if self.statistics is not None:
            self.statistics.add(result.exits)
        return result

    def logits(self, inputs: Mapping[str, Any]) -> list[npt.NDArray[np.float32]]:
        """The logits [rows, classes] of every exit; nobody leaves. One row or more."""
        inputs, mask, _ = self._checked(inputs)
        batches = [self._started(inputs, mask)]
        return [self._at_exit(exit_index, batches) for exit_index in range(len(self.policy.exits))]

    # --- what torch and onnxruntime do each in their own way ---

    @abstractmethod
    def _own(self, name: str, values: Any) -> Any:
        """An input as an array of this encoder, where it computes."""

    @abstractmethod
    def _lengths(self, mask: Any) -> npt.NDArray[Any]:
        """[rows], how many tokens each has."""

    @abstractmethod
    def _taken(self, values: Any, order: npt.NDArray[Any]) -> Any:
        """Rows in another order."""

    @abstractmethod
    def _started(self, inputs: dict[str, Any], mask: Any) -> BatchT:
        """A batch before the first layer; the mask is None where nothing is padded."""

    @abstractmethod
    def _at_exit(self, exit_index: int, batches: list[BatchT]) -> npt.NDArray[np.float32]:
        """Brings batches from the exit before to this one; its logits [rows of all batches, classes]."""

    # --- steps ---

    def _checked(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], Any, int]:
        """The inputs, the mask (None where nothing is padded), and how many rows there are."""
        names = self.inputs
        if names[0] not in inputs:
            raise EncoderError(f"inputs: saw {', '.join(inputs) or 'none'}, expected {names[0]}")
        # Some tokenizers give token types to encoders without any, which ignore them.
        unknown = set(inputs) - set(names) - {"attention_mask", "token_type_ids"}
        if unknown:
            raise EncoderError(
                f"inputs: saw {', '.join(sorted(unknown))}, expected {', '.join((*names, 'attention_mask'))} only"
            )
        kept = {name: self._own(name, inputs[name]) for name in names if name in inputs}
        first = kept[names[0]]
        rows = int(first.shape[0])
        mask = inputs.get("attention_mask")
        if mask is not None and names[0] == "pixel_values":
            raise EncoderError("inputs: saw attention_mask beside pixel_values, expected images without one")
        for name, values in {**kept, **({} if mask is None else {"attention_mask": mask})}.items():
            if names[0] == "input_ids" and tuple(values.shape) != tuple(first.shape):
                raise EncoderError(
                    f"inputs: {name} has the shape {list(values.shape)}, expected that of input_ids, {list(first.shape)}"
                )
        if mask is None:
            return kept, None, rows
        mask = self._own("attention_mask", mask)
        if bool(mask.all()):
            return kept, None, rows
        lengths = self._lengths(mask)
        if not lengths.all():
            raise EncoderError(
                f"inputs: row {int(lengths.argmin())} has no token in attention_mask, expected one or more in each row"
            )
        return kept, mask, rows

    def _result(self, session: BatchSession, order: npt.NDArray[Any] | None) -> EarlyExitResult:
        columns: list[Any] = [session.labels, session.exits, session.scores, session.costs]
        if session.numbers is not None:
            columns.append(session.numbers)
        if order is not None:
            places = np.argsort(order)
            columns = [values[places] for values in columns]
        if self.statistics is not None:
            self.statistics.add(columns[1])
        return EarlyExitResult(*columns)
