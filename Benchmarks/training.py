"""How long `beem train` takes for all heads of a recipe, against scikit-learn's LogisticRegression, in one run.

usage: training.py [--beem .build/release/beem] [--repeats 1] [--full DIR] RECIPE [RECIPE ...]

With --full, every recipe is run a second time on DIR/<name>.safetensors, the features before compression, as
recipes/extract makes them, with the one penalty 0.01: with weaker ones scikit-learn needs many minutes there to reach the
objective.

Both train a head for every exit and every L2 penalty of the recipe, on the same rows, with two threads. `beem` is timed
as a command, from start to the heads on disk: reading, checking, standardising and the choice of the penalty included.
scikit-learn is timed for its fits alone, on features that are in memory and standardised already, each with the loosest
tolerance out of a list that reaches the objective of `beem` to 1e-5; the search for it is not timed. The best of the
repeats counts, for both.
"""

import os

# Before NumPy loads its BLAS: two threads, like `beem`.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "2"

import argparse
import json
import re
import subprocess
import tempfile
import time
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from safetensors_file import read_safetensors

TOLERANCES = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-7]
SAME = 1e-5


def time_beem(beem: str, recipe: str, repeats: int) -> tuple[float, dict]:
    """The best time of the command, and what it says of its heads."""
    best = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        command = [beem, "train", recipe, "--output", folder, "--threads", "2", "--json"]
        # One run to warm the disk cache up, as the search for a tolerance does for the peer.
        subprocess.run(command, check=True, capture_output=True)
        for _ in range(repeats):
            start = time.perf_counter()
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            best = min(best, time.perf_counter() - start)
    return best, json.loads(text)


def objective(model: LogisticRegression, features: np.ndarray, labels: np.ndarray, l2: float) -> float:
    """The objective of `beem` at scikit-learn's solution: mean cross-entropy + l2/2 |W|^2."""
    weight, bias = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if len(weight) == 1:
        weight, bias = np.stack([-weight[0] / 2, weight[0] / 2]), np.array([-bias[0] / 2, bias[0] / 2])
    logits = features.astype(np.float64) @ weight.T + bias
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float(losses.mean() + l2 / 2 * (weight**2).sum())


def time_sklearn(features: np.ndarray, labels: np.ndarray, l2: float, target: float, repeats: int) -> float:
    """The best time of a fit that reaches the target."""
    classes = len(np.unique(labels))
    penalty = (2 if classes == 2 else 1) / (l2 * len(labels))

    def fit(values: np.ndarray, tolerance: float) -> LogisticRegression:
        return LogisticRegression(C=penalty, tol=tolerance, max_iter=10_000).fit(values, labels)

    def loosest() -> tuple[np.ndarray, float]:
        # Float32 is faster, but its optimiser gives up early where the objective is small.
        for values in (features, features.astype(np.float64)):
            for tolerance in TOLERANCES:
                if objective(fit(values, tolerance), features, labels, l2) <= target * (1 + SAME):
                    return values, tolerance
        raise SystemExit(f"scikit-learn did not reach the objective {target} with l2 = {l2}")

    values, tolerance = loosest()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        fit(values, tolerance)
        best = min(best, time.perf_counter() - start)
    return best


def measure(beem: str, recipe: str, repeats: int) -> None:
    """Trains a recipe with both and prints a line."""
    seconds, training = time_beem(beem, recipe, repeats)
    tensors = read_safetensors(features_of(recipe))
    train = tensors["split"] == 0
    labels = tensors["labels"][train]
    peer = 0.0
    for exit_ in training["exits"]:
        features = tensors[f"features.{exit_['index']}"][train].astype(np.float32)
        deviation = features.std(axis=0, dtype=np.float64)
        features = (features - features.mean(axis=0, dtype=np.float64)) / np.where(deviation > 0, deviation, np.inf)
        features = features.astype(np.float32)
        for candidate in exit_["candidates"]:
            peer += time_sklearn(features, labels, candidate["l2"], candidate["objective"], repeats)
    fits = sum(len(exit_["candidates"]) for exit_ in training["exits"])
    width = tensors["features.0"].shape[1]
    print(
        f"{os.path.basename(os.path.dirname(recipe))}: {len(training['exits'])} exits x {len(labels):,} rows x {width} "
        f"features, {fits} fits: beem train {seconds:.2f} s, scikit-learn {peer:.2f} s, ratio {peer / seconds:.1f}",
        flush=True,
    )


def features_of(recipe: str) -> str:
    """The path of a recipe's feature cache."""
    with open(recipe) as file:
        relative = re.search(r"^features:\s*(\S+)", file.read(), re.MULTILINE).group(1)
    return os.path.join(os.path.dirname(recipe), relative)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--full", help="the folder of the features before compression")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    print(f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}, 2 threads each, best of {options.repeats}")
    for recipe in options.recipes:
        measure(options.beem, recipe, options.repeats)
        if not options.full:
            continue
        name = os.path.basename(os.path.dirname(os.path.abspath(recipe)))
        with tempfile.TemporaryDirectory() as folder, open(recipe) as file:
            full = os.path.join(os.path.abspath(options.full), f"{name}.safetensors")
            os.mkdir(os.path.join(folder, name))
            copy = os.path.join(folder, name, "recipe.yaml")
            with open(copy, "w") as target:
                text = re.sub(r"(?m)^features:.*$", f"features: {full}", file.read())
                target.write(re.sub(r"l2: \[.*\]", "l2: [1e-2]", text))
            measure(options.beem, copy, options.repeats)


if __name__ == "__main__":
    main()
