"""Frozen encoders with all that turns rows into features. Needs the extra `torch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoModel, AutoTokenizer

from ..errors import InputError
from ..pooling import pool
from .images import image_processor, prepared
from .records import Record, fault

# Where neither tokenizer nor config states a limit, tokenizers claim an absurd one.
PLAUSIBLE_MAX_LENGTH = 1 << 20
FALLBACK_MAX_LENGTH = 512


class Rows(Protocol):
    """Rows of data on their way through an encoder."""

    @property
    def lengths(self) -> list[int]:
        """[rows], in tokens: what a row costs."""
        ...

    def layers(self, rows: Sequence[int]) -> list[torch.Tensor]:
        """The pooled features of layers 1...L, each [rows, width] in Float32; the embeddings below layer 1 stay out."""
        ...


def load_model(name: str, revision: str | None, compute_type: torch.dtype, device: str) -> Any:
    """The encoder of a model, frozen; of an encoder-decoder the encoder."""
    # Code that comes with a model is not run: transformers asks for `trust_remote_code`, and it is never given.
    try:
        model: Any = AutoModel.from_pretrained(name, revision=revision, dtype=compute_type)
    except (OSError, ValueError) as error:
        raise not_loaded(name, error) from None
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    return model.eval().to(device)


def not_loaded(name: str, error: Exception) -> InputError:
    return InputError(
        "unreadable",
        name,
        seen=f"transformers cannot load it ({str(error).splitlines()[0]})",
        expected="an encoder with its tokenizer or image processor",
        advice="Check the path, or the id.",
    )


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Rows of like length together, longest first, so that a batch is little padding and at most `batch_tokens` long.

    Longest first: too large a batch fails at once and not after an hour, and the estimate of the time left errs on the
    safe side. A row longer than `batch_tokens` is a batch of its own.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


# --- texts ----------------------------------------------------------------------------------------------------------


def token_limit(tokenizer: Any, config: Any) -> int:
    """The longest input the encoder takes, in tokens, as far as its files say."""
    if tokenizer.model_max_length < PLAUSIBLE_MAX_LENGTH:
        return int(tokenizer.model_max_length)
    return getattr(config, "max_position_embeddings", None) or FALLBACK_MAX_LENGTH


def tokenize(records: Sequence[Record], tokenizer: Any, max_length: int) -> list[dict[str, list[int]]]:
    """The token ids of every row (and token types, where the encoder has them), cut to `max_length`."""
    pairs = None if records[0].pair is None else [record.pair for record in records]
    encoded = tokenizer([record.content for record in records], pairs, truncation=True, max_length=max_length)
    return [{name: values[row] for name, values in encoded.items()} for row in range(len(records))]


@dataclass
class Texts:
    """Texts, or pairs of them, as tokens."""

    model: Any
    tokenizer: Any
    pooling: str
    tokens: list[dict[str, list[int]]]
    max_length: int

    @staticmethod
    def load(
        name: str,
        revision: str | None,
        model: Any,
        pooling: str,
        records: Sequence[Record],
        data: Path,
        limit: int | None,
    ) -> Texts:
        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(name, revision=revision)
        except (OSError, ValueError) as error:
            raise not_loaded(name, error) from None
        if tokenizer.pad_token is None:
            if tokenizer.eos_token is None:
                raise InputError(
                    "unsupported", name, seen="a tokenizer without a token to pad with", expected="one with it"
                )
            tokenizer.pad_token = tokenizer.eos_token  # which one does not matter: padding is masked
        max_length = limit or token_limit(tokenizer, model.config)
        texts = Texts(model, tokenizer, pooling, tokenize(records, tokenizer, max_length), max_length)
        for record, length in zip(records, texts.lengths):
            if length == 0:
                raise fault(data, record.line, "a text of which the tokenizer makes no token", "one or more tokens")
        return texts

    @property
    def lengths(self) -> list[int]:
        return [len(row["input_ids"]) for row in self.tokens]

    @torch.inference_mode()
    def layers(self, rows: Sequence[int]) -> list[torch.Tensor]:
        """See `Rows`."""
        inputs = self.tokenizer.pad([self.tokens[row] for row in rows], return_tensors="pt").to(self.model.device)
        states = self.model(**inputs, output_hidden_states=True).hidden_states[1:]
        return [pool(hidden, inputs["attention_mask"], self.pooling) for hidden in states]


# --- images ---------------------------------------------------------------------------------------------------------


@dataclass
class Images:
    """Images as files; they are opened when their batch comes."""

    model: Any
    processor: Any
    pooling: str
    paths: list[Path]
    records: Sequence[Record]
    data: Path
    tokens: int = 1
    """Of one image: patches and the class token."""

    @staticmethod
    def load(
        name: str,
        revision: str | None,
        model: Any,
        pooling: str,
        records: Sequence[Record],
        paths: list[Path],
        data: Path,
    ) -> Images:
        if getattr(model, "main_input_name", None) != "pixel_values":
            raise InputError(
                "mismatch",
                name,
                seen=f"an encoder of {getattr(model, 'main_input_name', 'other things')}",
                expected="an encoder of images (pixel_values), for --data is images",
                advice="Name a ViT, say, or give texts.",
            )
        try:
            processor = image_processor(name, revision)
        except (OSError, ValueError, ImportError) as error:
            raise not_loaded(name, error) from None
        images = Images(model, processor, pooling, paths, records, data)
        images.tokens = images._states([0])[0].shape[1]
        return images

    @property
    def lengths(self) -> list[int]:
        return [self.tokens] * len(self.paths)

    def layers(self, rows: Sequence[int]) -> list[torch.Tensor]:
        """See `Rows`. States are those after each layer, before the norm that follows the last one."""
        return [pool(hidden, None, self.pooling) for hidden in self._states(rows)]

    @torch.inference_mode()
    def _states(self, rows: Sequence[int]) -> Sequence[torch.Tensor]:
        inputs = prepared(
            self.processor, [self.paths[row] for row in rows], [self.records[row] for row in rows], self.data
        )
        pixels = inputs["pixel_values"].to(self.model.device, self.model.dtype)
        states: Sequence[torch.Tensor] = self.model(pixel_values=pixels, output_hidden_states=True).hidden_states[1:]
        if states[0].ndim != 3:
            raise InputError(
                "unsupported",
                getattr(self.model.config, "model_type", type(self.model).__name__),
                seen=f"states of {states[0].ndim} dimensions after a layer",
                expected="[images, tokens, width], as a ViT has them",
                advice="Write the cache of another network yourself; any safetensors library does.",
            )
        return states
