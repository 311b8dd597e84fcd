"""Greedy captions with token-level exits: a decoder that really skips the layers after an exit.

A token that leaves at an exit leaves no keys and values in the layers it skipped. A later token that reaches such a layer
needs them: they are made then, from the hidden state with which the earlier token left (its exit state is propagated).
No keys, values or image memory are made for layers that no token reaches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

# The rules are those of this checkout, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import BatchSession, ExitSession, Policy
from captions import END, PAD, START, UNKNOWN, CaptionError
from costs import Costs
from model import Captioner, DecoderLayer
from torch import Tensor
from torch.nn import functional

NEVER = -1e4
"""The logit of tokens that no caption holds."""


@dataclass(frozen=True)
class LowRankHead:
    """A head of two factors on the normed state of an exit: down [rank, width], up [vocabulary, rank], bias."""

    down: Tensor
    up: Tensor
    bias: Tensor

    @property
    def rank(self) -> int:
        return self.down.shape[0]


@dataclass
class Caption:
    """What was generated for an image and what it took."""

    tokens: list[int] = field(default_factory=list)
    """Words, then `END` where it came within the limit."""
    depths: list[int] = field(default_factory=list)
    """Layers each token ran through."""
    heads: int = 0
    """Heads that were evaluated."""
    operations: int = 0
    """Multiply-adds of the tokens: layers, heads, and keys and values made up for."""
    image_operations: int = 0
    """Multiply-adds once an image: from the grid to the decoder's width, and keys and values of the layers reached."""


class Plan:
    """Where tokens may leave: a policy and the layer (from 1) of each of its exits, or one depth for all."""

    def __init__(self, layers: Sequence[int], policy: Policy | None) -> None:
        self.layers = tuple(layers)
        self.policy = policy
        self.is_offered = frozenset(layers)

    @staticmethod
    def truncated(depth: int) -> Plan:
        """Every token leaves after layer `depth`; no other head is evaluated."""
        return Plan((depth,), None)

    @staticmethod
    def of(policy: Policy, model: Captioner) -> Plan:
        """The exits of a policy are named `layer 3`, ...; the last is the last layer. `static` becomes one depth."""
        layers: list[int] = []
        for exit_ in policy.exits:
            word, _, number = exit_.name.partition(" ")
            if word != "layer" or not number.isdigit() or not 1 <= int(number) <= model.shape.layers:
                raise CaptionError(
                    f"{policy.file}: exit {exit_.name!r}; expected `layer N` with N of 1 to {model.shape.layers}"
                )
            layers.append(int(number))
        if layers != sorted(set(layers)) or layers[-1] != model.shape.layers:
            raise CaptionError(f"{policy.file}: layers {layers}; expected rising, the last {model.shape.layers}")
        if len(policy.classes) != model.shape.vocabulary:
            raise CaptionError(
                f"{policy.file}: {len(policy.classes)} classes; the captioner has {model.shape.vocabulary} words"
            )
        if policy.rule.kind == "static":
            open_ = [layer for layer, exit_ in zip(layers, policy.exits) if exit_.threshold is not None]
            return Plan.truncated(open_[0] if open_ else layers[-1])
        return Plan(layers, policy)


class Decoder:
    """A captioner ready to generate, with its heads: low-rank ones where given, else the shared output matrix."""

    def __init__(
        self, model: Captioner, low_rank: dict[int, LowRankHead] | None = None, propagates: bool = True
    ) -> None:
        """A decoder of a captioner.

        - low_rank: heads by layer, from 1.
        - propagates: as above. False: a token that left runs on through the layers above, so that later ones find its
          own keys and values there. Nothing is saved, costs mean nothing; it tells what propagation costs in quality.
        """
        self.propagates = propagates
        self.model = model.eval()
        self.shape = model.shape
        self.costs = Costs(model.shape)
        self.low_rank = low_rank or {}
        self.bias = model.output_bias.detach().clone()
        self.bias[[PAD, START, UNKNOWN]] = NEVER
        self.layers = [layer for layer in model.layers if isinstance(layer, DecoderLayer)]

    def logits(self, layer: int, hidden: Tensor) -> Tensor:
        """[N, width] after `layer` (from 1) -> [N, vocabulary]."""
        exit_ = self.model.exits[layer - 1]
        head = self.low_rank.get(layer)
        if head is None:
            return functional.linear(exit_(hidden), self.model.embedding.weight, self.bias)
        return functional.linear(functional.linear(exit_.norm(hidden), head.down), head.up, head.bias)

    def head_operations(self, layer: int) -> int:
        head = self.low_rank.get(layer)
        return self.costs.head(None if head is None else head.rank)

    @torch.inference_mode()
    def captions(self, cells: Tensor, plan: Plan) -> list[Caption]:
        """Captions of the images `cells` [images, 49, 320], all at once; the same as `caption` gives one by one."""
        run = _BatchRun(self, cells, plan)
        for position in range(self.shape.positions):
            if not run.running.numel():
                break
            run.step(position)
        return run.captions

    @torch.inference_mode()
    def caption(self, cells: Tensor, plan: Plan) -> Caption:
        """The caption of one image [49, 320]: what is timed. Always with propagated states."""
        run = _SingleRun(self, cells, plan)
        for position in range(self.shape.positions):
            if run.step(position) == END:
                break
        return run.caption


