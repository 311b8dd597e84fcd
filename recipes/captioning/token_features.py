"""Tokens as samples for `beem`: the exit states of every layer under teacher forcing, the next token as the label.

    python token_features.py --captioner captioner.safetensors --captions FOLDER --features grid.safetensors \
        --output tokens.safetensors [--train-images 1000] [--outputs tokens-outputs.safetensors] [--own]

`--output` is a feature cache: `features.<i>` [tokens, 256] F16 is the exit state after layer i + 1 (its LayerNorm and
square map applied: the shared output matrix times it are the logits), `labels` the next token, `group` the image,
`split` 0 for train images, 1 and 2 for the tune and certify halves of the dev images, 3 for test images.
`--outputs` is what the captioner's own heads say of the same tokens: `label.<i>` and `confidence.<i>`. With `--own` the
captions are the greedy ones of the full decoder instead of the references, so every label is what its last exit says.

`beem` trains heads only where every class is in every split, which no vocabulary is. With `--classes common` the words that
are in all four splits are the classes, and all other words count as `<unknown>`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy.extract.cache_file import TensorShape, cache_layout, cache_writer
from beem_policy.rules import predictions
from captions import (
    LONGEST_CAPTION,
    UNKNOWN,
    CaptionedImage,
    CaptionError,
    Vocabulary,
    read_captions,
    tune_half,
)
from decoder import Decoder, Plan, in_batches
from features import GridFeatures
from generate import batches_of
from heads import BATCH_IMAGES, load_heads
from model import Captioner, TokenBatch, load_captioner
from script import run

TRAIN, TUNE, CERTIFY, TEST = range(4)


def token_splits(images: Sequence[CaptionedImage]) -> list[int]:
    """The split of every image in `beem`'s numbers."""
    tune = tune_half(image.name for image in images if image.split == "dev")
    numbers = {"train": TRAIN, "test": TEST}
    return [numbers.get(image.split, TUNE if image.name in tune else CERTIFY) for image in images]


def encoded_captions(images: Sequence[CaptionedImage], vocabulary: Vocabulary) -> list[list[list[int]]]:
    return [[vocabulary.encoded(caption) for caption in image.captions] for image in images]


def own_captions(model: Captioner, features: GridFeatures, rows: Sequence[int]) -> list[list[list[int]]]:
    """The full decoder's greedy caption of every image, one each."""
    decoder, plan = Decoder(model), Plan.truncated(model.shape.layers)
    captions = in_batches(decoder, batches_of(features, rows, 100), plan)
    return [[caption.tokens[: LONGEST_CAPTION + 1]] for caption in captions]


def token_batches(
    captions: Sequence[Sequence[Sequence[int]]], order: Sequence[int]
) -> Iterator[tuple[list[int], TokenBatch]]:
    """Images of like number of captions together, in the order given: their places in it, and their tokens."""
    first = 0
    while first < len(order):
        count = len(captions[first])
        last = first
        while last < len(order) and last - first < BATCH_IMAGES and len(captions[last]) == count:
            last += 1
        yield list(range(first, last)), TokenBatch.of(captions[first:last])
        first = last


@dataclass(frozen=True)
class Classes:
    """What tokens are called in the cache."""

    names: tuple[str, ...]
    number_of: npt.NDArray[np.int64]
    """[vocabulary]: the class of every word."""

    @staticmethod
    def whole(vocabulary: Vocabulary) -> Classes:
        return Classes(vocabulary.words, np.arange(len(vocabulary)))

    @staticmethod
    def common(vocabulary: Vocabulary, captions: Sequence[Sequence[Sequence[int]]], splits: Sequence[int]) -> Classes:
        """Words in the captions of all splits, in the vocabulary's order; the others are one with `<unknown>`.

        - splits: of every image of `captions`.
        """
        seen: dict[int, set[int]] = {split: set() for split in (TRAIN, TUNE, CERTIFY, TEST)}
        for image, split in zip(captions, splits, strict=True):
            seen[split].update(word for caption in image for word in caption)
        kept = sorted(set.intersection(*seen.values()) | {UNKNOWN})  # in Flickr8k every split has unknown words
        number_of = np.full(len(vocabulary), kept.index(UNKNOWN))
        number_of[kept] = np.arange(len(kept))
        return Classes(tuple(vocabulary.words[word] for word in kept), number_of)


