"""Golden values for OptimizerTests and LearningRateScheduleTests: trajectories of PyTorch's optimisers, in Double.

Run in a virtual environment with numpy and torch:
    python make_optimizer_golden.py
writes optimizer_golden.json beside this script. Versions that made the committed file are stored in it.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import torch
from torch.optim import lr_scheduler

STEPS = 20
# The last two parameters are biases, which do not decay.
WEIGHTS, BIASES = 4, 2


def digits(values) -> list[float]:
    """12 significant digits: far below Float32's."""
    return [float(f"{value:.12g}") for value in values]


def sequence(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A start [6] and a gradient for each step [20, 6], of few digits: exact in Float32."""
    generator = np.random.default_rng(seed)
    start = np.round(generator.normal(size=WEIGHTS + BIASES) * 64) / 64
    drift = generator.normal(size=WEIGHTS + BIASES)
    gradients = drift + generator.normal(size=(STEPS, WEIGHTS + BIASES))
    return start, np.round(gradients * 64) / 64


def warmup_cosine(step: int, warmup: int = 5) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup)))


def warmup_linear(step: int, warmup: int = 5) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 1 - (step - warmup) / (STEPS - warmup)


def trajectory(start, gradients, settings: dict) -> list[list[float]]:
    """The parameters after each step."""
    weights = torch.tensor(start[:WEIGHTS], requires_grad=True)
    biases = torch.tensor(start[WEIGHTS:], requires_grad=True)
    decay = settings["weightDecay"]
    groups = [{"params": [weights], "weight_decay": decay}, {"params": [biases], "weight_decay": 0.0}]
    rate = settings["learningRate"]
    if settings["kind"] == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=rate, betas=(settings["beta1"], settings["beta2"]), eps=1e-8)
    else:
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=settings["momentum"], nesterov=settings["nesterov"])
    shape = {"constant": lambda step: 1.0, "cosine": warmup_cosine, "linear": warmup_linear}[settings["shape"]]
    scheduler = lr_scheduler.LambdaLR(optimizer, shape)
    path = []
    for gradient in gradients:
        weights.grad = torch.tensor(gradient[:WEIGHTS])
        biases.grad = torch.tensor(gradient[WEIGHTS:])
        if settings["maximumNorm"]:
            torch.nn.utils.clip_grad_norm_([weights, biases], settings["maximumNorm"])
        optimizer.step()
        scheduler.step()
        path.append(digits(torch.cat([weights, biases]).tolist()))
    return path


def rates(shape: str, warmup: int) -> dict:
    """A schedule put together from PyTorch's own, a second opinion beside the formula."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    if shape == "cosine":
        fall = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - warmup, eta_min=0)
    else:
        end = 0.0 if shape == "linear" else 1.0
        fall = lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=end, total_iters=STEPS - warmup)
    scheduler = fall
    if warmup:
        rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, end_factor=1.0, total_iters=warmup - 1)
        scheduler = lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[warmup])
    values = []
    for _ in range(STEPS + 1):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return {"shape": shape, "warmupSteps": warmup, "rates": values}


def clipped(values: np.ndarray, maximum: float) -> dict:
    parameter = torch.zeros(len(values), dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.tensor(values)
    norm = torch.nn.utils.clip_grad_norm_([parameter], maximum)
    return {
        "gradient": values.tolist(),
        "maximumNorm": maximum,
        "norm": norm.item(),
        "clipped": digits(parameter.grad.tolist()),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    start, gradients = sequence(1)
    base = {"shape": "constant", "maximumNorm": 0, "weightDecay": 0.0}
    sgd = base | {"kind": "sgd", "learningRate": 0.05, "momentum": 0.9, "nesterov": False}
    adam = base | {"kind": "adamw", "learningRate": 0.03, "beta1": 0.9, "beta2": 0.999}
    settings = [
        sgd | {"momentum": 0.0},
        sgd,
        sgd | {"nesterov": True, "weightDecay": 0.1},
        sgd | {"shape": "linear", "maximumNorm": 1.5},
        adam,
        adam | {"weightDecay": 0.5},
        adam | {"beta1": 0.8, "beta2": 0.95, "shape": "cosine", "weightDecay": 0.2, "maximumNorm": 1.5},
    ]
    golden = {
        "madeBy": {"numpy": np.__version__, "torch": torch.__version__},
        "weights": WEIGHTS,
        "warmupSteps": 5,
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "trajectories": [own | {"path": trajectory(start, gradients, own)} for own in settings],
        "schedules": [rates(shape, warmup) for shape in ("constant", "cosine", "linear") for warmup in (0, 1, 6)],
        "clipping": [clipped(gradients[0], maximum) for maximum in (1.0, 100.0)],
    }
    path = pathlib.Path(__file__).with_name("optimizer_golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
