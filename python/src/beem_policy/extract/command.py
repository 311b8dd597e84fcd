"""The parser of `beem-policy extract`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..pooling import POOLINGS
from .data import Data
from .records import FORMATS


def add_command(subparsers: Any) -> None:
    """Adds `extract` to the parsers of `beem-policy`; the chosen command is `options.run(options)`, an exit code."""
    parser = subparsers.add_parser(
        "extract",
        help="features of texts or images, layer by layer, as a cache for beem (needs torch)",
        description="Run an encoder over labelled texts or images and write the features of every layer as a cache for "
        "beem. The same input gives the same bytes on the same machine and versions.",
    )
    parser.add_argument("--model", required=True, help="a folder with the encoder, or its id on the hub")
    parser.add_argument("--revision", help="the commit of the encoder on the hub; pin it to be able to repeat the run")
    parser.add_argument(
        "--data", type=Path, required=True, help="texts or paths of images with labels, a table in UTF-8; or a folder "
        "with a subfolder of images for each class"
    )  # fmt: skip
    parser.add_argument("--format", choices=FORMATS, help="of the table (default: as its name ends)")
    parser.add_argument("--output", type=Path, required=True, help="the cache to write (.safetensors)")

    columns = parser.add_argument_group("columns of a table")
    content = columns.add_mutually_exclusive_group()
    content.add_argument("--text-column", help="the text (default: text)")
    content.add_argument(
        "--image-column", help="instead of texts, the paths of images, from the folder of the table on"
    )
    columns.add_argument("--pair-column", help="the second text of a pair")
    columns.add_argument("--label-column", help="the class (default: label)")
    columns.add_argument("--group-column", help="rows with the same value are never divided between splits")
    columns.add_argument(
        "--no-header", action="store_true", help="CSV or TSV without names: columns are numbers, from 1"
    )
    columns.add_argument(
        "--classes", nargs="+", metavar="CLASS", help="the classes in the order of their numbers (default: sorted)"
    )

    features = parser.add_argument_group("features")
    features.add_argument(
        "--pooling", choices=POOLINGS, default="mean", help="from token states to one vector (default: mean)"
    )
    features.add_argument("--layers", default="all", help="which layers become exits, such as 1,4,8-12 (default: all)")
    features.add_argument(
        "--dtype", choices=("f32", "f16", "bf16"), default="f16", help="type in the cache (default: f16)"
    )
    features.add_argument("--max-length", type=int, help="cut texts to so many tokens (default: the encoder's limit)")

    split = parser.add_argument_group("splits")
    split.add_argument("--train-fraction", type=float, help="of every class, drawn to train heads (default: 0.5)")
    split.add_argument("--seed", type=int, help="of that draw (default: 7)")
    split.add_argument(
        "--split-column", help="no draw: splits that stand in the table, as train, tune, certify, test, as 0 to 3, or "
        "empty; for splits that were drawn before the encoder was fine-tuned"
    )  # fmt: skip

    notes = parser.add_argument_group("what the cache says about itself")
    notes.add_argument("--backbone", help="name of the encoder (default: from --model, with the pooling)")
    notes.add_argument("--source", default="", help="where the data comes from")
    notes.add_argument("--license", default="", help="the terms of data and weights")

    running = parser.add_argument_group("running")
    running.add_argument("--compute", choices=("f32", "bf16"), default="f32", help="type in the encoder (default: f32)")
    running.add_argument(
        "--batch-tokens", type=int, default=2048, help="tokens of a batch, padding included (default: 2048)"
    )
    running.add_argument("--threads", type=int, help="threads of the encoder on a CPU (default: torch's)")
    running.add_argument("--device", default="cpu", help="a torch device, such as cuda (default: cpu)")
    running.add_argument("--progress", action="store_true", help="show progress although standard error is no terminal")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Checks what can be checked without an encoder, then extracts; returns the exit code."""
    _check(options)
    try:
        data = Data.read(options)  # which opens images by Pillow
        from .extraction import extract
    except ImportError as error:
        raise InputError(
            "unsupported",
            "extract",
            seen=str(error),
            expected="torch and transformers, and Pillow for images",
            advice="Install them: pip install 'beem-policy[torch]'.",
        ) from None
    extract(data, options)
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.train_fraction is not None and not 0 <= options.train_fraction <= 1:
        raise _wrong("--train-fraction", options.train_fraction, "a number from 0 to 1")
    for name in ("batch_tokens", "threads", "max_length"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise _wrong(f"--{name.replace('_', '-')}", value, "a number from 1")
    if options.split_column is not None:
        for name in ("train_fraction", "seed"):
            if getattr(options, name) is not None:
                raise _wrong(
                    f"--{name.replace('_', '-')}",
                    "given beside --split-column",
                    "one of the two: drawn or given splits",
                )
    is_images = options.image_column is not None or options.data.is_dir()
    if is_images:
        for name in ("pair_column", "max_length"):
            if getattr(options, name) is not None:
                raise _wrong(f"--{name.replace('_', '-')}", "given with images", "texts")
    folder = options.output.absolute().parent
    if not folder.is_dir():  # now, not after the run
        raise InputError(
            "unwritable", os.fspath(options.output), seen=f"no folder {folder}", expected="a folder that exists"
        )


def _wrong(option: str, seen: object, expected: str) -> InputError:
    return InputError("out-of-range", option, seen=str(seen), expected=expected)
