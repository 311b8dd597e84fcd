"""Early exit around a Hugging Face encoder: layer by layer, and no layer for rows that have left.

    encoder = EarlyExitEncoder(AutoModel.from_pretrained(folder), policy, policy.load_heads())
    result = encoder(tokenizer(texts, padding=True, return_tensors="pt"))
    names = [policy.classes[label] for label in result.labels]

After each layer with an exit the states are pooled (`pooling.py`, the code of the extraction), the exit's head makes logits,
and `BatchSession` decides. Decisions are those of `beem apply` on the features of the same texts, except where two logits,
or a score and its threshold, lie closer than the last bits of the encoder's sums. Needs the extra `torch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from transformers.masking_utils import create_bidirectional_mask

from . import BatchSession
from .pooling import POOLINGS, pool
from .torch_heads import torch_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from . import Heads, Policy


class EncoderError(ValueError):
    """The encoder, the policy, the heads or the inputs do not go together; the text says what was seen and expected."""


# --- the encoders that are known ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Architecture:
    """What has to be known of a type of encoder to run it layer by layer.

    - layers: where its layers are.
    - inputs: what its embeddings take; the first is the one that cannot be missing.
    - has_position_bias: whether each layer is told relative positions (MPNet).
    """

    layers: Callable[[Any], Sequence[Any]]
    inputs: tuple[str, ...]
    has_position_bias: bool = False


_ARCHITECTURES = {
    "bert": _Architecture(lambda model: model.encoder.layer, ("input_ids", "token_type_ids")),
    "distilbert": _Architecture(lambda model: model.transformer.layer, ("input_ids",)),
    "mpnet": _Architecture(lambda model: model.encoder.layer, ("input_ids",), has_position_bias=True),
    "roberta": _Architecture(lambda model: model.encoder.layer, ("input_ids", "token_type_ids")),
    "vit": _Architecture(lambda model: model.layers, ("pixel_values",)),
}

SUPPORTED_MODEL_TYPES = tuple(_ARCHITECTURES)


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
        """The cost of the final layer over the mean cost: what the policy predicts, not what a clock says."""
        return float(self.costs[-1] / self.mean_cost)


# --- rows on their way ----------------------------------------------------------------------------------------------


@dataclass
class _Batch:
    """Rows that run together.

    - hidden: [rows, tokens, width].
    - mask: [rows, tokens], 1 for a token; None where nothing is padded.
    - attention: the mask in the form the layers take, made when first needed after a change of rows.
    """

    hidden: torch.Tensor
    mask: torch.Tensor | None
    attention: torch.Tensor | None = None

    def keep(self, rows: torch.Tensor) -> _Batch:
        """These rows only, and no more places than the longest of them has tokens."""
        if self.mask is None:
            return _Batch(self.hidden[rows], None)
        hidden_mask = self.mask[rows]
        length = _used_length(hidden_mask)
        return _without_useless_mask(self.hidden[rows, :length], hidden_mask[:, :length])


def _used_length(mask: torch.Tensor) -> int:
    """The number of places up to the last one that any row uses; padding on the left stays."""
    used = (mask != 0).any(dim=0).nonzero()
    return int(used[-1]) + 1 if len(used) else mask.shape[1]


def _without_useless_mask(hidden: torch.Tensor, mask: torch.Tensor) -> _Batch:
    # Without a mask attention takes its fastest kernel, and pooling is two operations.
    return _Batch(hidden, None if bool(mask.all()) else mask)


def _joined(batches: Sequence[_Batch]) -> _Batch:
    """All rows in one batch, padded on the right to the longest."""
    if len(batches) == 1:
        return batches[0]
    length = max(batch.hidden.shape[1] for batch in batches)
    is_padded = any(batch.mask is not None or batch.hidden.shape[1] < length for batch in batches)
    hidden, masks = [], []
    for batch in batches:
        rows, tokens, _ = batch.hidden.shape
        hidden.append(functional.pad(batch.hidden, (0, 0, 0, length - tokens)))
        if is_padded:
            mask = batch.mask if batch.mask is not None else batch.hidden.new_ones((rows, tokens), dtype=torch.int64)
            masks.append(functional.pad(mask, (0, length - tokens)))
    return _Batch(torch.cat(hidden), torch.cat(masks) if is_padded else None)


def _regrouped(batches: Sequence[_Batch], is_kept: np.ndarray, size: int) -> list[_Batch]:
    """The rows that are kept, in their order, in batches of `size`; only the last may be smaller."""
    groups: list[list[_Batch]] = [[]]
    room = size
    start = 0
    for batch in batches:
        count = len(batch.hidden)
        rows = np.flatnonzero(is_kept[start : start + count])
        start += count
        while len(rows):
            if room == 0:
                groups.append([])
                room = size
            taken, rows = rows[:room], rows[room:]
            room -= len(taken)
            indexes = torch.from_numpy(taken).to(batch.hidden.device)
            groups[-1].append(batch if len(taken) == count else batch.keep(indexes))
    return [_joined(group) for group in groups if group]


# --- the encoder ----------------------------------------------------------------------------------------------------


class EarlyExitEncoder:
    """A frozen encoder that stops, row by row, where its policy says.

    - model: a Hugging Face encoder of one of `SUPPORTED_MODEL_TYPES` (or a model with one inside); it is put in
      evaluation mode. Its layers are called one by one, so what wraps its `forward` (a compiled graph, say) is passed by.
    - policy: where to leave.
    - heads: the policy's, of the width of the encoder (after `beem features compress`: `beem export --full-width`).
      None: `policy.load_heads()`.
    - pooling: the one that the features were extracted with; the cache names it in `backbone`.
    - layers: after which layer, from 1, each exit sits. None: what the exits' names say (`layer 4`), or one exit after
      each layer.
    - keeps_statistics: whether `statistics` counts the exits taken.

    Not for several threads at once; make one for each, of the same model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        policy: Policy,
        heads: Heads | None = None,
        *,
        pooling: str = "mean",
        layers: Sequence[int] | None = None,
        keeps_statistics: bool = False,
    ) -> None:
        model_type = getattr(model.config, "model_type", type(model).__name__)
        if model_type not in _ARCHITECTURES:
            raise EncoderError(
                f"model type: saw {model_type!r}, expected one of {', '.join(SUPPORTED_MODEL_TYPES)}; for another encoder "
                "write the loop over its layers yourself, with BatchSession"
            )
        if getattr(model.config, "is_decoder", False):
            raise EncoderError(f"model: saw a decoder of type {model_type!r}, expected an encoder")
        if pooling not in POOLINGS:
            raise EncoderError(f"pooling: saw {pooling!r}, expected one of {', '.join(POOLINGS)}")
        base: Any = model.base_model
        self.model = base.eval()
        self.policy = policy
        self.heads = policy.load_heads() if heads is None else heads
        self.pooling = pooling
        self._architecture = _ARCHITECTURES[model_type]
        self._layers = self._architecture.layers(self.model)
        self.layers = _exit_layers([exit_.name for exit_ in policy.exits], layers, len(self._layers))
        self.statistics = (
            ExitStatistics(np.array([exit_.cost for exit_ in policy.exits], np.float64)) if keeps_statistics else None
        )
        self._position_bias: torch.Tensor | None = None  # [1, attention heads, tokens, tokens], the longest so far
        self._check_heads()
        self._heads = [torch_head(head, self.model.device) for head in self.heads]

    def _check_heads(self) -> None:
        width = self.model.config.hidden_size
        if len(self.heads) != len(self.policy.exits):
            raise EncoderError(f"heads: saw {len(self.heads)}, expected {len(self.policy.exits)}, one for each exit")
        for index, head in enumerate(self.heads):
            if head.width != width:
                raise EncoderError(
                    f"heads: that of exit {index} takes {head.width} features, expected {width}, the width of this encoder; "
                    "heads for a compressed cache are made to fit by `beem export POLICY CACHE --full-width --output FILE`"
                )
            if head.class_count != len(self.policy.classes):
                raise EncoderError(
                    f"heads: that of exit {index} gives {head.class_count} logits, expected {len(self.policy.classes)}, "
                    "one for each class of the policy"
                )

    @torch.inference_mode()
    def __call__(
        self,
        inputs: Mapping[str, torch.Tensor],
        batch_size: int | None = None,
        on_exit: Callable[[int, int], None] | None = None,
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
        size = max(rows, 1) if batch_size is None else batch_size
        session = BatchSession(self.policy, rows)
        order = None
        if mask is not None and rows > size:
            order = mask.sum(dim=1).argsort(stable=True)
            inputs = {name: values[order] for name, values in inputs.items()}
            mask = mask[order]
        batches = [
            self._embedded({name: values[start : start + size] for name, values in inputs.items()},
                           None if mask is None else mask[start : start + size])
            for start in range(0, rows, size)
        ]  # fmt: skip
        layers_done = 0
        for exit_index, layer_count in enumerate(self.layers if rows else ()):
            for layer in range(layers_done, layer_count):
                for batch in batches:
                    self._advance(batch, layer)
            layers_done = layer_count
            stops = session.observe_logits(self._logits(exit_index, batches))
            if on_exit is not None:
                on_exit(exit_index, len(stops))
            remaining = len(session.active)
            if remaining == 0:
                break
            if remaining < len(stops):
                batches = _regrouped(batches, ~stops, size)
        return self._result(session, order)

    # --- steps ---

    def _checked(self, inputs: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], torch.Tensor | None, int]:
        names = self._architecture.inputs
        if names[0] not in inputs:
            raise EncoderError(f"inputs: saw {', '.join(inputs) or 'none'}, expected {names[0]}")
        # Some tokenizers give token types to encoders without any, which ignore them.
        unknown = set(inputs) - set(names) - {"attention_mask", "token_type_ids"}
        if unknown:
            raise EncoderError(
                f"inputs: saw {', '.join(sorted(unknown))}, expected {', '.join((*names, 'attention_mask'))} only"
            )
        device = self.model.device
        kept = {name: inputs[name].to(device) for name in names if name in inputs}
        first = kept[names[0]]
        rows = first.shape[0]
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
        mask = mask.to(device)
        if bool(mask.all()):
            return kept, None, rows
        if not bool((mask != 0).any(dim=1).all()):
            row = int((mask != 0).any(dim=1).to(torch.int64).argmin())
            raise EncoderError(f"inputs: row {row} has no token in attention_mask, expected one or more in each row")
        return kept, mask, rows

    def _embedded(self, inputs: dict[str, torch.Tensor], mask: torch.Tensor | None) -> _Batch:
        if mask is None:
            return _Batch(self.model.embeddings(**inputs), None)
        length = _used_length(mask)
        inputs = {name: values[:, :length] for name, values in inputs.items()}
        return _without_useless_mask(self.model.embeddings(**inputs), mask[:, :length])

    def _advance(self, batch: _Batch, layer: int) -> None:
        """One layer, counted from 0, for all rows of a batch."""
        if batch.mask is not None and batch.attention is None:
            batch.attention = create_bidirectional_mask(
                config=self.model.config, inputs_embeds=batch.hidden, attention_mask=batch.mask
            )
        more = {}
        if self._architecture.has_position_bias:
            more["position_bias"] = self._bias(batch.hidden)
        output = self._layers[layer](batch.hidden, batch.attention, **more)
        batch.hidden = output[0] if isinstance(output, tuple) else output

    def _bias(self, hidden: torch.Tensor) -> torch.Tensor:
        """MPNet's relative positions: the same for every row and layer, and of a short text a corner of a long one's."""
        tokens = hidden.shape[1]
        if self._position_bias is None or self._position_bias.shape[-1] < tokens:
            self._position_bias = self.model.encoder.compute_position_bias(hidden[:1])
        return self._position_bias[:, :, :tokens, :tokens]

    def _logits(self, exit_index: int, batches: Sequence[_Batch]) -> np.ndarray:
        """[active rows, classes]."""
        pooled = [pool(batch.hidden, batch.mask, self.pooling) for batch in batches]
        logits = self._heads[exit_index](pooled[0] if len(pooled) == 1 else torch.cat(pooled))
        return (logits if logits.device.type == "cpu" else logits.cpu()).numpy()

    def _result(self, session: BatchSession, order: torch.Tensor | None) -> EarlyExitResult:
        columns: list[Any] = [session.labels, session.exits, session.scores, session.costs]
        if session.numbers is not None:
            columns.append(session.numbers)
        if order is not None:
            places = np.argsort(order.cpu().numpy())
            columns = [values[places] for values in columns]
        if self.statistics is not None:
            self.statistics.add(columns[1])
        return EarlyExitResult(*columns)


def _exit_layers(names: Sequence[str], layers: Sequence[int] | None, layer_count: int) -> tuple[int, ...]:
    """After which layer, from 1, each exit sits."""
    if layers is None:
        named = [name.removeprefix("layer ") for name in names]
        if all(name.startswith("layer ") for name in names) and all(number.isdecimal() for number in named):
            layers = [int(number) for number in named]
        elif len(names) == layer_count:
            layers = range(1, layer_count + 1)
        else:
            raise EncoderError(
                f"layers: saw {len(names)} exits named {', '.join(names)} and {layer_count} layers; say with layers= after "
                "which layer, from 1, each exit sits"
            )
    layers = tuple(layers)
    if (
        len(layers) != len(names)
        or not layers
        or layers[0] < 1
        or layers[-1] > layer_count
        or any(later <= earlier for earlier, later in zip(layers, layers[1:]))
    ):
        raise EncoderError(
            f"layers: saw {', '.join(map(str, layers)) or 'none'} for {len(names)} exits, expected increasing numbers from "
            f"1 to {layer_count}, one for each exit; is this the encoder that the policy is for?"
        )
    return layers
