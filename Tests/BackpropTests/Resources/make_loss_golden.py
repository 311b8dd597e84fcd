"""Golden values for HeadLossTests: losses and gradients with respect to logits, from PyTorch in Double.

Run in a virtual environment with numpy and torch:
    python make_loss_golden.py
writes loss_golden.json beside this script. Versions that made the committed file are stored in it.
"""

import json
import pathlib

import numpy as np
import torch
from torch.nn import functional


def rounded(values: np.ndarray) -> np.ndarray:
    """Few digits, so that the file is small and exact in Float32."""
    return np.round(values * 64) / 64


def digits(values: torch.Tensor) -> list[float]:
    """12 significant digits: far below what Float32 gradients are held to."""
    return [float(f"{value:.12g}") for value in values.detach().numpy().ravel()]


def measured(loss, logits: torch.Tensor) -> dict:
    """The mean loss and its gradient at the logits."""
    logits = logits.clone().requires_grad_()
    value = loss(logits)
    value.backward()
    return {"loss": value.item(), "gradient": digits(logits.grad)}


def divergence(logits: torch.Tensor, teacher: torch.Tensor, temperature: float, reduction: str) -> torch.Tensor:
    """T^2 KL(teacher || logits), of softened distributions."""
    own = functional.log_softmax(logits / temperature, dim=1)
    wanted = functional.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * functional.kl_div(own, wanted, reduction=reduction, log_target=True)


def classification(rows: int, classes: int, seed: int) -> dict:
    generator = np.random.default_rng(seed)
    logits = rounded(2 * generator.normal(size=(rows, classes)))
    # A row that is very sure, and one that is very wrong.
    logits[0] *= 12
    labels = generator.integers(classes, size=rows)
    labels[0] = logits[0].argmin()
    teacher = rounded(2 * generator.normal(size=(rows, classes)))
    class_weights = rounded(0.25 + 3 * generator.random(classes))
    torch_logits, torch_labels = torch.tensor(logits), torch.tensor(labels)
    torch_teacher, torch_weights = torch.tensor(teacher), torch.tensor(class_weights)
    losses = []
    for weighted in (False, True):
        for smoothing in (0.0, 0.1):
            weight = torch_weights if weighted else None

            def cross_entropy(z, weight=weight, smoothing=smoothing):
                return functional.cross_entropy(z, torch_labels, weight=weight, label_smoothing=smoothing)

            own = {"kind": "cross-entropy", "weighted": weighted, "smoothing": smoothing, "temperature": 1}
            losses.append(own | measured(cross_entropy, torch_logits))
    for temperature in (1.0, 2.0, 4.0):

        def distillation(z, temperature=temperature):
            return divergence(z, torch_teacher, temperature, "batchmean")

        own = {"kind": "distillation", "weighted": False, "smoothing": 0, "temperature": temperature}
        losses.append(own | measured(distillation, torch_logits))
    for weighted, temperature in ((False, 1.0), (True, 2.0)):
        row_weights = torch_weights[torch_labels] if weighted else torch.ones(rows, dtype=torch.float64)

        def joint(z, row_weights=row_weights, temperature=temperature):
            own = functional.cross_entropy(z, torch_labels, reduction="none")
            taught = divergence(z, torch_teacher, temperature, "none").sum(1)
            return ((own + taught) * row_weights).sum() / row_weights.sum()

        own = {"kind": "joint", "weighted": weighted, "smoothing": 0, "temperature": temperature}
        losses.append(own | measured(joint, torch_logits))
    return {
        "rows": rows,
        "classes": classes,
        "logits": logits.ravel().tolist(),
        "labels": labels.tolist(),
        "teacherLogits": teacher.ravel().tolist(),
        "values": [],
        "classWeights": class_weights.tolist(),
        "losses": losses,
    }


def regression(rows: int, seed: int) -> dict:
    generator = np.random.default_rng(seed)
    outputs, values = rounded(generator.normal(size=(rows, 1))), rounded(2 * generator.normal(size=rows))

    def squared_error(z):
        return functional.mse_loss(z[:, 0], torch.tensor(values))

    own = {"kind": "squared-error", "weighted": False, "smoothing": 0, "temperature": 1}
    return {
        "rows": rows,
        "classes": 1,
        "logits": outputs.ravel().tolist(),
        "labels": [],
        "teacherLogits": [],
        "values": values.tolist(),
        "classWeights": [],
        "losses": [own | measured(squared_error, torch.tensor(outputs))],
    }


def main() -> None:
    golden = {
        "madeBy": {"numpy": np.__version__, "torch": torch.__version__},
        "cases": [classification(6, 2, 1), classification(5, 3, 2), classification(5, 7, 3), regression(6, 4)],
    }
    path = pathlib.Path(__file__).with_name("loss_golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
