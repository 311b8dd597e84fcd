"""Run a Hugging Face encoder over labelled texts and keep one feature vector per layer: a feature cache for `beem`.

    python extract.py --model FOLDER-OR-HUB-ID --data reviews.jsonl --output features.safetensors \
        --source "where the texts come from" --license "of the texts; of the weights"

The cache holds `features.<i>` [N, D] for every chosen layer, `labels` [N], `split` [N] (0 for the drawn train rows, 255
for the rest, which the recipe splits further), `group` [N] where a group column is given, and as metadata what the
design of the toolkit lists. The same input gives the same bytes on the same machine and versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModel, AutoTokenizer

# Pooling is the code that serves: that of this checkout, whether or not the package is installed. A copy of this folder
# elsewhere needs the package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy.pooling import POOLINGS, pool
from cache_file import CacheWriter, cache_layout
from records import FORMATS, Columns, Record, RecordError, class_names, group_numbers, read_records
from train_draw import draw_train_groups, draw_train_rows

TRAIN, NOT_ASSIGNED = 0, 255

FEATURE_TYPES = {"f32": ("F32", torch.float32), "f16": ("F16", torch.float16), "bf16": ("BF16", torch.bfloat16)}
COMPUTE_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}

# Where neither tokenizer nor config states a limit, tokenizers claim an absurd one.
PLAUSIBLE_MAX_LENGTH = 1 << 20
FALLBACK_MAX_LENGTH = 512


class ExtractionError(Exception):
    """The encoder cannot be used as asked, or gave features that a cache cannot hold."""


# --- from texts to tokens ------------------------------------------------------------------------------------------


def token_limit(tokenizer: transformers.PreTrainedTokenizerBase, config: transformers.PretrainedConfig) -> int:
    """The longest input the encoder takes, in tokens, as far as its files say."""
    if tokenizer.model_max_length < PLAUSIBLE_MAX_LENGTH:
        return tokenizer.model_max_length
    return getattr(config, "max_position_embeddings", None) or FALLBACK_MAX_LENGTH


def tokenize(
    records: Sequence[Record], tokenizer: transformers.PreTrainedTokenizerBase, max_length: int
) -> list[dict[str, list[int]]]:
    """The token ids of every row (and token types, where the encoder has them), cut to `max_length`."""
    pairs = None if records[0].pair is None else [record.pair for record in records]
    encoded = tokenizer([record.text for record in records], pairs, truncation=True, max_length=max_length)
    return [{name: values[row] for name, values in encoded.items()} for row in range(len(records))]


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


# --- from tokens to features ---------------------------------------------------------------------------------------


def parse_layers(choice: str, layer_count: int) -> list[int]:
    """`all`, or a list such as `1,4,8-12`: layers from 1 to L, increasing (so are the exits)."""
    if choice == "all":
        return list(range(1, layer_count + 1))
    layers: list[int] = []
    for part in choice.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ExtractionError(f"--layers {choice}: {part!r} is neither a layer nor a range of layers")
        layers.extend(range(int(first), int(last if dash else first) + 1))
    if not layers or layers != sorted(set(layers)) or layers[0] < 1 or layers[-1] > layer_count:
        raise ExtractionError(f"--layers {choice}: expected increasing layers from 1 to {layer_count}")
    return layers


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder with all that turns rows of tokens into features."""

    model: transformers.PreTrainedModel
    tokenizer: transformers.PreTrainedTokenizerBase
    pooling: str

    @staticmethod
    def load(name: str, revision: str | None, pooling: str, compute_type: torch.dtype, device: str) -> Encoder:
        # Code that comes with a model is not run: transformers asks for `trust_remote_code`, and it is never given.
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
            model = AutoModel.from_pretrained(name, revision=revision, dtype=compute_type)
        except (OSError, ValueError) as error:
            raise ExtractionError(f"{name}: transformers cannot load it: {error}") from error
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        if tokenizer.pad_token is None:
            if tokenizer.eos_token is None:
                raise ExtractionError(f"{name}: the tokenizer has no token to pad with")
            tokenizer.pad_token = tokenizer.eos_token  # which one does not matter: padding is masked
        return Encoder(model.eval().to(device), tokenizer, pooling)

    @torch.inference_mode()
    def layers(self, rows: Sequence[dict[str, list[int]]]) -> list[torch.Tensor]:
        """The pooled features of layers 1...L, each [rows, width] in Float32; the embeddings below layer 1 stay out."""
        inputs = self.tokenizer.pad(list(rows), return_tensors="pt").to(self.model.device)
        states = self.model(**inputs, output_hidden_states=True).hidden_states[1:]
        return [pool(hidden, inputs["attention_mask"], self.pooling) for hidden in states]


