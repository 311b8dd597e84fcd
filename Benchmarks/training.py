"""How long `beem train` takes for all heads of a recipe, against scikit-learn and PyTorch, in one run.

usage: training.py [--beem .build/release/beem] [--repeats 1] [--full DIR] RECIPE [RECIPE ...]

The peers are scikit-learn's LogisticRegression (lbfgs) and, where `torch` can be imported, torch.optim.LBFGS with its
strong Wolfe line search. With --full, every recipe is run a second time on DIR/<name>.safetensors, the features before
compression, as recipes/extract makes them, with the one penalty 0.01: with weaker ones scikit-learn needs many minutes
there to reach the objective.

All train a linear head for every exit and every L2 penalty of the recipe, on the same rows, with two threads. `beem` is
timed as a command, from start to the heads on disk: reading, checking, standardising and the choice of the penalty
included. The peers are timed for their fits alone, one by one, on Float32 features that are in memory and standardised
already, each fit with the loosest tolerance out of a list that reaches the objective of `beem` to 1e-5, evaluated in
Float64; where Float32 does not reach it, the fit is in Float64. The search begins at what the exit before needed; it is
not timed. PyTorch remembers 10 or 100 steps, for each fit whichever is faster. The best of the repeats counts, for all: of
the peers that of each fit, of `beem`, which is one short command, that of ten times as many runs, half of them before the
peers and half after.

`beem` is timed with the recipe's tolerance and with 1e-6. The peers must reach the objectives of the former, and the
ratios are to its time.
"""

import os

# Before NumPy loads its BLAS: two threads, like `beem`.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "2"

import argparse
import json
import re
import subprocess
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from safetensors_file import read_safetensors

try:
    import torch
except ImportError:
    torch = None

SKLEARN_TOLERANCES = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-7]
# For the largest gradient element, the largest step and the decrease of the objective.
TORCH_TOLERANCES = [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7, 3e-8, 1e-8, 1e-9]
TORCH_HISTORIES = [10, 100]
SAME = 1e-5
LOOSE = 1e-6

# Trains a head and returns its weight [classes, width] and bias [classes].
Fit = Callable[[], tuple[np.ndarray, np.ndarray]]


def time_beem(beem: str, recipe: str, runs: int) -> tuple[float, list[dict]]:
    """The best time of the command, and what it says of the heads of each exit."""
    best = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        command = [beem, "train", recipe, "--output", folder, "--threads", "2", "--json"]
        # One run to warm the disk cache up, as the search for a tolerance does for the peers.
        subprocess.run(command, check=True, capture_output=True)
        for _ in range(runs):
            start = time.perf_counter()
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            best = min(best, time.perf_counter() - start)
    return best, json.loads(text)["exits"]


def objective(weight: np.ndarray, bias: np.ndarray, features: np.ndarray, labels: np.ndarray, l2: float) -> float:
    """The objective of `beem`, in Float64: mean cross-entropy + l2/2 |W|^2."""
    weight = weight.astype(np.float64)
    logits = features.astype(np.float64) @ weight.T + bias.astype(np.float64)
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return float(losses.mean() + l2 / 2 * (weight**2).sum())


