"""Grid features of captioned images, seen once and kept: the frozen half of the captioner.

    python features.py --captions FOLDER-OR-JSON --output grid.safetensors [--images FOLDER-OR-TAR ...]

The file holds `grid` [images, 2, 49, 320] F16 (the image, then its mirror image; EfficientNet-Lite0 after its last block
at 224 px), `split` [images] U8 (0 train, 1 dev, 2 test), the frozen 1 x 1 head convolution `head.weight` [1280, 320] and
`head.bias` [1280] F32, and as metadata the names of the images. It is written row by row; memory does not grow with it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy.extract.cache_file import TensorShape, cache_writer
from captions import HALVES, SPLITS, CaptionedImage, CaptionError, read_captions, tune_half
from efficientnet_lite import GRID, GRID_WIDTH, HEAD_WIDTH, EfficientNetLite0
from images import ImageSource, pixels, places_of_images
from script import run

CELLS = GRID * GRID
STORED_TYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "U8": np.dtype("u1")}


@dataclass(frozen=True)
class GridFeatures:
    """The features of a file, read through a memory map."""

    names: list[str]
    grid: npt.NDArray[np.float16]
    """[images, 2, 49, 320]"""
    splits: npt.NDArray[np.uint8]
    """[images]: the place of the split in `SPLITS`."""
    head_weight: Tensor
    """[1280, 320]"""
    head_bias: Tensor
    """[1280]"""

    @staticmethod
    def open(path: Path) -> GridFeatures:
        """Raises `CaptionError` for a file that is not what this script writes."""
        try:
            with open(path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if not 0 < length < path.stat().st_size:
                    raise CaptionError(f"{path}: not a safetensors file")
                header = json.loads(file.read(length))
            metadata = header.pop("__metadata__")
            arrays = {
                name: np.memmap(
                    path,
                    STORED_TYPES[entry["dtype"]],
                    mode="r",
                    offset=8 + length + entry["data_offsets"][0],
                    shape=tuple(entry["shape"]),
                )
                for name, entry in header.items()
            }
            names = json.loads(metadata["images"])
            grid, splits = arrays["grid"], arrays["split"]
            weight, bias = (torch.from_numpy(np.array(arrays[f"head.{part}"])) for part in ("weight", "bias"))
        except OSError as error:
            raise CaptionError(f"{path}: {error.strerror}") from None
        except (KeyError, ValueError) as error:
            raise CaptionError(f"{path}: not a file of features.py ({error}); make it again") from None
        if grid.shape != (len(names), 2, CELLS, GRID_WIDTH) or splits.shape != (len(names),):
            raise CaptionError(f"{path}: {len(names)} names but `grid` is {list(grid.shape)}; make it again")
        return GridFeatures(names, grid, splits, weight, bias)

    def rows(self, split: str) -> list[int]:
        """Of train, dev or test, or of a half of dev: tune or certify."""
        if split in HALVES:
            dev = self.rows("dev")
            tune = tune_half(self.names[row] for row in dev)
            return [row for row in dev if (self.names[row] in tune) == (split == HALVES[0])]
        return np.flatnonzero(self.splits == SPLITS.index(split)).tolist()

    def cells(self, rows: Sequence[int], mirrored: Sequence[bool] | None = None) -> Tensor:
        """[rows, 49, 320] F32 of the images, or of their mirror images where `mirrored` says so."""
        sides = np.zeros(len(rows), dtype=np.int64) if mirrored is None else np.asarray(mirrored, dtype=np.int64)
        return torch.from_numpy(self.grid[np.asarray(rows), sides].astype(np.float32))


def extract(
    images: Sequence[CaptionedImage], source: ImageSource, network: EfficientNetLite0, path: Path, batch: int
) -> None:
    """Write the features of `images` to `path`, completely or not at all."""
    missing = source.missing(image.name for image in images)
    if missing:
        raise CaptionError(f"{len(missing)} of {len(images)} images are missing, the first is {missing[0]}")
    layout = {
        "head.weight": TensorShape("F32", (HEAD_WIDTH, GRID_WIDTH)),
        "head.bias": TensorShape("F32", (HEAD_WIDTH,)),
        "grid": TensorShape("F16", (len(images), 2, CELLS, GRID_WIDTH)),
        "split": TensorShape("U8", (len(images),)),
    }
    metadata = {
        "images": json.dumps([image.name for image in images], ensure_ascii=False),
        "backbone": "EfficientNet-Lite0, after the last block, 224 px, ImageNet weights (Apache-2.0)",
    }
    with cache_writer(path, layout, metadata) as tensors:
        tensors["head.weight"][:] = network.head_weight.numpy()
        tensors["head.bias"][:] = network.head_bias.numpy()
        tensors["split"][:] = [SPLITS.index(image.split) for image in images]
        start = time.monotonic()
        for first, block in batches(images, batch):
            stacked = torch.stack([pixels(source.read(image.name)) for image in block])
            both = torch.cat([stacked, stacked.flip(-1)])
            grids = network.grid(both).view(2, len(block), CELLS, GRID_WIDTH).transpose(0, 1)
            values = grids.numpy().astype(np.float16)
            if not np.isfinite(values).all():
                raise CaptionError(f"features of {block[0].name} or one of the next {len(block) - 1} do not fit F16")
            tensors["grid"][first : first + len(block)] = values
            report_progress(first + len(block), len(images), time.monotonic() - start)


def batches(images: Sequence[CaptionedImage], batch: int) -> Iterator[tuple[int, Sequence[CaptionedImage]]]:
    for first in range(0, len(images), batch):
        yield first, images[first : first + batch]


def report_progress(done: int, total: int, seconds: float) -> None:
    """One line on standard error, rewritten on a terminal, now and then in a log."""
    line = f"{done:,}/{total:,} images, {done / seconds:.0f} images/s, {seconds / done * (total - done):.0f} s left"
    if sys.stderr.isatty():
        print(f"\r{line}   ", end="" if done < total else "\n", file=sys.stderr, flush=True)
    elif done == total or done % 640 == 0:
        print(line, file=sys.stderr, flush=True)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Grid features of captioned images.")
    parser.add_argument(
        "--captions", type=Path, required=True, help="Flickr8k's folder, or COCO's JSON or folder of it"
    )
    parser.add_argument("--images", type=Path, nargs="+", help="folders or tar archives; default: beside the captions")
    parser.add_argument("--weights", type=Path, help="EfficientNet-Lite0's weights; default: those of the package")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=8, help="images at once")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    images = read_captions(options.captions)
    folder = options.captions if options.captions.is_dir() else options.captions.parent
    source = ImageSource(options.images or places_of_images(folder))
    extract(images, source, EfficientNetLite0.load(options.weights), options.output, options.batch)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
