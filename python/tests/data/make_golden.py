"""Makes the policies of version 1 that the tests read, with the `beem` command, from small synthetic data.

usage: BEEM=.build/release/beem python make_golden.py

Writes a folder beside this script for each: the policy, its heads, what it is applied to, and the decisions of
`beem apply`. They stay as they are when the format gets a newer version: older policies must go on being read.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from support import safetensors_bytes

BEEM = os.environ["BEEM"]
EXITS, CLASSES, WIDTH, SAMPLES = 4, 3, 5, 400

COMMON = """\
name: {name}
features: features.safetensors
splits: {{ train: 0.3, tune: 0.2, certify: 0.3, test: 0.2 }}
seed: 1
guarantee: {{ allowedGap: 0.1 }}
output: out
"""
RECORDED = """\
name: {name}
outputs:
  file: outputs.csv
  columns: {columns}
  classes: [red, green, blue]
splits: {{ tune: 0.3, certify: 0.4, test: 0.3 }}
seed: 1
cost: [1, 2.5, 4, 7]
guarantee: {{ allowedGap: 0.1 }}
output: out
"""
CACHES = {
    "linear": "heads: { kind: linear }\nrule: { kind: beem, weights: accuracy, memory: 1 }\n",
    "hidden": "heads: { kind: hidden, width: 6, activation: gelu, layerNorm: true }\n"
    "training: { l2: [1e-3], learningRate: 0.03 }\n"
    "rule: { kind: beem, weights: accuracy, memory: 0.3, confidence: entropy, restart: zero }\n",
    "per-exit": "rule: { kind: margin }\nsearch: { thresholds: per-exit, method: coordinate, starts: 4 }\n",
    "numbers": "training: { loss: squared-error, l2: [1e-3] }\nrule: { kind: patience, tolerance: 0.75 }\n",
}
TABLES = {
    "recorded": (
        "{ target: target, label: 'label_{exit}', confidence: 'confidence_{exit}' }",
        "rule: { kind: beem, weights: cost, memory: 0.5, restart: zero }\n",
    ),
    "patience": ("{ target: target, label: 'label_{exit}' }", "rule: { kind: patience }\n"),
}


def run(*arguments: str) -> str:
    return subprocess.run([BEEM, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def draw(generator: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels, and features that tell more from exit to exit."""
    labels = np.arange(SAMPLES) % CLASSES
    means = generator.normal(size=(CLASSES, WIDTH))
    own = generator.normal(size=(SAMPLES, WIDTH))
    noise = [1.2, 0.9, 0.6, 0.7]
    features = [means[labels] + s * (0.7 * own + 0.7 * generator.normal(size=own.shape)) for s in noise]
    return labels, features


def main() -> None:
    for number, (name, settings) in enumerate(CACHES.items()):
        labels, features = draw(np.random.default_rng(number))
        tensors = {f"features.{i}": values.astype(np.float16) for i, values in enumerate(features)}
        metadata = {}
        if name == "numbers":
            tensors["targets"] = labels.astype(np.float32)
        else:
            tensors["labels"] = labels.astype(np.int32)
            metadata["classes"] = json.dumps(["red", "green", "blue"])
        make(name, COMMON.format(name=name) + settings, "features.safetensors", safetensors_bytes(tensors, metadata))
    for number, (name, (columns, settings)) in enumerate(TABLES.items()):
        labels, features = draw(np.random.default_rng(100 + number))
        names = ["red", "green", "blue"]
        has_confidence = "confidence" in columns
        header, cells = "target", [[names[label] for label in labels]]
        for exit_, values in enumerate(features):
            # A crude exit: the nearest class mean, and a confidence from the distances.
            means = [values[labels == label].mean(axis=0) for label in range(CLASSES)]
            distances = np.stack([((values - mean) ** 2).sum(axis=1) for mean in means])
            shares = np.exp(-distances + distances.min(axis=0))
            header += f",label_{exit_}"
            cells.append([names[label] for label in distances.argmin(axis=0)])
            if has_confidence:
                header += f",confidence_{exit_}"
                cells.append([str(share) for share in (shares.max(axis=0) / shares.sum(axis=0)).astype(np.float32)])
        lines = [header, *map(",".join, zip(*cells))]
        make(name, RECORDED.format(name=name, columns=columns) + settings, "outputs.csv", "\n".join(lines).encode())


def make(name: str, recipe: str, data_name: str, data: bytes) -> None:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tempfile.TemporaryDirectory() as place:
        work = pathlib.Path(place)
        (work / data_name).write_bytes(data)
        (work / "recipe.yaml").write_text(recipe)
        run("run", "--quiet", str(work / "recipe.yaml"))
        for file in ("policy.json", "heads.safetensors"):
            if (work / "out" / file).exists():
                shutil.copy(work / "out" / file, folder / file)
        shutil.copy(work / data_name, folder / data_name)
        if name == "hidden":
            # No recipe fits temperatures yet; the format has them.
            policy = json.loads((folder / "policy.json").read_text())
            for exit_ in policy["exits"]:
                exit_["temperature"] = 1 - 0.125 * exit_["index"]
            (folder / "policy.json").write_text(json.dumps(policy, indent=2, sort_keys=True) + "\n")
        options = ["--recipe", str(work / "recipe.yaml")] if data_name.endswith(".csv") else []
        decisions = run("apply", str(folder / "policy.json"), str(folder / data_name), *options)
        (folder / "decisions.csv").write_text(decisions)


if __name__ == "__main__":
    main()