def storable(
    features: torch.Tensor, dtype: torch.dtype, rows: Sequence[int], records: Sequence[Record], layer: int
) -> np.ndarray:
    """The features in the type of the cache; one that is not finite there is an error that names row and layer."""
    stored = features.to(dtype)
    finite = torch.isfinite(stored)
    if not finite.all():
        place, column = (~finite).nonzero()[0].tolist()
        row = rows[place]
        value = features[place, column].item()
        reason = "is not finite" if not np.isfinite(value) else f"does not fit into {str(dtype).removeprefix('torch.')}"
        raise ExtractionError(
            f"row {row} (line {records[row].line}), layer {layer}: feature {column} is {value:g}, which {reason}"
        )
    if dtype == torch.bfloat16:
        stored = stored.view(torch.uint16)
    return stored.cpu().numpy()


# --- progress ------------------------------------------------------------------------------------------------------


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


# --- the command ---------------------------------------------------------------------------------------------------


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Run an encoder over labelled texts and write the features of every layer as a cache for beem.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="a folder with the encoder, or its id on the hub")
    parser.add_argument("--revision", help="the commit of the encoder on the hub; pin it to be able to repeat the run")
    parser.add_argument("--data", type=Path, required=True, help="texts and labels, in UTF-8")
    parser.add_argument("--format", choices=FORMATS, help="of --data (default: as its name ends)")
    parser.add_argument("--output", type=Path, required=True, help="the cache to write (.safetensors)")

    columns = parser.add_argument_group("columns")
    columns.add_argument("--text-column", default="text", help="the text")
    columns.add_argument("--pair-column", help="the second text of a pair")
    columns.add_argument("--label-column", default="label", help="the class")
    columns.add_argument("--group-column", help="rows with the same value are never divided between splits")
    columns.add_argument(
        "--no-header", action="store_true", help="CSV or TSV without names: columns are numbers, from 1"
    )
    columns.add_argument(
        "--classes", nargs="+", metavar="CLASS", help="the classes in the order of their numbers (else sorted)"
    )

    features = parser.add_argument_group("features")
    features.add_argument("--pooling", choices=POOLINGS, default="mean", help="from token states to one vector")
    features.add_argument("--layers", default="all", help="which layers become exits, such as 1,4,8-12")
    features.add_argument("--dtype", choices=tuple(FEATURE_TYPES), default="f16", help="type in the cache")
    features.add_argument("--max-length", type=int, help="cut texts to so many tokens (default: the encoder's limit)")

    split = parser.add_argument_group("train split")
    split.add_argument("--train-fraction", type=float, default=0.5, help="of every class, drawn")
    split.add_argument("--seed", type=int, default=7, help="of that draw")

    notes = parser.add_argument_group("what the cache says about itself")
    notes.add_argument("--backbone", help="name of the encoder (default: from --model, with the pooling)")
    notes.add_argument("--source", default="", help="where the texts come from")
    notes.add_argument("--license", default="", help="the terms of texts and weights")

    running = parser.add_argument_group("running")
    running.add_argument("--compute", choices=tuple(COMPUTE_TYPES), default="f32", help="type inside the encoder")
    running.add_argument("--batch-tokens", type=int, default=2048, help="tokens of a batch, padding included")
    running.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of the encoder on a CPU")
    running.add_argument("--device", default="cpu", help="a torch device, such as cuda")
    running.add_argument("--progress", action="store_true", help="show progress although standard error is no terminal")

    options = parser.parse_args(arguments)
    if not 0 <= options.train_fraction <= 1:
        parser.error("--train-fraction: expected a number from 0 to 1")
    for name in ("batch_tokens", "threads", "max_length"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')}: expected a number from 1")
    if not options.output.absolute().parent.is_dir():
        parser.error(f"--output: there is no folder {options.output.absolute().parent}")  # now, not after the run
    return options


def backbone_name(options: argparse.Namespace) -> str:
    """What the cache calls the encoder: the hub id, or of a local folder its name only, which is no one's secret."""
    if options.backbone is not None:
        return options.backbone
    folder = Path(options.model)
    name = folder.resolve().name if folder.is_dir() else options.model
    if options.revision is not None:
        name += f"@{options.revision}"
    return f"{name}, {options.pooling} pooling"


def make_repeatable(threads: int) -> None:
    """Have torch add up in the same order in every run; on a CPU that order depends on the number of threads too."""
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses to be deterministic on CUDA
    torch.use_deterministic_algorithms(True)


def split_codes(labels: Sequence[int], groups: Sequence[int] | None, fraction: float, seed: int) -> np.ndarray:
    """The `split` tensor: 0 for the rows drawn for training, 255 for the others."""
    if groups is None:
        is_train = draw_train_rows(labels, fraction, seed)
    else:
        is_train = draw_train_groups(labels, groups, fraction, seed)
    return np.where(is_train, TRAIN, NOT_ASSIGNED).astype(np.uint8)


def extract(options: argparse.Namespace) -> None:
    """From the data file to the cache; says on standard output what was written."""
    columns = Columns(options.text_column, options.label_column, options.pair_column, options.group_column)
    records = read_records(options.data, columns, not options.no_header, options.format)
    classes = class_names(records, options.classes, options.data)
    if len(classes) < 2:
        raise RecordError(f"{options.data}: expected two classes or more, saw {classes}")
    labels = [classes.index(record.label) for record in records]
    groups = group_numbers(records)

    make_repeatable(options.threads)
    encoder = Encoder.load(
        options.model, options.revision, options.pooling, COMPUTE_TYPES[options.compute], options.device
    )
    max_length = options.max_length or token_limit(encoder.tokenizer, encoder.model.config)
    tokens = tokenize(records, encoder.tokenizer, max_length)
    lengths = [len(row["input_ids"]) for row in tokens]
    for row, length in enumerate(lengths):
        if length == 0:
            raise RecordError(f"{options.data}:{records[row].line}: the tokenizer makes no token of this text")
    at_limit = sum(length == max_length for length in lengths)
    print(
        f"{len(records):,} rows, {sum(lengths):,} tokens; "
        f"{at_limit:,} rows have {max_length} tokens, the limit, or were cut to it",
        file=sys.stderr,
    )

    # One row through the encoder tells how many layers there are and how wide they are, whatever its config calls it.
    probe = encoder.layers(tokens[:1])
    layers = parse_layers(options.layers, len(probe))
    stored_name, stored_type = FEATURE_TYPES[options.dtype]
    layout = cache_layout(
        len(records), [probe[layer - 1].shape[1] for layer in layers], stored_name, groups is not None
    )
    metadata = {
        "classes": json.dumps(classes, ensure_ascii=False),
        "exits": json.dumps([f"layer {layer}" for layer in layers]),
        "backbone": backbone_name(options),
        "source": options.source,
        "license": options.license,
    }
    progress = Progress(sum(lengths), options.progress or sys.stderr.isatty())
    with CacheWriter(options.output, layout, metadata) as writer:
        writer.tensors["labels"][:] = labels
        if groups is not None:
            writer.tensors["group"][:] = groups
        split = split_codes(labels, groups, options.train_fraction, options.seed)
        writer.tensors["split"][:] = split
        for rows in batches_by_length(lengths, options.batch_tokens):
            states = encoder.layers([tokens[row] for row in rows])
            for exit_index, layer in enumerate(layers):
                values = storable(states[layer - 1], stored_type, rows, records, layer)
                writer.tensors[f"features.{exit_index}"][rows] = values
            progress.advance(sum(lengths[row] for row in rows))
    report(options.output, classes, labels, int((split == TRAIN).sum()), time.monotonic() - progress.start)


def report(output: Path, classes: Sequence[str], labels: Sequence[int], train_rows: int, seconds: float) -> None:
    """Say what was written, with the digest that a recipe's README may state."""
    counts = Counter(labels)
    with open(output, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    print(f"{output}: {len(labels):,} rows, {train_rows:,} to train, in {seconds:,.0f} s")
    print("classes: " + ", ".join(f"{name} {counts[index]:,}" for index, name in enumerate(classes)))
    print(f"{output.stat().st_size:,} bytes, sha256 {digest}")


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    # Its own bars and notes would show where ours is to be silent.
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        extract(options)
    except (RecordError, ExtractionError, OSError) as error:
        print(f"extract.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
