"""What a plain logistic regression reaches on every layer of a feature cache: a check that an extraction went well.

    python check.py features.safetensors                  # 70 % to fit, 10 % to choose the penalty, 20 % to measure
    python check.py features.safetensors --split stored   # fit on the cache's train rows, measure on all others

It reads the cache with the safetensors library, so it also holds the writer of the cache against an independent reader. The
heads of `beem` are trained by its own code; expect figures within about a point of these, layer by layer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

TRAIN = 0

# Inverse strengths of the L2 penalty on standardised features, from strong to weak.
PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)


@dataclass(frozen=True)
class Rows:
    """Three disjoint sets of row indices: to fit with each penalty, to choose the penalty, to measure the accuracy."""

    fit: np.ndarray
    choose: np.ndarray
    measure: np.ndarray


def random_rows(count: int, seed: int) -> Rows:
    """70 %, 10 % and 20 % of all rows, drawn."""
    order = np.random.default_rng(seed).permutation(count)
    return Rows(*np.split(order, [int(0.7 * count), int(0.8 * count)]))


def stored_rows(split: np.ndarray, seed: int) -> Rows:
    """The train rows of the cache, of which an eighth chooses the penalty, and all other rows to measure."""
    train = np.random.default_rng(seed).permutation(np.flatnonzero(split == TRAIN))
    fit, choose = np.split(train, [len(train) * 7 // 8])
    return Rows(fit, choose, np.flatnonzero(split != TRAIN))


def layer_accuracy(features: np.ndarray, labels: np.ndarray, rows: Rows) -> float:
    """The accuracy on `rows.measure` of the regression whose penalty did best on `rows.choose`."""
    scaler = StandardScaler().fit(features[rows.fit])
    fit, choose, measure = (scaler.transform(features[part]) for part in (rows.fit, rows.choose, rows.measure))
    best_chosen, best_measured = -1.0, 0.0
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=500).fit(fit, labels[rows.fit])
        chosen = model.score(choose, labels[rows.choose])
        if chosen > best_chosen:
            best_chosen, best_measured = chosen, model.score(measure, labels[rows.measure])
    return best_measured


def check(path: Path, scheme: str, seed: int) -> None:
    """Print a line per layer, then all accuracies in one line, for a README."""
    # As torch tensors, because NumPy has no bfloat16.
    with safe_open(path, framework="pt") as cache:
        metadata = cache.metadata()
        labels = cache.get_tensor("labels").numpy()
        rows = random_rows(len(labels), seed)
        if scheme == "stored":
            rows = stored_rows(cache.get_tensor("split").numpy(), seed)
        print(
            f"{path}: {len(labels):,} rows: {len(rows.fit):,} to fit, {len(rows.choose):,} to choose the penalty, "
            f"{len(rows.measure):,} to measure"
        )
        accuracies = []
        for exit_index, name in enumerate(json.loads(metadata["exits"])):
            start = time.monotonic()
            features = cache.get_tensor(f"features.{exit_index}").float().numpy()
            accuracies.append(layer_accuracy(features, labels, rows))
            print(f"{name:>9}  {accuracies[-1]:.4f}  {time.monotonic() - start:5.1f} s", flush=True)
    print(" ".join(f"{accuracy:.3f}".lstrip("0") for accuracy in accuracies))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Accuracy of a logistic regression on every layer of a feature cache.")
    parser.add_argument("cache", type=Path)
    parser.add_argument("--split", choices=("random", "stored"), default="random", help="see above (default: random)")
    parser.add_argument("--seed", type=int, default=7, help="of the random rows (default: 7)")
    options = parser.parse_args(arguments)
    try:
        check(options.cache, options.split, options.seed)
    except (OSError, SafetensorError) as error:
        print(f"check.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