class _SingleRun:
    """One image on its way."""

    def __init__(self, decoder: Decoder, cells: Tensor, plan: Plan) -> None:
        self.decoder, self.plan = decoder, plan
        shape, model = decoder.shape, decoder.model
        self.memory = model.memory(cells[None])
        self.caption = Caption(image_operations=decoder.costs.image())
        self.states = torch.empty(shape.positions, shape.width)
        """[positions, width]: the state with which each token left, or that of the present one."""
        size = (shape.layers, 1, shape.heads, shape.positions, shape.head_dimension)
        self.keys, self.values = torch.empty(size), torch.empty(size)
        self.filled = [0] * shape.layers
        """By layer: how many positions have keys and values."""
        self.image_keys: list[tuple[Tensor, Tensor] | None] = [None] * shape.layers
        self.token = START

    def step(self, position: int) -> int:
        """Generate the token of a position."""
        decoder, caption = self.decoder, self.caption
        model = decoder.model
        hidden = model.embed(torch.tensor([self.token]), torch.tensor([position]))
        session = ExitSession(self.plan.policy) if self.plan.policy is not None else None
        for index in range(self.plan.layers[-1]):
            hidden = self._layer(index, hidden, position)
            if index + 1 not in self.plan.is_offered:
                continue
            logits = decoder.logits(index + 1, hidden)
            caption.heads += 1
            caption.operations += decoder.head_operations(index + 1)
            if session is None:
                self.token = int(logits.argmax())
                break
            decision = session.observe_logits(logits[0].numpy())
            if decision is not None:
                self.token = decision.label
                break
        self.states[position] = hidden[0]
        caption.tokens.append(self.token)
        caption.depths.append(index + 1)
        return self.token

    def _layer(self, index: int, hidden: Tensor, position: int) -> Tensor:
        layer, costs = self.decoder.layers[index], self.decoder.costs
        first = self.filled[index]
        self.states[position] = hidden[0]
        normed = layer.self_norm(self.states[first : position + 1])
        keys, values = layer.key_value(normed).chunk(2, dim=-1)
        self.keys[index, 0, :, first : position + 1] = keys.unflatten(-1, (layer.heads, -1)).transpose(0, 1)
        self.values[index, 0, :, first : position + 1] = values.unflatten(-1, (layer.heads, -1)).transpose(0, 1)
        self.filled[index] = position + 1
        query = layer.query(normed[-1:]).view(1, layer.heads, 1, -1)
        attended = functional.scaled_dot_product_attention(
            query, self.keys[index, :, :, : position + 1], self.values[index, :, :, : position + 1]
        )
        hidden = hidden + layer.self_out(attended.view(1, -1))
        image = self.image_keys[index]
        if image is None:
            image_keys, image_values = layer.cross_key_value(self.memory).chunk(2, dim=-1)
            image = (layer.split_heads(image_keys).contiguous(), layer.split_heads(image_values).contiguous())
            self.image_keys[index] = image
            self.caption.image_operations += costs.image_keys()
        query = layer.cross_query(layer.cross_norm(hidden)).view(1, layer.heads, 1, -1)
        attended = functional.scaled_dot_product_attention(query, *image)
        hidden = hidden + layer.cross_out(attended.view(1, -1))
        self.caption.operations += costs.layer(position) + (position + 1 - first) * costs.token_keys()
        return hidden + layer.outer(functional.gelu(layer.inner(layer.inner_norm(hidden))))


