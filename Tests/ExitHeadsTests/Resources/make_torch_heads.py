"""Writes heads as PyTorch would hand them over, and the logits it gives with them.

Run in a virtual environment with torch and safetensors:
    python make_torch_heads.py
writes torch_heads.safetensors (one exit for each kind of head) and torch_heads.json beside this script: features
[exits][rows][width] and logits [exits][rows][classes], once computed in Float32, which is what PyTorch does with such
heads, and once in Float64 from the same Float32 parameters, without rounding. Decimals read back exactly. Versions that
made the committed files are stored in the JSON.
"""

import json
import pathlib

import safetensors
import torch
from safetensors.torch import save_file

ROWS, WIDTH, HIDDEN, CLASSES = 8, 7, 5, 3
ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "gelu": torch.nn.GELU}
# Activation, or none for a linear head, and whether LayerNorm comes first.
HEADS = [(None, False), ("tanh", False), ("gelu", True), ("relu", False)]


def make_head(activation: str | None, layer_norm: bool) -> torch.nn.Sequential:
    """A head with random parameters."""
    modules = {"norm": torch.nn.LayerNorm(WIDTH, eps=1e-5)} if layer_norm else {}
    if activation:
        modules |= {"hidden": torch.nn.Linear(WIDTH, HIDDEN), "activation": ACTIVATIONS[activation]()}
    modules["last"] = torch.nn.Linear(HIDDEN if activation else WIDTH, CLASSES)
    head = torch.nn.Sequential()
    for name, module in modules.items():
        head.add_module(name, module)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_()
    return head


def make_features() -> torch.Tensor:
    """Random rows [rows, width]: the last three all zero, all the same, and large."""
    features = torch.randn(ROWS, WIDTH)
    features[-3] = 0
    features[-2] = 1.5
    features[-1] *= 100
    return features


def main() -> None:
    torch.manual_seed(0)
    tensors, metadata = {}, {}
    golden = {
        "madeBy": {"torch": torch.__version__, "safetensors": safetensors.__version__},
        "features": [], "logits": [], "doubleLogits": [],
    }
    for exit_, (activation, layer_norm) in enumerate(HEADS):
        head, features = make_head(activation, layer_norm), make_features()
        for name, parameter in head.state_dict().items():
            tensors[f"exit.{exit_}.{name.removeprefix('last.')}"] = parameter.clone()
        if activation:
            metadata[f"exit.{exit_}.activation"] = activation
        with torch.no_grad():
            golden["features"].append(features.tolist())
            golden["logits"].append(head(features).tolist())
            golden["doubleLogits"].append(head.double()(features.double()).tolist())
    folder = pathlib.Path(__file__).parent
    save_file(tensors, folder / "torch_heads.safetensors", metadata=metadata)
    (folder / "torch_heads.json").write_text(json.dumps(golden, separators=(",", ":"), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
