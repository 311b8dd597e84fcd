"""What PyTorch says with heads that `beem` wrote, loaded with nothing but the format's own library.

usage: load_heads.py HEADS FEATURES

HEADS is a heads.safetensors. FEATURES is a JSON file, an array [exits][rows][width], or an object that has it under
"features". Prints one JSON array, the logits [exits][rows][classes] in Float32, as decimals that read back exactly. A
tensor that is missing, not Float32, of another shape or of no head, and metadata that does not fit, end the script with
an error.
"""

import json
import sys

import torch
from safetensors import safe_open

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "gelu": torch.nn.GELU}


def make_head(state: dict[str, torch.Tensor], activation: str | None) -> torch.nn.Sequential:
    """A head with the parameters of one exit, named without their exit."""
    classes, inner = state["weight"].shape
    width = state.get("hidden.weight", state["weight"]).shape[1]
    head = torch.nn.Sequential()
    if "norm.weight" in state:
        head.add_module("norm", torch.nn.LayerNorm(width, eps=1e-5))
    if activation is not None:
        head.add_module("hidden", torch.nn.Linear(width, inner))
        head.add_module("activation", ACTIVATIONS[activation]())
    head.add_module("last", torch.nn.Linear(inner, classes))
    # Strict: no name and no size may differ.
    renamed = {f"last.{name}" if name in ("weight", "bias") else name: values for name, values in state.items()}
    head.load_state_dict(renamed, strict=True)
    return head.eval()


def read_heads(path: str) -> list[torch.nn.Sequential]:
    """The heads of all exits."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    for name, values in tensors.items():
        if values.dtype != torch.float32:
            raise SystemExit(f"{name} is {values.dtype}")
    heads = []
    while f"exit.{len(heads)}.weight" in tensors:
        prefix = f"exit.{len(heads)}."
        names = [name for name in tensors if name.startswith(prefix)]
        state = {name.removeprefix(prefix): tensors.pop(name) for name in names}
        heads.append(make_head(state, metadata.pop(f"{prefix}activation", None)))
    strangers = [*tensors, *(name for name in metadata if name.startswith("exit."))]
    if strangers or not heads:
        raise SystemExit(f"belongs to no head: {', '.join(strangers)}" if strangers else "no heads")
    return heads


def main() -> None:
    heads_path, features_path = sys.argv[1:]
    heads = read_heads(heads_path)
    with open(features_path) as file:
        features = json.load(file)
    if isinstance(features, dict):
        features = features["features"]
    if len(features) != len(heads):
        raise SystemExit(f"{len(heads)} heads, features of {len(features)} exits")
    with torch.no_grad():
        logits = [head(torch.tensor(rows, dtype=torch.float32)).tolist() for head, rows in zip(heads, features)]
    print(json.dumps(logits, allow_nan=False))


if __name__ == "__main__":
    main()
