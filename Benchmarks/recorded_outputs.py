"""Write what a recipe's exits say of the rows outside its train split, as exit outputs in safetensors.

usage: recorded_outputs.py RECIPE HEADS OUTPUT
"""

import os
import re
import sys

import numpy as np

from safetensors_file import read_safetensors, write_safetensors


def recorded_outputs(recipe: str, heads: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The truth [samples], the labels and the largest probabilities [exits][samples]."""
    with open(recipe) as file:
        relative = re.search(r"^features:\s*(\S+)", file.read(), re.MULTILINE).group(1)
    tensors = read_safetensors(os.path.join(os.path.dirname(recipe), relative))
    parameters = read_safetensors(heads)
    rows = tensors["split"] != 0
    labels, confidences = [], []
    while f"exit.{len(labels)}.weight" in parameters:
        exit_ = len(labels)
        features = tensors[f"features.{exit_}"][rows].astype(np.float32)
        logits = features @ parameters[f"exit.{exit_}.weight"].T + parameters[f"exit.{exit_}.bias"]
        powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        labels.append(logits.argmax(axis=1))
        confidences.append((powers / powers.sum(axis=1, keepdims=True)).max(axis=1))
    return tensors["labels"][rows].astype("<i4"), np.array(labels, "<i4"), np.array(confidences, "<f4")


if __name__ == "__main__":
    truth, labels, confidences = recorded_outputs(sys.argv[1], sys.argv[2])
    tensors = {"labels": ("I32", [len(truth)], [truth])}
    for exit_ in range(len(labels)):
        tensors[f"label.{exit_}"] = ("I32", [len(truth)], [labels[exit_]])
        tensors[f"confidence.{exit_}"] = ("F32", [len(truth)], [confidences[exit_]])
    write_safetensors(sys.argv[3], tensors, {})