def sklearn_fit(features: np.ndarray, labels: np.ndarray, l2: float, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """A head of scikit-learn; of two classes it trains one logit, which is half of a softmax's difference."""
    classes = len(np.unique(labels))
    penalty = (2 if classes == 2 else 1) / (l2 * len(labels))
    model = LogisticRegression(C=penalty, tol=tolerance, max_iter=10_000).fit(features, labels)
    weight, bias = model.coef_, model.intercept_
    if classes == 2:
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    return weight, bias


def torch_fit(
    features: "torch.Tensor", labels: "torch.Tensor", classes: int, l2: float, history: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """A head of PyTorch, from zero."""
    weight = torch.zeros(classes, features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=2_000, tolerance_grad=tolerance, tolerance_change=tolerance, history_size=history,
        line_search_fn="strong_wolfe",
    )

    def evaluate() -> "torch.Tensor":
        optimizer.zero_grad()
        logits = torch.nn.functional.linear(features, weight, bias)
        loss = torch.nn.functional.cross_entropy(logits, labels) + l2 / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(evaluate)
    return weight.detach().numpy(), bias.detach().numpy()


def sklearn_fits(features: np.ndarray, labels: np.ndarray, l2: float) -> list[list[Fit]]:
    """scikit-learn's fits, loosest first."""
    return [[partial(sklearn_fit, features, labels, l2, tolerance) for tolerance in SKLEARN_TOLERANCES]]


def torch_fits(features: np.ndarray, labels: np.ndarray, l2: float) -> list[list[Fit]]:
    """PyTorch's fits with each history, loosest first."""
    data = torch.from_numpy(features), torch.from_numpy(labels.astype(np.int64)), int(labels.max()) + 1, l2
    return [
        [partial(torch_fit, *data, history, tolerance) for tolerance in TORCH_TOLERANCES] for history in TORCH_HISTORIES
    ]


class Peer:
    """What `beem` is held against, and how long its fits took so far.

    `families` gives lists of fits, loosest first, for features in either type.
    """

    def __init__(self, name: str, families: Callable[[np.ndarray, np.ndarray, float], list[list[Fit]]]) -> None:
        self.name, self.families = name, families
        self.seconds = 0.0
        # Where the last search ended, for each penalty, type and family.
        self.starts = defaultdict(int)

    def train(self, features: np.ndarray, labels: np.ndarray, l2: float, target: float, repeats: int) -> None:
        """Trains one head to an objective, and adds the best time of the fastest family."""

        def reaches(fit: Fit) -> bool:
            return objective(*fit(), features, labels, l2) <= target

        # Float32 is faster, but optimisers give up early in it where the objective is small.
        for type_ in (np.float32, np.float64):
            best = float("inf")
            for index, fits in enumerate(self.families(features.astype(type_), labels, l2)):
                found, end = loosest(fits, reaches, self.starts[l2, type_, index])
                self.starts[l2, type_, index] = end
                if found:
                    best = min(best, time_fit(fits[end], repeats))
            if best < float("inf"):
                self.seconds += best
                return
        raise SystemExit(f"{self.name} did not reach the objective {target} with l2 = {l2}")


def loosest(fits: list[Fit], reaches: Callable[[Fit], bool], start: int) -> tuple[bool, int]:
    """Whether a fit reaches the objective, and which is the loosest that does; the search begins at `start`."""
    index = start
    if reaches(fits[index]):
        while index > 0 and reaches(fits[index - 1]):
            index -= 1
        return True, index
    while index + 1 < len(fits):
        index += 1
        if reaches(fits[index]):
            return True, index
    return False, index


def time_fit(fit: Fit, repeats: int) -> float:
    """The best time of a fit."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        fit()
        best = min(best, time.perf_counter() - start)
    return best


def standardized(features: np.ndarray) -> np.ndarray:
    """Features with mean 0 and deviation 1, in Float32; what does not vary becomes 0."""
    features = features.astype(np.float32)
    deviation = features.std(axis=0, dtype=np.float64)
    features = (features - features.mean(axis=0, dtype=np.float64)) / np.where(deviation > 0, deviation, np.inf)
    return features.astype(np.float32)


def train_peers(cache: str, exits: list[dict], repeats: int) -> list[Peer]:
    """The peers, after all fits."""
    peers = [Peer("scikit-learn", sklearn_fits)] + ([Peer("PyTorch", torch_fits)] if torch else [])
    tensors = read_safetensors(cache)
    train = tensors["split"] == 0
    labels = tensors["labels"][train]
    for exit_ in exits:
        features = standardized(tensors[f"features.{exit_['index']}"][train])
        for candidate in exit_["candidates"]:
            for peer in peers:
                peer.train(features, labels, candidate["l2"], candidate["objective"] * (1 + SAME), repeats)
    return peers


def excess(loose: list[dict], exits: list[dict]) -> float:
    """By how much the worst objective is above what it was elsewhere, relatively."""
    pairs = zip((c for e in loose for c in e["candidates"]), (c for e in exits for c in e["candidates"]))
    return max(0, *(left["objective"] / right["objective"] - 1 for left, right in pairs))


def edited(text: str, pattern: str, replacement: str) -> str:
    """A recipe's text with one thing replaced, which must be there."""
    text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"the recipe has {count} places like {pattern}, expected one")
    return text


def measure(beem: str, name: str, text: str, repeats: int) -> None:
    """Trains a recipe, given as text that names its features by an absolute path, with all and prints a line."""
    cache = re.search(r"^features:\s*(\S+)", text, re.MULTILINE).group(1)
    with tempfile.TemporaryDirectory() as folder:

        def timed(text: str) -> tuple[float, list[dict]]:
            recipe = os.path.join(folder, "recipe.yaml")
            with open(recipe, "w") as file:
                file.write(text)
            return time_beem(beem, recipe, 5 * repeats)

        loose_text = edited(text, r"l2: \[.*?\]", rf"\g<0>, tolerance: {LOOSE:g}")
        (seconds, exits), (loose_seconds, loose) = timed(text), timed(loose_text)
        peers = train_peers(cache, exits, repeats)
        seconds, loose_seconds = min(seconds, timed(text)[0]), min(loose_seconds, timed(loose_text)[0])
    tensors = read_safetensors(cache)
    rows, width = int((tensors["split"] == 0).sum()), tensors["features.0"].shape[1]
    print(
        f"{name}: {len(exits)} exits x {rows:,} rows x {width} features, "
        f"{sum(len(exit_['candidates']) for exit_ in exits)} fits: beem train {seconds:.2f} s ("
        f"{loose_seconds:.2f} s with tolerance {LOOSE:g}, objectives up to {excess(loose, exits):.0e} higher)"
        + "".join(f", {peer.name} {peer.seconds:.2f} s, ratio {peer.seconds / seconds:.1f}" for peer in peers),
        flush=True,
    )


def read_recipe(path: str) -> str:
    """A recipe's text, its features named by an absolute path."""
    with open(path) as file:
        text = file.read()
    features = re.search(r"^features:\s*(\S+)", text, re.MULTILINE).group(1)
    absolute = os.path.abspath(os.path.join(os.path.dirname(path), features))
    return edited(text, r"^features:.*$", f"features: {absolute}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--full", help="the folder of the features before compression")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if torch:
        torch.set_num_threads(2)
    else:
        print("PyTorch cannot be imported and is left out.")

    versions = f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
    versions += f", PyTorch {torch.__version__}" if torch else ""
    print(f"{versions}, 2 threads each, best of {options.repeats}", flush=True)
    for recipe in options.recipes:
        name, text = os.path.basename(os.path.dirname(os.path.abspath(recipe))), read_recipe(recipe)
        measure(options.beem, name, text, options.repeats)
        if options.full:
            full = os.path.join(os.path.abspath(options.full), f"{name}.safetensors")
            text = edited(edited(text, r"^features:.*$", f"features: {full}"), r"l2: \[.*?\]", "l2: [1e-2]")
            measure(options.beem, name, text, options.repeats)


if __name__ == "__main__":
    main()
