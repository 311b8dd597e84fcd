"""Golden values for HiddenHeadKernelTests: logits and gradients of hidden heads from PyTorch, in Double.

Run in a virtual environment with numpy and torch:
    python make_hidden_golden.py
writes hidden_golden.json beside this script. Versions that made the committed file are stored in it.
"""

import json
import pathlib

import numpy as np
import torch

ROWS, WIDTH, HIDDEN, CLASSES = 12, 5, 4, 3
ACTIVATIONS = {"tanh": torch.nn.Tanh(), "relu": torch.nn.ReLU(), "gelu": torch.nn.GELU()}


def rounded(values: np.ndarray) -> torch.Tensor:
    """Few digits, so that the file is small and exact in Float32."""
    return torch.tensor(np.round(values * 64) / 64)


def case(features: torch.Tensor, labels: torch.Tensor, activation: str, layer_norm: bool, drop: bool, seed: int) -> dict:
    generator = np.random.default_rng(seed)
    norm = torch.nn.LayerNorm(WIDTH) if layer_norm else torch.nn.Identity()
    hidden, last = torch.nn.Linear(WIDTH, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
    model = torch.nn.ModuleList([norm, hidden, last]).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(rounded(generator.normal(size=tuple(parameter.shape))))
    # Inverted dropout of one half, with a mask that is given.
    mask = torch.tensor(2.0 * generator.integers(0, 2, size=(ROWS, HIDDEN))) if drop else torch.ones(ROWS, HIDDEN)
    l2 = 0.03
    logits = last(ACTIVATIONS[activation](hidden(norm(features))) * mask)
    penalty = (hidden.weight**2).sum() + (last.weight**2).sum()
    objective = torch.nn.functional.cross_entropy(logits, labels) + l2 / 2 * penalty
    objective.backward()
    # The order of the modules is that of HiddenParameters: LayerNorm, hidden layer, last layer; weight, then bias.
    return {
        "activation": activation,
        "layerNorm": layer_norm,
        "mask": mask.int().ravel().tolist() if drop else None,
        "l2": l2,
        "parameters": [value for parameter in model.parameters() for value in parameter.detach().ravel().tolist()],
        "logits": logits.detach().ravel().tolist(),
        "objective": objective.item(),
        "gradient": [value for parameter in model.parameters() for value in parameter.grad.ravel().tolist()],
    }


def main() -> None:
    generator = np.random.default_rng(1)
    features = rounded(generator.normal(size=(ROWS, WIDTH)))
    labels = torch.tensor(generator.integers(0, CLASSES, size=ROWS))
    combinations = [(a, n, d) for a in ACTIVATIONS for n, d in ((False, False), (True, False), (True, True))]
    golden = {
        "madeBy": {"numpy": np.__version__, "torch": torch.__version__},
        "rows": ROWS,
        "width": WIDTH,
        "hidden": HIDDEN,
        "classes": CLASSES,
        "features": features.ravel().tolist(),
        "labels": labels.tolist(),
        "cases": [case(features, labels, *combination, seed) for seed, combination in enumerate(combinations)],
    }
    path = pathlib.Path(__file__).with_name("hidden_golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
