"""A page to look at: sample images with the full decoder's caption, the policy's, and the layer each of its words left at.

    python page.py --captioner captioner.safetensors --captions FOLDER --features grid.safetensors \
        --heads heads-64.safetensors --policy policy.json --output page.html [--count 24] [--seed 7]

The images are drawn by the seed and nothing else, so none is there because it looks good. The page holds images and
captions of the data set: it is for the screen of whoever made it, and belongs into no repository.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# The rules are those of this checkout, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import Policy
from captions import HALVES, SPLITS, CaptionError, read_captions
from decoder import Caption, Decoder, Plan, mean_depth
from features import GridFeatures
from generate import read_policy
from heads import heads_of
from images import ImageSource, places_of_images
from model import load_captioner, write_atomically
from PIL import Image
from samples import Sample, page
from script import run

SIDE = 320
"""The longer side of an image on the page, in pixels."""


def jpeg(image: Image.Image) -> bytes:
    """The image, made smaller where it is larger than the page shows."""
    shown = image.copy()
    shown.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def drawn_rows(rows: Sequence[int], count: int, seed: int) -> list[int]:
    """`count` of the rows, in their order; all where there are no more."""
    drawn = np.random.default_rng(seed).permutation(len(rows))[:count]
    return [rows[place] for place in sorted(drawn.tolist())]


def notes_of(policy: Policy, early: Sequence[Caption], layers: int, split: str) -> list[str]:
    """What stands above the images: what they are, and what the policy's certificate says."""
    depth = mean_depth(early)
    what = (
        f"{len(early)} {split} images, drawn at random. The full decoder runs {layers} layers for every word; the policy "
        f"{policy.name} ran {depth:.1f} on these, which is {layers / depth:.2f}x in layers."
    )
    return [what, claim(policy)]


def claim(policy: Policy) -> str:
    """The certificate in a sentence. Of single captions it says nothing."""
    certificate = policy.certificate
    if certificate is None or certificate.measured_loss is None:
        return "The policy has no certificate about whole captions."
    loss = certificate.measured_loss
    return (
        f"Certified on {certificate.samples} other images: over images like them the mean of {loss.name} is at most "
        f"{certificate.allowed_gap:g} above the full decoder's (failure probability {certificate.failure_probability:g}). "
        "That is a mean: single captions may be worse."
    )


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A page of sample images, captions and exits.")
    parser.add_argument("--captioner", type=Path, required=True)
    parser.add_argument(
        "--captions", type=Path, required=True, help="Flickr8k's folder, or COCO's JSON or folder of it"
    )
    parser.add_argument("--images", type=Path, nargs="+", help="folders or tar archives; default: beside the captions")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--heads", type=Path, help="low-rank heads, of heads.py; default: the shared output matrix")
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--split", choices=(*SPLITS, *HALVES), default="test")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    model, vocabulary = load_captioner(options.captioner)
    features = GridFeatures.open(options.features)
    images = read_captions(options.captions)
    if [image.name for image in images] != features.names:
        raise CaptionError(f"{options.features}: made from other images than {options.captions}; make it again")
    rows = drawn_rows(features.rows(options.split), options.count, options.seed)
    if not rows:
        raise CaptionError(
            f"{options.features}: no {options.split} images, or --count {options.count}; nothing to show"
        )
    folder = options.captions if options.captions.is_dir() else options.captions.parent
    source = ImageSource(options.images or places_of_images(folder))
    missing = source.missing(features.names[row] for row in rows)
    if missing:
        raise CaptionError(f"{len(missing)} of {len(rows)} images are missing, the first is {missing[0]}")
    policy = read_policy(options.policy)
    cells = features.cells(rows)
    final = Decoder(model).captions(cells, Plan.truncated(model.shape.layers))
    early = Decoder(model, heads_of(policy, options.heads)).captions(cells, Plan.of(policy, model))
    samples = [
        Sample(
            name=features.names[row],
            jpeg=jpeg(source.read(features.names[row])),
            references=images[row].captions,
            final=tuple(vocabulary.words[word] for word in full.tokens),
            early=tuple(vocabulary.words[word] for word in own.tokens),
            layers=tuple(own.depths),
        )
        for row, full, own in zip(rows, final, early)
    ]
    notes = notes_of(policy, early, model.shape.layers, options.split)
    text = page("Captions with early exits", notes, samples, model.shape.layers)
    write_atomically(options.output, text.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
