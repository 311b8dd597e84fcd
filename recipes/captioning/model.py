"""The captioner: a Transformer decoder over the grid of an image, with an exit after every layer.

Pre-norm layers of self-attention, attention to the image and a feed-forward part. Exit i is a LayerNorm, a square linear
map that starts as the identity, and the output matrix, which all exits share with the input embedding.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from captions import LONGEST_CAPTION, PAD, START, CaptionError, Vocabulary
from cpu import ByteDropout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

FORMAT = "beem-captioner"


@dataclass(frozen=True)
class Shape:
    """The dimensions of a captioner."""

    vocabulary: int
    layers: int = 8
    width: int = 256
    heads: int = 4
    inner: int = 1024
    positions: int = LONGEST_CAPTION + 1
    cells: int = 49
    cell_width: int = 320
    head_width: int = 1280

    @property
    def head_dimension(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True)
class TokenBatch:
    """Captions as the decoder learns from them; `captions` of an image lie one after the other.

    Linear maps run on the valid tokens alone, in rows [tokens]; attention on the padded square [captions, longest].
    """

    inputs: Tensor
    """[tokens]: `START`, then the words."""
    targets: Tensor
    """[tokens]: the words, then `END`."""
    positions: Tensor
    """[tokens]: the place in the caption, from 0."""
    places: Tensor
    """[tokens]: the place in the flattened square."""
    images: Tensor
    """[tokens]: the image, counted in the batch."""
    image_count: int
    captions_per_image: int
    longest: int

    @staticmethod
    def of(captions: Sequence[Sequence[Sequence[int]]]) -> TokenBatch:
        """From encoded captions (which end in `END`) by image; all images have the same number of them."""
        per_image = len(captions[0])
        flat = [caption for image in captions for caption in image]
        if len(flat) != per_image * len(captions):
            raise ValueError("every image of a batch has the same number of captions")
        lengths = torch.tensor([len(caption) for caption in flat])
        longest = int(lengths.max())
        square = torch.full((len(flat), longest), PAD)
        for row, caption in enumerate(flat):
            square[row, : len(caption)] = torch.tensor(caption)
        shifted = torch.cat([torch.full((len(flat), 1), START), square[:, :-1]], dim=1)
        valid = torch.arange(longest)[None] < lengths[:, None]
        places = valid.flatten().nonzero()[:, 0]
        return TokenBatch(
            inputs=shifted.flatten()[places],
            targets=square.flatten()[places],
            positions=places % longest,
            places=places,
            images=places // longest // per_image,
            image_count=len(captions),
            captions_per_image=per_image,
            longest=longest,
        )

    def square(self, rows: Tensor) -> Tensor:
        """[tokens, D] -> [captions, longest, D], zero where there is no token."""
        count = self.image_count * self.captions_per_image
        padded = rows.new_zeros(count * self.longest, rows.shape[1])
        return padded.index_copy(0, self.places, rows).view(count, self.longest, -1)


class DecoderLayer(nn.Module):
    """One layer; `dropout` acts on what each of the three parts adds."""

    def __init__(self, shape: Shape, dropout: ByteDropout) -> None:
        super().__init__()
        self.heads = shape.heads
        width = shape.width
        self.self_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.self_out = nn.Linear(width, width)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_query = nn.Linear(width, width)
        self.cross_key_value = nn.Linear(width, 2 * width)
        self.cross_out = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, shape.inner)
        self.outer = nn.Linear(shape.inner, width)
        self.dropout = dropout

    def split_heads(self, rows: Tensor) -> Tensor:
        """[N, T, D] -> [N, heads, T, D / heads]"""
        return rows.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, hidden: Tensor, memory: Tensor, batch: TokenBatch) -> Tensor:
        """[tokens, width] and the images [images, cells, width] -> [tokens, width]."""
        normed = self.self_norm(hidden)
        queries = batch.square(self.query(normed).float())
        keys, values = batch.square(self.key_value(normed).float()).chunk(2, dim=-1)
        attended = attention(self.split_heads(queries), self.split_heads(keys), self.split_heads(values), True)
        attended = attended.transpose(1, 2).flatten(0, 1).flatten(1)[batch.places]
        hidden = hidden + self.dropout(self.self_out(attended))

        queries = batch.square(self.cross_query(self.cross_norm(hidden)).float())
        # The captions of an image attend to it together.
        queries = queries.view(batch.image_count, -1, queries.shape[-1])
        keys, values = self.cross_key_value(memory).float().chunk(2, dim=-1)
        attended = attention(self.split_heads(queries), self.split_heads(keys), self.split_heads(values), False)
        attended = attended.transpose(1, 2).flatten(0, 1).flatten(1)[batch.places]
        hidden = hidden + self.dropout(self.cross_out(attended))

        inner = functional.gelu(self.inner(self.inner_norm(hidden)))
        return hidden + self.dropout(self.outer(inner))


def attention(queries: Tensor, keys: Tensor, values: Tensor, is_causal: bool) -> Tensor:
    """Attention in F32, also where the linear maps run in BF16: four times faster than BF16 on CPUs."""
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=is_causal)


class Exit(nn.Module):
    """What an exit makes of the hidden state before the output matrix: the exit state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.linear.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.linear(self.norm(hidden))
        return result


