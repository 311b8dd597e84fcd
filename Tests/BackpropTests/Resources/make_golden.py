"""Golden values for BackpropTests: gradients from PyTorch, optima from scikit-learn.

Run in a virtual environment with numpy, torch and scikit-learn:
    python make_golden.py
writes golden.json beside this script. Versions that made the committed file are stored in it.
"""

import json
import pathlib

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression


def samples(rows: int, width: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features with offsets and scales of their own, and labels that depend on them."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(width, width))
    scale = np.exp(generator.normal(size=width))
    features = generator.normal(size=(rows, width)) @ mixing * scale + 3 * generator.normal(size=width)
    # Rounded to few digits, so that the file is small and exact in Float32.
    features = (np.round(features * 64) / 64).astype(np.float32)
    standardized = (features - features.mean(0)) / features.std(0)
    weights = generator.normal(size=(classes, width)) * 0.7
    labels = np.argmax(standardized @ weights.T + generator.gumbel(size=(rows, classes)), axis=1)
    return features, labels


def torch_gradient(features: np.ndarray, labels: np.ndarray, classes: int, l2: float, seed: int) -> dict:
    """Objective and gradient at random parameters, in Double, by autograd."""
    generator = np.random.default_rng(seed)
    width = features.shape[1]
    double = features.astype(np.float64)
    standardized = torch.tensor((double - double.mean(0)) / double.std(0))
    weight = torch.tensor(generator.normal(size=(classes, width)), requires_grad=True)
    bias = torch.tensor(generator.normal(size=classes), requires_grad=True)
    logits = standardized @ weight.T + bias
    objective = torch.nn.functional.cross_entropy(logits, torch.tensor(labels)) + l2 / 2 * (weight**2).sum()
    objective.backward()
    return {
        "l2": l2,
        "weight": weight.detach().numpy().ravel().tolist(),
        "bias": bias.detach().numpy().tolist(),
        "objective": objective.item(),
        "weightGradient": weight.grad.numpy().ravel().tolist(),
        "biasGradient": bias.grad.numpy().tolist(),
    }


def sklearn_optimum(features: np.ndarray, labels: np.ndarray, classes: int, l2: float) -> dict:
    """The optimum of mean cross-entropy + l2/2 |W|^2, W on standardised features, biases free."""
    rows = len(labels)
    double = features.astype(np.float64)
    standardized = (double - double.mean(0)) / double.std(0)
    # scikit-learn minimises C * sum of losses + |W|^2 / 2. With two classes it has one row w, which stands for the
    # rows (-w/2, +w/2) here, whose squares sum to |w|^2 / 2.
    inverse_penalty = (2 if classes == 2 else 1) / (l2 * rows)
    # Newton steps: its L-BFGS stops where parameters are still off by some 1e-5.
    model = LogisticRegression(C=inverse_penalty, tol=1e-12, max_iter=1000, solver="newton-cholesky")
    model.fit(standardized, labels)
    weight, bias = model.coef_, model.intercept_
    if classes == 2:
        weight = np.stack([-weight[0] / 2, weight[0] / 2])
        bias = np.array([-bias[0] / 2, bias[0] / 2])
    logits = standardized @ weight.T + bias
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(rows), labels]
    return {
        "l2": l2,
        "objective": float(losses.mean() + l2 / 2 * (weight**2).sum()),
        "weight": weight.ravel().tolist(),
        "bias": (bias - bias.mean()).tolist(),
    }


def case(rows: int, width: int, classes: int, seed: int) -> dict:
    features, labels = samples(rows, width, classes, seed)
    return {
        "rows": rows,
        "width": width,
        "classes": classes,
        "features": features.ravel().tolist(),
        "labels": labels.tolist(),
        "gradients": [torch_gradient(features, labels, classes, l2, seed + 1) for l2 in (0.0, 0.03)],
        "optima": [sklearn_optimum(features, labels, classes, l2) for l2 in (1e-3, 1e-2, 1e-1)],
    }


def main() -> None:
    golden = {
        "madeBy": {"numpy": np.__version__, "torch": torch.__version__, "scikit-learn": sklearn.__version__},
        "cases": [case(300, 9, 2, 1), case(300, 9, 3, 2), case(200, 5, 6, 3)],
    }
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
