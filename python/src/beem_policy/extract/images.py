"""Images with labels: a folder with a subfolder for each class, or paths in a table; needs Pillow to open them.

`prepared` is the way from files to what an encoder takes; serving that calls it sees the same pixels as the extraction.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .records import Record, fault

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
"""What no class is named after: a file of these beside the class folders is one that nobody labelled."""


def folder_records(folder: Path) -> list[Record]:
    """The files below each subfolder, which is the class, in the order of their paths; `content` is the file's path.

    Names that begin with a dot are passed over; every other file below a subfolder must be an image.
    """
    classes = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            classes.append(entry)
        elif entry.suffix.lower() in IMAGE_SUFFIXES:
            raise fault(entry, None, "an image beside the folders of the classes", "images inside them", "Move it.")
    if not classes:
        raise fault(folder, None, "no subfolders", "a subfolder of images for each class")
    records = []
    for entry in classes:
        files = [
            path
            for path in sorted(entry.rglob("*"))
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(entry).parts)
        ]
        if not files:
            raise fault(entry, None, "a class without images", "images", "Remove the folder, or fill it.")
        records += [Record(None, os.fspath(path), entry.name) for path in files]
    return records


def check_images(records: Sequence[Record], data: Path) -> list[Path]:
    """The paths of all images, once each is known to be one; of a table they are relative to its folder.

    Reads their first bytes only: what is wrong with the rest is said when they are loaded.
    """
    paths = []
    for record in records:
        path = data.parent / record.content if record.line is not None else Path(record.content)
        with _opened(path, record, data):
            paths.append(path)
    return paths


def prepared(
    processor: Any, paths: Sequence[Path], records: Sequence[Record] | None = None, data: Path | None = None
) -> dict[str, Any]:
    """`pixel_values` [images, channels, height, width] of files, by the model's image processor.

    Images are turned as their camera noted, and brought to RGB. `records` and `data` say in errors where paths stood.
    """
    from PIL import ImageOps

    images = []
    for index, path in enumerate(paths):
        record = None if records is None else records[index]
        with _opened(path, record, data) as image:
            try:
                images.append(ImageOps.exif_transpose(image).convert("RGB"))
            except (OSError, SyntaxError, ValueError) as error:
                raise _not_an_image(path, record, data, str(error)) from None
    return {"pixel_values": processor(images=images, return_tensors="pt")["pixel_values"]}


def image_processor(name: str, revision: str | None = None) -> Any:
    """The model's own image processor, in Pillow's form whether or not torchvision is there: they resize differently."""
    from transformers import AutoImageProcessor

    load: Any = AutoImageProcessor.from_pretrained
    return load(name, revision=revision, backend="pil")


def _opened(path: Path, record: Record | None, data: Path | None) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path)
    except UnidentifiedImageError:
        raise _not_an_image(path, record, data, "no format that Pillow knows") from None
    except Image.DecompressionBombError as error:
        raise _not_an_image(path, record, data, str(error)) from None
    except OSError as error:
        file, item = _place(path, record, data)
        raise InputError(
            "unreadable",
            file,
            item,
            seen=f"{path} cannot be read ({error.strerror or error})"
            if item
            else f"cannot be read ({error.strerror or error})",
            expected="an image",
            advice="Paths in a table start at its folder." if item else None,
        ) from None


def _not_an_image(path: Path, record: Record | None, data: Path | None, reason: str) -> InputError:
    file, item = _place(path, record, data)
    seen = f"not an image that can be read ({reason})"
    return InputError("malformed", file, item, seen=f"{path} is {seen}" if item else seen, expected="an image")


def _place(path: Path, record: Record | None, data: Path | None) -> tuple[str, str | None]:
    if record is None or record.line is None or data is None:
        return os.fspath(path), None
    return os.fspath(data), f"line {record.line}"
