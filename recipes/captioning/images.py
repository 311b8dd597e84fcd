"""Images by file name, from folders and tar archives, made ready for the network."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from captions import CaptionError
from efficientnet_lite import PIXEL_DEVIATION, PIXEL_MEAN, SIDE
from PIL import Image, UnidentifiedImageError
from torch import Tensor

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class ImageSource:
    """Images found in folders (searched to the bottom) and tar archives, by file name without folders.

    The first of two images of one name counts.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._files: dict[str, Path] = {}
        self._members: dict[str, tuple[tarfile.TarFile, tarfile.TarInfo]] = {}
        self._places = places
        for place in places:
            if place.is_dir():
                self._add_folder(place)
            else:
                self._add_archive(place)

    def missing(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._files and name not in self._members]

    def read(self, name: str) -> Image.Image:
        """The image in RGB. Raises `CaptionError` where it is missing or no image."""
        try:
            if name in self._files:
                return Image.open(self._files[name]).convert("RGB")
            archive, member = self._members[name]
            content = archive.extractfile(member)
            assert content is not None
            return Image.open(io.BytesIO(content.read())).convert("RGB")
        except KeyError:
            raise CaptionError(f"image {name}: in none of {', '.join(map(str, self._places))}") from None
        except (OSError, UnidentifiedImageError) as error:
            raise CaptionError(f"image {name}: cannot be read: {error}") from None

    def _add_folder(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES:
                self._files.setdefault(path.name, path)

    def _add_archive(self, path: Path) -> None:
        try:
            archive = tarfile.open(path)  # noqa: SIM115 - read from until the end
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isfile() and name.lower().endswith(IMAGE_SUFFIXES):
                    self._members.setdefault(name, (archive, member))
        except (OSError, tarfile.TarError) as error:
            raise CaptionError(f"{path}: neither a folder nor a tar archive that can be read: {error}") from None


def places_of_images(folder: Path) -> list[Path]:
    """Where images lie beside captions: tar archives in the folder, else the folder itself with all below it."""
    archives = sorted(path for path in folder.iterdir() if path.name.endswith((".tar", ".tar.gz", ".tgz")))
    return archives or [folder]


def pixels(image: Image.Image) -> Tensor:
    """[3, 224, 224]: the whole image, squeezed to a square where it is none, scaled as the network expects.

    Squeezed and not cropped: what a caption speaks of may stand at the border.
    """
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    values = torch.from_numpy(np.array(image, dtype=np.float32))
    return ((values - PIXEL_MEAN) / PIXEL_DEVIATION).permute(2, 0, 1)
