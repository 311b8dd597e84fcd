"""BLEU and CIDEr of captions, image by image: what a mean, a difference and a certificate over images need.

Over a whole set BLEU and CIDEr are those of pycocoevalcap, which `evaluate.py` reports; the tests hold these against it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ORDER = 4
"""The longest n-grams that count."""

CIDER_DEVIATION = 6.0
"""Of the penalty for another length, in words."""

Ngrams = Counter[tuple[str, ...]]
Doubles = npt.NDArray[np.float64]


def ngrams(words: Sequence[str]) -> Ngrams:
    counts: Ngrams = Counter()
    for order in range(1, ORDER + 1):
        counts.update(tuple(words[first : first + order]) for first in range(len(words) - order + 1))
    return counts


# --- BLEU ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BleuCounts:
    """What BLEU is made of, for one caption; counts of many add up to those of the set."""

    matches: tuple[int, ...]
    """By order, from 1: n-grams of the caption that are in a reference, as often as there at most."""
    total: tuple[int, ...]
    """By order: n-grams of the caption."""
    length: int
    reference_length: int
    """Of the reference nearest in length; the shorter of two."""

    def row(self) -> list[int]:
        return [*self.matches, *self.total, self.length, self.reference_length]


def bleu_counts(caption: Sequence[str], references: Sequence[Sequence[str]]) -> BleuCounts:
    own = ngrams(caption)
    ceiling: Ngrams = Counter()
    for reference in references:
        ceiling |= ngrams(reference)
    matches = [0] * ORDER
    for gram, count in own.items():
        matches[len(gram) - 1] += min(count, ceiling[gram])
    nearest = min((abs(len(reference) - len(caption)), len(reference)) for reference in references)[1]
    total = tuple(max(0, len(caption) - order) for order in range(ORDER))
    return BleuCounts(tuple(matches), total, len(caption), nearest)


def sentence_bleu(counts: BleuCounts) -> float:
    """BLEU-4 of one caption in [0, 1]; one is added to matches and totals of order 2 and more (Lin and Och, 2004).

    Without the smoothing nearly every caption would score 0.
    """
    if counts.length == 0 or counts.matches[0] == 0:
        return 0.0
    logarithm = math.log(counts.matches[0] / counts.total[0])
    for order in range(1, ORDER):
        logarithm += math.log((counts.matches[order] + 1) / (counts.total[order] + 1))
    return math.exp(logarithm / ORDER + min(0.0, 1 - counts.reference_length / counts.length))


def corpus_bleu(sums: npt.ArrayLike) -> list[float]:
    """BLEU-1 to BLEU-4 of a set from the sums of `BleuCounts.row` over its captions."""
    values = np.asarray(sums, dtype=np.float64)
    matches, total, (length, reference_length) = values[:ORDER], values[ORDER : 2 * ORDER], values[2 * ORDER :]
    if length == 0:
        return [0.0] * ORDER
    brevity = min(0.0, 1 - reference_length / length)
    result: list[float] = []
    for order in range(1, ORDER + 1):
        if (matches[:order] == 0).any() or (total[:order] == 0).any():
            result.append(0.0)
        else:
            result.append(math.exp(float(np.log(matches[:order] / total[:order]).mean()) + brevity))
    return result


# --- CIDEr ---------------------------------------------------------------------------------------------------------


class Cider:
    """CIDEr-D with document frequencies of one set of images, those of the train split or of the test set itself."""

    def __init__(self, references: Iterable[Sequence[Sequence[str]]]) -> None:
        """`references`: the tokenised captions of every image."""
        self._frequency: Ngrams = Counter()
        count = 0
        for captions in references:
            self._frequency.update({gram for caption in captions for gram in ngrams(caption)})
            count += 1
        if count == 0:
            raise ValueError("document frequencies of no image")
        self._logarithm = math.log(count)

    def __call__(self, caption: Sequence[str], references: Sequence[Sequence[str]]) -> float:
        """CIDEr of a caption, in [0, 10]."""
        own, own_norms = self._vector(ngrams(caption))
        total = 0.0
        for reference in references:
            other, other_norms = self._vector(ngrams(reference))
            products = [0.0] * ORDER
            for gram, weight in own.items():
                if gram in other:
                    products[len(gram) - 1] += min(weight, other[gram]) * other[gram]
            # As the original: lengths are counted in pairs of words.
            difference = max(0, len(caption) - 1) - max(0, len(reference) - 1)
            penalty = math.exp(-(difference**2) / (2 * CIDER_DEVIATION**2))
            for product, norm, other_norm in zip(products, own_norms, other_norms):
                if norm > 0 and other_norm > 0:
                    total += product / (norm * other_norm) * penalty
        return 10 * total / (ORDER * len(references))

    def _vector(self, counts: Ngrams) -> tuple[dict[tuple[str, ...], float], list[float]]:
        weights: dict[tuple[str, ...], float] = {}
        squares = [0.0] * ORDER
        for gram, count in counts.items():
            weight = count * (self._logarithm - math.log(max(1, self._frequency[gram])))
            weights[gram] = weight
            squares[len(gram) - 1] += weight**2
        return weights, [math.sqrt(square) for square in squares]


# --- differences ---------------------------------------------------------------------------------------------------


def mean_with_error(values: Doubles) -> tuple[float, float]:
    """Mean and its standard error, over images."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def bleu_difference(rows: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> list[tuple[float, float]]:
    """BLEU-1 to BLEU-4 of one set of captions less those of another on the same images, with jackknife errors.

    Both are rows of `BleuCounts.row`, an image each. The error is paired: an image is left out of both.
    """
    differences = np.subtract(corpus_bleu(rows.sum(0)), corpus_bleu(other.sum(0)))
    sums, other_sums, count = rows.sum(0), other.sum(0), len(rows)
    left_out = np.array(
        [np.subtract(corpus_bleu(sums - rows[i]), corpus_bleu(other_sums - other[i])) for i in range(count)]
    )
    errors = np.sqrt((count - 1) / count * ((left_out - left_out.mean(0)) ** 2).sum(0))
    return list(zip(differences.tolist(), errors.tolist(), strict=True))