def write_tokens(
    model: Captioner,
    classes: Classes,
    features: GridFeatures,
    rows: Sequence[int],
    splits: Sequence[int],
    captions: Sequence[Sequence[Sequence[int]]],
    decoder: Decoder,
    cache: Path | None,
    outputs: Path | None,
    layers: Sequence[int],
) -> int:
    """Write the cache, the outputs, or both, row by row; the number of tokens. `layers` from 1; `splits` by row."""
    count = sum(len(caption) for image in captions for caption in image)
    metadata = {
        "classes": json.dumps(classes.names, ensure_ascii=False),
        "exits": json.dumps([f"layer {layer}" for layer in layers]),
        "backbone": "recipes/captioning: decoder of 8 layers on EfficientNet-Lite0",
        "source": "tokens of captions; group = image",
        "license": "see the captions' own",
    }
    output_layout = {"labels": TensorShape("I32", (count,)), "group": TensorShape("I32", (count,))}
    for index in range(len(layers)):
        output_layout |= {
            f"label.{index}": TensorShape("I32", (count,)),
            f"confidence.{index}": TensorShape("F32", (count,)),
        }
    output_layout["split"] = TensorShape("U8", (count,))
    done, start = 0, time.monotonic()
    with ExitStack() as stack:
        writers = []
        feature_rows = label_rows = None
        if cache is not None:
            layout = cache_layout(count, [model.shape.width] * len(layers), "F16", has_groups=True)
            writers.append(stack.enter_context(cache_writer(cache, layout, metadata)))
            feature_rows = writers[-1]
        if outputs is not None:
            writers.append(stack.enter_context(cache_writer(outputs, output_layout, metadata)))
            label_rows = writers[-1]
        for places, batch in token_batches(captions, rows):
            here = slice(done, done + len(batch.targets))
            with torch.inference_mode():
                states = model.hidden_states(features.cells([rows[place] for place in places]), batch)
                for writer in writers:
                    writer["labels"][here] = classes.number_of[batch.targets.numpy()]
                    writer["group"][here] = np.array([rows[place] for place in places])[batch.images.numpy()]
                    writer["split"][here] = np.array([splits[rows[place]] for place in places])[batch.images.numpy()]
                for index, layer in enumerate(layers):
                    hidden = states[layer - 1]
                    if feature_rows is not None:
                        feature_rows[f"features.{index}"][here] = model.exits[layer - 1](hidden).half().numpy()
                    if label_rows is not None:
                        labels, confidences = predictions(decoder.logits(layer, hidden).numpy())
                        label_rows[f"label.{index}"][here] = classes.number_of[labels]
                        label_rows[f"confidence.{index}"][here] = confidences
            done = here.stop
            if places[-1] % 500 < BATCH_IMAGES:
                seconds = time.monotonic() - start
                print(f"{done:,}/{count:,} tokens, {done / seconds:,.0f} tokens/s", file=sys.stderr, flush=True)
    return count


def chosen_rows(splits: Sequence[int], features: GridFeatures, train_images: int | None) -> list[int]:
    """All rows, or only the first `train_images` of train: a vocabulary is not learnt anew from fewer."""
    train = [row for row in range(len(features.names)) if splits[row] == TRAIN][:train_images]
    return train + [row for row in range(len(features.names)) if splits[row] != TRAIN]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tokens of captions as a feature cache of beem.")
    parser.add_argument("--captioner", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--heads", type=Path, help="low-rank heads, for --outputs")
    parser.add_argument("--layers", type=int, nargs="+", help="from 1; default: all")
    parser.add_argument("--train-images", type=int, help="only the first; default: all")
    parser.add_argument(
        "--classes", choices=("vocabulary", "common"), default="vocabulary", help="all words, or those of all splits"
    )
    parser.add_argument("--own", action="store_true", help="the captioner's own captions instead of the references")
    parser.add_argument("--output", type=Path, help="the feature cache")
    parser.add_argument("--outputs", type=Path, help="labels and confidences of the captioner's own heads")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    if options.output is None and options.outputs is None:
        raise CaptionError("nothing to write: say --output, --outputs or both")
    model, vocabulary = load_captioner(options.captioner)
    layers = options.layers or list(range(1, model.shape.layers + 1))
    if sorted(set(layers)) != layers or layers[0] < 1 or layers[-1] != model.shape.layers:
        raise CaptionError(f"--layers {layers}; expected rising from 1, the last {model.shape.layers}")
    images, features = read_captions(options.captions), GridFeatures.open(options.features)
    if [image.name for image in images] != features.names:
        raise CaptionError(f"{options.features}: made from other images than {options.captions}; make it again")
    splits = token_splits(images)
    rows = chosen_rows(splits, features, options.train_images)
    if options.own:
        captions = own_captions(model, features, rows)
    else:
        captions = encoded_captions([images[row] for row in rows], vocabulary)
    classes = Classes.whole(vocabulary)
    if options.classes == "common":
        classes = Classes.common(vocabulary, captions, [splits[row] for row in rows])
    decoder = Decoder(model, load_heads(options.heads) if options.heads else None)
    count = write_tokens(
        model, classes, features, rows, splits, captions, decoder, options.output, options.outputs, layers
    )
    print(f"{count:,} tokens of {len(rows):,} images, {len(classes.names):,} classes", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