class _BatchRun:
    """Many images on their way, each token of them as deep as it needs."""

    def __init__(self, decoder: Decoder, cells: Tensor, plan: Plan) -> None:
        self.decoder, self.plan = decoder, plan
        shape = decoder.shape
        count = len(cells)
        self.memory = decoder.model.memory(cells)
        self.captions = [Caption(image_operations=decoder.costs.image()) for _ in range(count)]
        self.running = torch.arange(count)
        self.tokens = torch.full((count,), START)
        self.states = torch.zeros(count, shape.positions, shape.width)
        size = (count, shape.heads, shape.positions, shape.head_dimension)
        depth = plan.layers[-1]
        self.keys = [torch.zeros(size) for _ in range(depth)]
        self.values = [torch.zeros(size) for _ in range(depth)]
        self.filled = torch.zeros(depth, count, dtype=torch.long)
        size = (count, shape.heads, shape.cells, shape.head_dimension)
        self.image_keys = [torch.zeros(size) for _ in range(depth)]
        self.image_values = [torch.zeros(size) for _ in range(depth)]
        self.has_image = torch.zeros(depth, count, dtype=torch.bool)
        self.operations = torch.zeros(count, dtype=torch.long)

    def step(self, position: int) -> None:
        """Generate a token for every image that still runs."""
        rows, decoder = self.running, self.decoder
        hidden = decoder.model.embed(self.tokens[rows], torch.full_like(rows, position))
        session = BatchSession(self.plan.policy, len(rows)) if self.plan.policy is not None else None
        undecided = torch.arange(len(rows))
        for index in range(self.plan.layers[-1]):
            hidden = self._layer(index, rows, hidden, position)
            self.states[rows, position] = hidden
            if index + 1 not in self.plan.is_offered or not undecided.numel():
                continue
            logits = decoder.logits(index + 1, hidden[undecided])
            self.operations[rows[undecided]] += decoder.head_operations(index + 1)
            if session is None:
                stops, labels = torch.ones(len(undecided), dtype=torch.bool), logits.argmax(-1)
            else:
                observed = session.active
                stops = torch.from_numpy(session.observe_logits(logits.numpy()))
                labels = torch.from_numpy(session.labels[observed])
            asked = rows[undecided]
            for row in asked.tolist():
                self.captions[row].heads += 1
            for row, label in zip(asked[stops].tolist(), labels[stops].tolist()):
                self.captions[row].tokens.append(label)
                self.captions[row].depths.append(index + 1)
                self.tokens[row] = label
            if decoder.propagates:
                rows, hidden = rows[~stops], hidden[~stops]
                undecided = torch.arange(len(rows))
                if not rows.numel():
                    break
            else:
                undecided = undecided[~stops]
        for row in self.running.tolist():
            self.captions[row].operations += int(self.operations[row])
        self.operations.zero_()
        self.running = self.running[self.tokens[self.running] != END]

    def _layer(self, index: int, rows: Tensor, hidden: Tensor, position: int) -> Tensor:
        layer, costs = self.decoder.layers[index], self.decoder.costs
        self.states[rows, position] = hidden
        # Every (image, position) without keys and values in this layer: those are the last ones of an image.
        pending = torch.arange(position + 1)[None] >= self.filled[index, rows][:, None]
        places = pending.nonzero()
        images, positions = rows[places[:, 0]], places[:, 1]
        keys, values = layer.key_value(layer.self_norm(self.states[images, positions])).chunk(2, dim=-1)
        self.keys[index][images, :, positions] = keys.unflatten(-1, (layer.heads, -1))
        self.values[index][images, :, positions] = values.unflatten(-1, (layer.heads, -1))
        self.filled[index, rows] = position + 1
        self.operations[rows] += costs.layer(position) + pending.sum(1) * costs.token_keys()
        query = layer.query(layer.self_norm(hidden)).view(len(rows), layer.heads, 1, -1)
        attended = functional.scaled_dot_product_attention(
            query, self.keys[index][rows, :, : position + 1], self.values[index][rows, :, : position + 1]
        )
        hidden = hidden + layer.self_out(attended.flatten(1))
        new = rows[~self.has_image[index, rows]]
        if new.numel():
            keys, values = layer.cross_key_value(self.memory[new]).chunk(2, dim=-1)
            self.image_keys[index][new] = layer.split_heads(keys)
            self.image_values[index][new] = layer.split_heads(values)
            self.has_image[index, new] = True
            for row in new.tolist():
                self.captions[row].image_operations += costs.image_keys()
        query = layer.cross_query(layer.cross_norm(hidden)).view(len(rows), layer.heads, 1, -1)
        attended = functional.scaled_dot_product_attention(
            query, self.image_keys[index][rows], self.image_values[index][rows]
        )
        hidden = hidden + layer.cross_out(attended.flatten(1))
        return hidden + layer.outer(functional.gelu(layer.inner(layer.inner_norm(hidden))))


def in_batches(decoder: Decoder, cells: Iterator[Tensor], plan: Plan) -> list[Caption]:
    """Captions of batches of images, one after the other."""
    return [caption for batch in cells for caption in decoder.captions(batch, plan)]


def mean_depth(captions: Sequence[Caption]) -> float:
    """Layers a token, over all tokens."""
    return float(np.mean([depth for caption in captions for depth in caption.depths]))
