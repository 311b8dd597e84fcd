"""Captioned images in the two usual layouts, Flickr8k's and COCO's; what is wrong with a file is said with its place."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "dev", "test")
HALVES = ("tune", "certify")
"""Of dev: see `tune_half`."""

PAD, START, END, UNKNOWN = 0, 1, 2, 3
SPECIALS = ("<pad>", "<start>", "<end>", "<unknown>")

MINIMUM_COUNT = 4
LONGEST_CAPTION = 22

FLICKR_CAPTIONS = "Flickr8k.token.txt"
FLICKR_LISTS = {split: f"Flickr_8k.{split}Images.txt" for split in SPLITS}

# Karpathy's division of COCO gives what is left of the validation images (`restval`) to training.
KARPATHY_SPLITS = {"train": "train", "restval": "train", "val": "dev", "test": "test"}


class CaptionError(Exception):
    """The captions or images are not in the form that was asked for."""


@dataclass(frozen=True)
class CaptionedImage:
    """An image with its captions as written; `name` is its file name, without folders."""

    name: str
    split: str
    captions: tuple[str, ...]


def read_captions(place: Path) -> list[CaptionedImage]:
    """The captioned images of `place`: a folder in Flickr8k's layout, a COCO JSON, or a folder with COCO JSONs.

    The order is that of the image lists (Flickr8k) or of the file (COCO), train first, then dev, then test. Raises
    `CaptionError`.
    """
    if place.is_file():
        return in_split_order(read_coco([place]))
    if not place.is_dir():
        raise CaptionError(f"{place}: no such file or folder; give Flickr8k's folder or COCO's captions_*.json")
    if (place / FLICKR_CAPTIONS).exists():
        return in_split_order(read_flickr(place))
    files = sorted([*place.glob("captions_*.json"), *place.glob("dataset_*.json")])
    if not files:
        raise CaptionError(f"{place}: neither {FLICKR_CAPTIONS} nor captions_*.json nor dataset_*.json in it")
    return in_split_order(read_coco(files))


def in_split_order(images: Iterable[CaptionedImage]) -> list[CaptionedImage]:
    return sorted(images, key=lambda image: SPLITS.index(image.split))


# --- Flickr8k ------------------------------------------------------------------------------------------------------


def read_flickr(folder: Path) -> list[CaptionedImage]:
    """Images of the three lists with their captions. A captioned image in no list is left out, as the authors mean it."""
    captions = read_token_file(folder / FLICKR_CAPTIONS)
    images: list[CaptionedImage] = []
    seen: dict[str, str] = {}
    for split, file_name in FLICKR_LISTS.items():
        for line, source in enumerate(decoded(folder / file_name).split("\n"), start=1):
            name = source.strip()
            if not name:
                continue
            if name in seen:
                raise CaptionError(f"{folder / file_name}:{line}: {name} is in the list of {seen[name]} already")
            if name not in captions:
                raise CaptionError(f"{folder / file_name}:{line}: {name} has no caption in {FLICKR_CAPTIONS}")
            seen[name] = split
            images.append(CaptionedImage(name, split, tuple(captions[name])))
    if not images:
        raise CaptionError(f"{folder}: the image lists are empty")
    return images


def read_token_file(path: Path) -> dict[str, list[str]]:
    """Captions by image, from lines `NAME#NUMBER<tab>CAPTION`."""
    captions: dict[str, list[str]] = {}
    for line, source in enumerate(decoded(path).split("\n"), start=1):
        if not source.strip():
            continue
        key, tab, caption = source.partition("\t")
        name, mark, number = key.rpartition("#")
        if not tab or not mark or not number.isdigit():
            raise CaptionError(f"{path}:{line}: expected NAME#NUMBER, a tab and a caption; saw {source[:60]!r}")
        captions.setdefault(name, []).append(caption.strip())
    return captions


# --- COCO ----------------------------------------------------------------------------------------------------------


def read_coco(files: Sequence[Path]) -> list[CaptionedImage]:
    """Images of Karpathy's `dataset_*.json`, or of the official `captions_train*.json` and `captions_val*.json`.

    COCO's test captions are not public: the official validation images are divided into dev and test by the parity of
    their rank by name.
    """
    images: list[CaptionedImage] = []
    seen: dict[str, Path] = {}
    for path in files:
        try:
            content = json.loads(decoded(path))
        except json.JSONDecodeError as error:
            raise CaptionError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
        if not isinstance(content, dict) or not isinstance(content.get("images"), list):
            raise CaptionError(f"{path}: expected an object with a list 'images'")
        found = karpathy_images(content, path) if "annotations" not in content else official_images(content, path)
        for image in found:
            if image.name in seen:
                raise CaptionError(f"{path}: image {image.name} occurs in {seen[image.name]} already")
            seen[image.name] = path
            images.append(image)
    return images


def karpathy_images(content: Mapping[str, object], path: Path) -> Iterator[CaptionedImage]:
    rows = content["images"]
    assert isinstance(rows, list)
    for index, row in enumerate(rows):
        try:
            name, split = str(row["filename"]), str(row["split"])
            captions = tuple(str(sentence["raw"]) for sentence in row["sentences"])
        except (KeyError, TypeError) as error:
            raise CaptionError(
                f"{path}: images[{index}]: {error}; expected filename, split and sentences with raw"
            ) from None
        if split not in KARPATHY_SPLITS:
            raise CaptionError(f"{path}: images[{index}]: split {split!r}; expected {', '.join(KARPATHY_SPLITS)}")
        if not captions:
            raise CaptionError(f"{path}: images[{index}]: {name} has no caption")
        yield CaptionedImage(name, KARPATHY_SPLITS[split], captions)


def official_images(content: Mapping[str, object], path: Path) -> Iterator[CaptionedImage]:
    is_train = "train" in path.stem
    if not is_train and "val" not in path.stem:
        raise CaptionError(f"{path}: the name says neither train nor val, which tells the split of COCO's own files")
    rows, annotations = content["images"], content["annotations"]
    assert isinstance(rows, list)
    if not isinstance(annotations, list):
        raise CaptionError(f"{path}: expected a list 'annotations'")
    names: dict[int, str] = {}
    for index, row in enumerate(rows):
        try:
            names[int(row["id"])] = str(row["file_name"])
        except (KeyError, TypeError, ValueError) as error:
            raise CaptionError(f"{path}: images[{index}]: {error}; expected id and file_name") from None
    captions: dict[int, list[str]] = {}
    for index, row in enumerate(annotations):
        try:
            image, caption = int(row["image_id"]), str(row["caption"])
        except (KeyError, TypeError, ValueError) as error:
            raise CaptionError(f"{path}: annotations[{index}]: {error}; expected image_id and caption") from None
        if image not in names:
            raise CaptionError(f"{path}: annotations[{index}]: image_id {image} is no image of the file")
        captions.setdefault(image, []).append(caption.strip())
    captioned = sorted((name, image) for image, name in names.items() if image in captions)
    for rank, (name, image) in enumerate(captioned):
        split = "train" if is_train else ("dev", "test")[rank % 2]
        yield CaptionedImage(name, split, tuple(captions[image]))


def decoded(path: Path) -> str:
    """The file as text, without a byte-order mark; a byte that is not UTF-8 is reported with its line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptionError(f"{path}: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CaptionError(f"{path}:{line}: not UTF-8 (byte 0x{content[error.start]:02x})") from None


# --- words ---------------------------------------------------------------------------------------------------------


def words_of(caption: str) -> list[str]:
    """Lower-cased runs of letters and digits; everything else only divides words."""
    return re.findall(r"[^\W_]+", caption.lower())


@dataclass(frozen=True)
class Vocabulary:
    """The words a captioner knows, by number; the first four are `SPECIALS`."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.words[: len(SPECIALS)] != SPECIALS or len(set(self.words)) != len(self.words):
            raise CaptionError(f"a vocabulary starts with {' '.join(SPECIALS)} and names no word twice")
        object.__setattr__(self, "_numbers", {word: number for number, word in enumerate(self.words)})

    def __len__(self) -> int:
        return len(self.words)

    @staticmethod
    def of(images: Iterable[CaptionedImage], minimum_count: int = MINIMUM_COUNT) -> Vocabulary:
        """The words seen at least `minimum_count` times in the train captions, most frequent first, ties by letter."""
        counts: Counter[str] = Counter()
        for image in images:
            if image.split == "train":
                for caption in image.captions:
                    counts.update(words_of(caption))
        kept = sorted((word for word, count in counts.items() if count >= minimum_count), key=lambda w: (-counts[w], w))
        if not kept:
            raise CaptionError(f"no word occurs {minimum_count} times in the train captions")
        return Vocabulary((*SPECIALS, *kept))

    def encoded(self, caption: str, longest: int = LONGEST_CAPTION) -> list[int]:
        """The numbers of the first `longest` words, then `END`."""
        numbers: dict[str, int] = self.__dict__["_numbers"]
        return [*(numbers.get(word, UNKNOWN) for word in words_of(caption)[:longest]), END]

    def decoded(self, tokens: Iterable[int]) -> str:
        """The words up to the first `END`."""
        words: list[str] = []
        for token in tokens:
            if token == END:
                break
            words.append(self.words[token])
        return " ".join(words)


# --- halves of dev -------------------------------------------------------------------------------------------------


def tune_half(names: Iterable[str]) -> set[str]:
    """The half of the dev images that thresholds are chosen on; the other half certifies.

    Those whose SHA-256 comes first: the same whatever the order of a list.
    """
    ordered = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
    return set(ordered[: len(ordered) // 2])
