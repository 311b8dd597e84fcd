"""From the data to the cache: what `beem-policy extract` runs. Needs the extra `torch`."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from ..errors import InputError
from .cache_file import cache_layout, cache_writer
from .data import Data
from .encoders import Images, Rows, Texts, batches_by_length, load_model
from .records import Record
from .splits import TRAIN

FEATURE_TYPES = {"f32": ("F32", torch.float32), "f16": ("F16", torch.float16), "bf16": ("BF16", torch.bfloat16)}
COMPUTE_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def parse_layers(choice: str, layer_count: int) -> list[int]:
    """`all`, or a list such as `1,4,8-12`: layers from 1 to L, increasing (so are the exits)."""
    if choice == "all":
        return list(range(1, layer_count + 1))
    layers: list[int] = []
    for part in choice.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InputError(
                "malformed", f"--layers {choice}", seen=repr(part), expected="a layer or a range of layers"
            )
        layers.extend(range(int(first), int(last if dash else first) + 1))
    if not layers or layers != sorted(set(layers)) or layers[0] < 1 or layers[-1] > layer_count:
        raise InputError("out-of-range", "--layers", seen=choice, expected=f"increasing layers from 1 to {layer_count}")
    return layers


def storable(
    features: torch.Tensor, dtype: torch.dtype, rows: Sequence[int], records: Sequence[Record], layer: int, data: Path
) -> npt.NDArray[Any]:
    """The features in the type of the cache; one that is not finite there is an error that names row and layer."""
    stored = features.to(dtype)
    finite = torch.isfinite(stored)
    if not finite.all():
        place, column = (~finite).nonzero()[0].tolist()
        row = rows[place]
        value = features[place, column].item()
        reason = "is not finite" if not np.isfinite(value) else f"does not fit into {str(dtype).removeprefix('torch.')}"
        raise InputError(
            "not-finite",
            os.fspath(data),
            f"{records[row].place(row)}, layer {layer}",
            seen=f"feature {column} is {value:g}, which {reason}",
            expected="finite features",
            advice="The encoder is broken." if not np.isfinite(value) else "Take --dtype bf16 or f32.",
        )
    if dtype == torch.bfloat16:
        stored = stored.view(torch.uint16)
    values: npt.NDArray[Any] = stored.cpu().numpy()
    return values


class Progress:
    """A line on standard error that says how far the work is, in tokens, for they are what takes the time."""

    def __init__(self, total: int, is_shown: bool) -> None:
        self.total = total
        self.done = 0
        self.is_shown = is_shown
        self.start = time.monotonic()

    def advance(self, amount: int) -> None:
        self.done += amount
        if not self.is_shown:
            return
        seconds = time.monotonic() - self.start
        left = seconds * (self.total - self.done) / self.done
        filled = 30 * self.done // self.total
        bar = "#" * filled + "." * (30 - filled)
        print(
            f"\r[{bar}] {self.done / self.total:4.0%}  {self.done / seconds:,.0f} tokens/s  {left:,.0f} s left   ",
            end="" if self.done < self.total else "\n",
            file=sys.stderr,
            flush=True,
        )


def backbone_name(options: argparse.Namespace) -> str:
    """What the cache calls the encoder: the hub id, or of a local folder its name only, which is no one's secret."""
    if options.backbone is not None:
        return str(options.backbone)
    folder = Path(options.model)
    name = folder.resolve().name if folder.is_dir() else str(options.model)
    if options.revision is not None:
        name += f"@{options.revision}"
    return f"{name}, {options.pooling} pooling"


def make_repeatable(threads: int | None) -> None:
    """Have torch add up in the same order in every run; on a CPU that order depends on the number of threads too."""
    if threads is not None:
        torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses to be deterministic on CUDA
    torch.use_deterministic_algorithms(True)


def extract(data: Data, options: argparse.Namespace) -> None:
    """Runs the encoder over the rows and writes the cache; says on standard output what was written."""
    notes: Any = transformers.utils.logging
    notes.disable_progress_bar()  # its own bars and notes would show where ours is to be silent
    notes.set_verbosity_error()
    make_repeatable(options.threads)
    records = data.records
    model = load_model(options.model, options.revision, COMPUTE_TYPES[options.compute], options.device)
    rows: Rows
    if data.images is None:
        texts = Texts.load(
            options.model, options.revision, model, options.pooling, records, data.path, options.max_length
        )
        at_limit = sum(length == texts.max_length for length in texts.lengths)
        rows, size = texts, f"{at_limit:,} rows have {texts.max_length} tokens, the limit, or were cut to it"
    else:
        images = Images.load(options.model, options.revision, model, options.pooling, records, data.images, data.path)
        rows, size = images, f"{images.tokens} for each image"
    lengths = rows.lengths
    print(f"{len(records):,} rows, {sum(lengths):,} tokens; {size}", file=sys.stderr)

    # One row through the encoder tells how many layers there are and how wide they are, whatever its config calls it.
    probe = rows.layers([0])
    layers = parse_layers(options.layers, len(probe))
    stored_name, stored_type = FEATURE_TYPES[options.dtype]
    widths = [probe[layer - 1].shape[1] for layer in layers]
    layout = cache_layout(len(records), widths, stored_name, data.groups is not None)
    metadata = {
        "classes": json.dumps(data.classes, ensure_ascii=False),
        "exits": json.dumps([f"layer {layer}" for layer in layers]),
        "backbone": backbone_name(options),
        "source": options.source,
        "license": options.license,
    }
    progress = Progress(sum(lengths), options.progress or sys.stderr.isatty())
    with cache_writer(options.output, layout, metadata) as tensors:
        tensors["labels"][:] = data.labels
        if data.groups is not None:
            tensors["group"][:] = data.groups
        tensors["split"][:] = data.splits
        for batch in batches_by_length(lengths, options.batch_tokens):
            states = rows.layers(batch)
            for exit_index, layer in enumerate(layers):
                tensors[f"features.{exit_index}"][batch] = storable(
                    states[layer - 1], stored_type, batch, records, layer, data.path
                )
            progress.advance(sum(lengths[row] for row in batch))
    report(options.output, data, time.monotonic() - progress.start)


def report(output: Path, data: Data, seconds: float) -> None:
    """Say what was written, with the digest that a recipe's README may state."""
    digest = hashlib.sha256()
    with open(output, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    counts = Counter(data.labels)
    train_rows = int((data.splits == TRAIN).sum())
    print(f"{output}: {len(data.labels):,} rows, {train_rows:,} to train, in {seconds:,.0f} s")
    print("classes: " + ", ".join(f"{name} {counts[index]:,}" for index, name in enumerate(data.classes)))
    print(f"{output.stat().st_size:,} bytes, sha256 {digest.hexdigest()}")
