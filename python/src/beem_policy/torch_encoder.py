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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from transformers.masking_utils import create_bidirectional_mask

from .pooling import POOLINGS, pool
from .serving import Batch, EarlyExit, EarlyExitResult, EncoderError, ExitStatistics, OnExit
from .torch_heads import torch_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from . import Heads, Policy

__all__ = ["SUPPORTED_MODEL_TYPES", "EarlyExitEncoder", "EarlyExitResult", "EncoderError", "ExitStatistics"]

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


# --- rows on their way ----------------------------------------------------------------------------------------------


@dataclass
class _Batch(Batch):
    """Rows that run together.

    - hidden: [rows, tokens, width].
    - mask: [rows, tokens], 1 for a token; None where nothing is padded.
    - attention: the mask in the form the layers take, made when first needed after a change of rows.
    """

    hidden: torch.Tensor
    mask: torch.Tensor | None
    attention: torch.Tensor | None = None

    @property
    def count(self) -> int:
        return len(self.hidden)

    def keep(self, rows: np.ndarray) -> _Batch:
        indexes = torch.from_numpy(rows).to(self.hidden.device)
        if self.mask is None:
            return _Batch(self.hidden[indexes], None)
        mask = self.mask[indexes]
        length = _used_length(mask)
        return _without_useless_mask(self.hidden[indexes, :length], mask[:, :length])

    def joined(self, others: Sequence[_Batch]) -> _Batch:
        batches = [self, *others]
        length = max(batch.hidden.shape[1] for batch in batches)
        is_padded = any(batch.mask is not None or batch.hidden.shape[1] < length for batch in batches)
        hidden, masks = [], []
        for batch in batches:
            rows, tokens, _ = batch.hidden.shape
            hidden.append(functional.pad(batch.hidden, (0, 0, 0, length - tokens)))
            if is_padded:
                mask = (
                    batch.mask if batch.mask is not None else batch.hidden.new_ones((rows, tokens), dtype=torch.int64)
                )
                masks.append(functional.pad(mask, (0, length - tokens)))
        return _Batch(torch.cat(hidden), torch.cat(masks) if is_padded else None)


def _used_length(mask: torch.Tensor) -> int:
    """The number of places up to the last one that any row uses; padding on the left stays."""
    used = (mask != 0).any(dim=0).nonzero()
    return int(used[-1]) + 1 if len(used) else mask.shape[1]


def _without_useless_mask(hidden: torch.Tensor, mask: torch.Tensor) -> _Batch:
    # Without a mask attention takes its fastest kernel, and pooling is two operations.
    return _Batch(hidden, None if bool(mask.all()) else mask)


# --- the encoder ----------------------------------------------------------------------------------------------------


class EarlyExitEncoder(EarlyExit[_Batch]):
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
        self._architecture = _ARCHITECTURES[model_type]
        super().__init__(policy, self._architecture.inputs, keeps_statistics)
        base: Any = model.base_model
        self.model = base.eval()
        self.heads = policy.load_heads() if heads is None else heads
        self.pooling = pooling
        self._layers = self._architecture.layers(self.model)
        self.layers = _exit_layers([exit_.name for exit_ in policy.exits], layers, len(self._layers))
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
        self, inputs: Mapping[str, torch.Tensor], batch_size: int | None = None, on_exit: OnExit = None
    ) -> EarlyExitResult:
        return super().__call__(inputs, batch_size, on_exit)

    __call__.__doc__ = EarlyExit.__call__.__doc__

    @torch.inference_mode()
    def logits(self, inputs: Mapping[str, torch.Tensor]) -> list[np.ndarray]:
        return super().logits(inputs)

    logits.__doc__ = EarlyExit.logits.__doc__

    # --- steps ---

    def _own(self, name: str, values: torch.Tensor) -> torch.Tensor:
        return values.to(self.model.device)

    def _lengths(self, mask: torch.Tensor) -> np.ndarray:
        lengths: np.ndarray = (mask != 0).sum(dim=1).cpu().numpy()
        return lengths

    def _taken(self, values: torch.Tensor, order: np.ndarray) -> torch.Tensor:
        return values[torch.from_numpy(order).to(values.device)]

    def _at_exit(self, exit_index: int, batches: list[_Batch]) -> np.ndarray:
        for layer in range(self.layers[exit_index - 1] if exit_index else 0, self.layers[exit_index]):
            for batch in batches:
                self._advance(batch, layer)
        return self._logits(exit_index, batches)

    def _started(self, inputs: dict[str, torch.Tensor], mask: torch.Tensor | None) -> _Batch:
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
        values: np.ndarray = (logits if logits.device.type == "cpu" else logits.cpu()).numpy()
        return values


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
