"""BLEU-1 to BLEU-4 and CIDEr of generated captions: python evaluate.py --captions FOLDER RESULT.json [OTHER.json ...]

Results are what generate.py writes, or lists `[{"image_id": NAME, "caption": TEXT}, ...]` as of COCO. Scores of the whole
set are pycocoevalcap's. Of several results the first is the reference: the others are compared with it image by image.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from captions import HALVES, CaptionedImage, CaptionError, decoded, read_captions, tune_half, words_of
from model import write_atomically
from scores import Cider, bleu_counts, bleu_difference, mean_with_error, sentence_bleu
from script import run


@dataclass(frozen=True)
class ImageScores:
    """Scores by image, in one order."""

    counts: npt.NDArray[np.int64]
    """[images, 10]: `BleuCounts.row`"""
    cider: npt.NDArray[np.float64]
    """[images]: with document frequencies of the evaluated images themselves, as is usual."""
    sentence_bleu: npt.NDArray[np.float64]
    """[images], smoothed, in [0, 1]"""
    train_cider: npt.NDArray[np.float64]
    """[images]: with document frequencies of the train images, divided by 10: in [0, 1]."""


class Scorer:
    """References, tokenised once, with both document frequencies."""

    def __init__(self, images: Sequence[CaptionedImage], split: str) -> None:
        tune = tune_half(image.name for image in images if image.split == "dev") if split in HALVES else set()
        self.references = {
            image.name: [words_of(caption) for caption in image.captions]
            for image in images
            if image.split == split
            or (split in HALVES and image.split == "dev" and (image.name in tune) == (split == HALVES[0]))
        }
        if not self.references:
            raise CaptionError(f"no {split} images")
        self._own = Cider(self.references.values())
        train = [[words_of(caption) for caption in image.captions] for image in images if image.split == "train"]
        self._train = Cider(train) if train else self._own

    def scores(self, captions: Mapping[str, str]) -> ImageScores:
        """Scores of the captions in their own order."""
        counts, cider, sentence, train_cider = [], [], [], []
        for name, caption in captions.items():
            words, references = words_of(caption), self.references[name]
            found = bleu_counts(words, references)
            counts.append(found.row())
            sentence.append(sentence_bleu(found))
            cider.append(self._own(words, references))
            train_cider.append(self._train(words, references) / 10)
        return ImageScores(np.array(counts), np.array(cider), np.array(sentence), np.array(train_cider))

    def corpus(self, captions: Mapping[str, str]) -> dict[str, float]:
        """pycocoevalcap's scores."""
        try:
            from pycocoevalcap.bleu.bleu import Bleu
            from pycocoevalcap.cider.cider import Cider as OriginalCider
        except ModuleNotFoundError:
            raise CaptionError("pycocoevalcap is not installed: pip install --no-deps pycocoevalcap==1.2") from None
        references = {name: [" ".join(words) for words in self.references[name]] for name in captions}
        candidates = {name: [" ".join(words_of(caption))] for name, caption in captions.items()}
        bleu, _ = Bleu(4).compute_score(references, candidates, verbose=0)
        cider, _ = OriginalCider().compute_score(references, candidates)
        return {**{f"BLEU-{order}": float(value) for order, value in enumerate(bleu, 1)}, "CIDEr": float(cider)}


def read_result(path: Path) -> dict[str, str]:
    """Captions by image name."""
    try:
        content = json.loads(decoded(path))
    except json.JSONDecodeError as error:
        raise CaptionError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    rows = content.get("images") if isinstance(content, dict) else content
    captions: dict[str, str] = {}
    try:
        for row in rows:
            name = str(row["image_id"])
            if name in captions:
                raise CaptionError(f"{path}: image {name} occurs twice")
            captions[name] = str(row["caption"])
    except (TypeError, KeyError) as error:
        raise CaptionError(f"{path}: {error}; expected a list of objects with image_id and caption") from None
    return captions


def in_order(captions: Mapping[str, str], scorer: Scorer, path: Path, split: str) -> dict[str, str]:
    """The captions in the order of the references. Raises `CaptionError` where an image is missing or unknown."""
    missing = [name for name in scorer.references if name not in captions]
    unknown = [name for name in captions if name not in scorer.references]
    if missing or unknown:
        kind, names = ("no caption for", missing) if missing else ("not in the split:", unknown)
        raise CaptionError(f"{path}: {kind} {names[0]} ({len(names)} such); expected the {split} images, each once")
    return {name: captions[name] for name in scorer.references}


def differences(scores: ImageScores, reference: ImageScores) -> dict[str, dict[str, float]]:
    """What a result has more than the reference, with paired standard errors over images."""
    rows = bleu_difference(scores.counts, reference.counts)
    found = {f"BLEU-{order}": row for order, row in enumerate(rows, 1)}
    found["CIDEr"] = mean_with_error(scores.cider - reference.cider)
    found["sentenceBLEU"] = mean_with_error(scores.sentence_bleu - reference.sentence_bleu)
    found["trainCIDEr"] = mean_with_error(scores.train_cider - reference.train_cider)
    return {name: {"difference": value, "standardError": error} for name, (value, error) in found.items()}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="BLEU and CIDEr of generated captions.")
    parser.add_argument("results", type=Path, nargs="+", help="what generate.py wrote; the first is the reference")
    parser.add_argument(
        "--captions", type=Path, required=True, help="Flickr8k's folder, or COCO's JSON or folder of it"
    )
    parser.add_argument("--split", choices=("dev", *HALVES, "test"), default="test")
    parser.add_argument("--output", type=Path, help="JSON; default: standard output")
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    scorer = Scorer(read_captions(options.captions), options.split)
    report: dict[str, dict[str, object]] = {}
    reference: ImageScores | None = None
    for path in options.results:
        captions = in_order(read_result(path), scorer, path, options.split)
        scores = scorer.scores(captions)
        entry: dict[str, object] = {
            **scorer.corpus(captions),
            "sentenceBLEU": float(scores.sentence_bleu.mean()),
            "trainCIDEr": float(scores.train_cider.mean()),
            "images": len(captions),
        }
        if reference is None:
            reference = scores
        else:
            entry["against first"] = differences(scores, reference)
        report[path.stem] = entry
    text = json.dumps(report, indent=2) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        write_atomically(options.output, text.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