class Captioner(nn.Module):
    """The decoder with its exits, and the frozen 1 x 1 head convolution in front of it."""

    head_weight: Tensor
    head_bias: Tensor

    def __init__(self, shape: Shape, dropout: float = 0.0, seed: int = 0) -> None:
        """`seed` is of the dropout; the initial parameters come from PyTorch's generator."""
        super().__init__()
        self.shape = shape
        self.dropout_generator = np.random.Generator(np.random.SFC64(seed))
        self.dropout = ByteDropout(dropout, self.dropout_generator)
        width = shape.width
        self.register_buffer("head_weight", torch.zeros(shape.head_width, shape.cell_width))
        self.register_buffer("head_bias", torch.zeros(shape.head_width))
        self.image_linear = nn.Linear(shape.head_width, width)
        self.image_norm = nn.LayerNorm(width)
        self.cell_position = nn.Parameter(torch.randn(shape.cells, width) * 0.02)
        self.embedding = nn.Embedding(shape.vocabulary, width)
        self.position = nn.Parameter(torch.randn(shape.positions, width) * 0.02)
        self.layers = nn.ModuleList(DecoderLayer(shape, self.dropout) for _ in range(shape.layers))
        self.exits = nn.ModuleList(Exit(width) for _ in range(shape.layers))
        self.output_bias = nn.Parameter(torch.zeros(shape.vocabulary))
        nn.init.normal_(self.embedding.weight, std=0.02)

    def memory(self, cells: Tensor) -> Tensor:
        """What the decoder sees of images: [images, cells, 320] -> [images, cells, width]."""
        wide = functional.relu6(functional.linear(cells, self.head_weight, self.head_bias))
        memory: Tensor = self.image_norm(self.image_linear(wide)) + self.cell_position
        dropped: Tensor = self.dropout(memory)
        return dropped

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Tokens [N] at positions [N] -> [N, width]; scaled to the size of a state, as the tied matrix is small."""
        rows: Tensor = self.embedding(tokens) * self.shape.width**0.5 + self.position[positions]
        dropped: Tensor = self.dropout(rows)
        return dropped

    def hidden_states(self, cells: Tensor, batch: TokenBatch) -> list[Tensor]:
        """The hidden state [tokens, width] after every layer, under teacher forcing."""
        memory = self.memory(cells)
        hidden = self.embed(batch.inputs, batch.positions)
        states: list[Tensor] = []
        for layer in self.layers:
            hidden = layer(hidden, memory, batch)
            states.append(hidden)
        return states

    def logits(self, exit_: int, hidden: Tensor) -> Tensor:
        """[N, width] after layer `exit_` (from 0) -> [N, vocabulary]."""
        return functional.linear(self.exits[exit_](hidden), self.embedding.weight, self.output_bias)


# --- files ---------------------------------------------------------------------------------------------------------


def write_atomically(path: Path, content: bytes) -> None:
    """The whole file or nothing: a temporary file in the same folder takes the name at the end."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # mkstemp's file is readable by its owner only
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def save_captioner(path: Path, model: Captioner, vocabulary: Vocabulary, notes: dict[str, str]) -> None:
    """Parameters in F16 (the frozen head too) with the words and dimensions as metadata."""
    tensors = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "shape": json.dumps(asdict(model.shape)),
        "words": json.dumps(vocabulary.words, ensure_ascii=False),
        **notes,
    }
    write_atomically(path, save(tensors, metadata))


def load_captioner(path: Path) -> tuple[Captioner, Vocabulary]:
    """A captioner ready to use, computing in F32. Raises `CaptionError`."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CaptionError(f"{path}: format {metadata.get('format')!r}; expected {FORMAT!r}, made by train.py")
            shape = Shape(**json.loads(metadata["shape"]))
            vocabulary = Vocabulary(tuple(json.loads(metadata["words"])))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except FileNotFoundError:
        raise CaptionError(f"{path}: no such file; train.py makes it") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CaptionError(f"{path}: not a captioner that can be read: {error}") from None
    model = Captioner(shape)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CaptionError(f"{path}: tensors do not fit the dimensions of the metadata: {error}") from None
    return model.eval(), vocabulary
