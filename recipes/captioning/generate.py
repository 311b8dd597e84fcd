"""Generate captions, with or without token-level exits.

    python generate.py --captioner captioner.safetensors --features grid.safetensors --output captions.json \
        [--policy policy.json | --depth 4] [--heads heads-64.safetensors] [--split test]

Writes for every image its caption, the layer each token left at, the heads that were evaluated and the multiply-adds, and
the means. With `--time N` captions of the first N images are made one by one instead, and timed; several policies take
turns image by image, so that what else runs on the machine meets all of them alike.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

# The rules are those of this checkout, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import Policy
from captions import HALVES, SPLITS, CaptionError, Vocabulary
from decoder import Caption, Decoder, Plan, in_batches
from features import GridFeatures
from heads import heads_of
from model import load_captioner, write_atomically
from script import run
from torch import Tensor

FINAL = "final"


def batches_of(features: GridFeatures, rows: Sequence[int], batch: int) -> Iterator[Tensor]:
    for first in range(0, len(rows), batch):
        yield features.cells(rows[first : first + batch])


def means(captions: Sequence[Caption]) -> dict[str, float]:
    """What a caption took: tokens, layers a token, heads, multiply-adds.

    `tokenMultiplyAdds...` are of layers and heads, `multiplyAdds...` also of the image's part (`Costs.image` and
    `Costs.image_keys`). Those of the image network up to the grid are in neither: no exit changes them.
    """
    tokens = sum(len(caption.tokens) for caption in captions)
    layers = sum(sum(caption.depths) for caption in captions)
    operations = sum(caption.operations for caption in captions)
    image_operations = sum(caption.image_operations for caption in captions)
    return {
        "captions": len(captions),
        "tokensPerCaption": tokens / len(captions),
        "layersPerToken": layers / tokens,
        "layersPerCaption": layers / len(captions),
        "headsPerToken": sum(caption.heads for caption in captions) / tokens,
        "tokenMultiplyAddsPerCaption": operations / len(captions),
        "tokenMultiplyAddsPerToken": operations / tokens,
        "multiplyAddsPerCaption": (operations + image_operations) / len(captions),
    }


def result(name: str, names: Sequence[str], captions: Sequence[Caption], vocabulary: Vocabulary) -> dict[str, object]:
    """What is written: means, and a row for every image."""
    rows = [
        {
            "image_id": image,
            "caption": vocabulary.decoded(caption.tokens),
            "words": [vocabulary.words[token] for token in caption.tokens],
            "layers": caption.depths,
            "heads": caption.heads,
            "multiplyAdds": caption.operations + caption.image_operations,
        }
        for image, caption in zip(names, captions, strict=True)
    ]
    return {"policy": name, "means": means(captions), "images": rows}


def timed(
    runs: dict[str, tuple[Decoder, Plan]], cells: Sequence[Tensor], repeats: int
) -> dict[str, dict[str, float | list[float]]]:
    """Seconds a caption, one image at a time: wall clock, and time of the process on its cores.

    The best of `repeats` counts for each image: what else runs on the machine only ever adds.
    """
    wall = {name: np.full((repeats, len(cells)), np.inf) for name in runs}
    processor = {name: np.full((repeats, len(cells)), np.inf) for name in runs}
    tokens = dict.fromkeys(runs, 0)
    for repeat in range(repeats):
        for number, image in enumerate(cells):
            names = list(runs)
            # Turns rotate: none is always first after the one before it warmed the caches.
            shift = (number + repeat) % len(names)
            for name in names[shift:] + names[:shift]:
                decoder, plan = runs[name]
                start, start_processor = time.perf_counter(), time.process_time()
                caption = decoder.caption(image, plan)
                wall[name][repeat, number] = time.perf_counter() - start
                processor[name][repeat, number] = time.process_time() - start_processor
                if repeat == 0:
                    tokens[name] += len(caption.tokens)
    report: dict[str, dict[str, float | list[float]]] = {}
    first = next(iter(runs))
    for name in runs:
        best, best_processor = wall[name].min(0), processor[name].min(0)
        report[name] = {
            "secondsPerCaption": float(best.mean()),
            "processorSecondsPerCaption": float(best_processor.mean()),
            "secondsPerToken": float(best.sum() / tokens[name]),
            "speedUp": float(wall[first].min(0).sum() / best.sum()),
            "processorSpeedUp": float(processor[first].min(0).sum() / best_processor.sum()),
            "speedUpByRepeat": [float(wall[first][row].sum() / wall[name][row].sum()) for row in range(repeats)],
        }
    return report


def read_policy(path: Path) -> Policy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a policy without a certificate is what one generates with to get one
        return Policy.load(path)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Generate captions, with or without token-level exits.")
    parser.add_argument("--captioner", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument(
        "--heads", type=Path, help="low-rank heads, of heads.py, for policies that were chosen with them"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--policy", type=Path, nargs="+", help="policy files; several with --time only")
    which.add_argument("--depth", type=int, help="every token leaves after this layer, from 1; default: the last")
    parser.add_argument("--split", choices=(*SPLITS, *HALVES), default="test")
    parser.add_argument("--images", type=int, help="only the first images of the split")
    parser.add_argument("--time", type=int, metavar="N", help="time N images one by one, against the full decoder")
    parser.add_argument("--repeats", type=int, default=3, help="of --time")
    parser.add_argument(
        "--own-keys",
        action="store_true",
        help="tokens that left run on for their own keys and values: saves nothing, tells what propagation costs in quality",
    )
    parser.add_argument("--batch", type=int, default=100, help="images at once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True, help="JSON")
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    model, vocabulary = load_captioner(options.captioner)
    features = GridFeatures.open(options.features)
    if options.depth is not None and not 1 <= options.depth <= model.shape.layers:
        raise CaptionError(f"--depth {options.depth}; the captioner has {model.shape.layers} layers")
    full = Decoder(model)
    runs = {FINAL: (full, Plan.truncated(model.shape.layers))}
    if options.depth is not None:
        runs = {f"static-{options.depth}": (full, Plan.truncated(options.depth))}
    elif options.policy:
        policies = [read_policy(path) for path in options.policy]
        runs = {
            policy.name: (Decoder(model, heads_of(policy, options.heads), not options.own_keys), Plan.of(policy, model))
            for policy in policies
        }
    rows = features.rows(options.split)[: options.images]
    if not rows:
        raise CaptionError(f"{options.features}: no {options.split} images")
    if options.own_keys and (options.time is not None or not options.policy):
        raise CaptionError("--own-keys goes with --policy, and has no times")
    if options.time is not None:
        runs = {FINAL: (full, Plan.truncated(model.shape.layers)), **runs}
        cells = [features.cells([row])[0] for row in rows[: options.time]]
        content: object = timed(runs, cells, options.repeats)
    else:
        if len(runs) > 1:
            raise CaptionError("several policies go with --time only")
        name, (decoder, plan) = next(iter(runs.items()))
        captions = in_batches(decoder, batches_of(features, rows, options.batch), plan)
        content = result(name, [features.names[row] for row in rows], captions, vocabulary)
        print(json.dumps({name: means(captions)}, indent=2))
    write_atomically(options.output, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
