"""What is extracted: rows with labels, groups and splits, checked before an encoder is loaded."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .images import check_images, folder_records
from .records import Columns, Record, class_names, fault, group_numbers, read_records
from .splits import Codes, check_classes, drawn_splits, given_splits


@dataclass(frozen=True)
class Data:
    """Rows in the order of the cache.

    - labels: [rows], the number of the class in `classes`.
    - groups: [rows], or None where there are none.
    - splits: [rows], as in the cache.
    - images: [rows], the file of each; None where rows are texts.
    """

    path: Path
    records: list[Record]
    classes: list[str]
    labels: list[int]
    groups: list[int] | None
    splits: Codes
    images: list[Path] | None

    @staticmethod
    def read(options: argparse.Namespace) -> Data:
        """Reads and checks what the command's options name; raises `InputError`."""
        path: Path = options.data
        images: list[Path] | None = None
        if path.is_dir():
            _check_no_columns(options, path)
            records = folder_records(path)
            images = check_images(records, path)
        else:
            content = options.image_column or options.text_column or "text"
            columns = Columns(
                content,
                options.label_column or "label",
                options.pair_column,
                options.group_column,
                options.split_column,
            )
            records = read_records(path, columns, not options.no_header, options.format)
            if options.image_column is not None:
                images = check_images(records, path)
        classes = class_names(records, options.classes, path)
        if len(classes) < 2:
            raise fault(path, None, f"{len(classes)} class, {classes[0]!r}", "two classes or more")
        labels = [classes.index(record.label) for record in records]
        groups = group_numbers(records)
        if options.split_column is None:
            fraction = 0.5 if options.train_fraction is None else options.train_fraction
            splits = drawn_splits(labels, groups, fraction, 7 if options.seed is None else options.seed)
        else:
            splits = given_splits(records, groups, path)
        check_classes(splits, labels, classes, path, drawn=options.split_column is None)
        return Data(path, records, classes, labels, groups, splits, images)


def _check_no_columns(options: argparse.Namespace, path: Path) -> None:
    """A folder has no columns: what is said of them would be passed over in silence."""
    for name in (
        "format",
        "text_column",
        "pair_column",
        "image_column",
        "label_column",
        "group_column",
        "split_column",
    ):
        if getattr(options, name) is not None:
            raise InputError(
                "mismatch",
                os.fspath(path),
                seen=f"--{name.replace('_', '-')} with a folder of images",
                expected="a table",
                advice="List the images in a CSV, a TSV or JSON Lines; --image-column names their paths.",
            )
