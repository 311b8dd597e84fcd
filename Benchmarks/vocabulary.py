"""How fast heads for thousands of classes are trained: the next word of a caption, against PyTorch, in one run.

usage: vocabulary.py [--beem .build/release/beem] [--samples 100000] [--classes 2917] [--width 256] [--exits 2] [--epochs 2]

Tokens are made up: a class by Zipf's law, a vector for it, noise that shrinks from exit to exit; F16 in the cache. Both train
a linear head for each exit by AdamW on minibatches of 512, one penalty, the same number of epochs, two threads. `beem` is timed as
a command: reading, checking, standardising, measuring tune after each epoch and writing included. PyTorch is timed for its
steps alone, on Float32 features in memory that are standardised already. Said besides: the peak memory of `beem`, and the
cross-entropy of both on tune, which tells whether they did the same work.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "2"

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

try:
    import torch
except ImportError:
    torch = None

BATCH, RATE, PENALTY = 512, 1e-3, 1e-4


def tokens(samples: int, classes: int, width: int, exits: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Labels [samples], splits [samples], features of each exit [samples, width] in F16; every class is in every split."""
    generator = np.random.default_rng(1)
    share = 1 / np.arange(1, classes + 1)
    drawn = generator.choice(classes, samples - 4 * classes, p=share / share.sum())
    labels = np.concatenate([np.tile(np.arange(classes), 4), drawn]).astype(np.int32)
    split = np.concatenate(
        [np.repeat(np.arange(4), classes), generator.choice(4, samples - 4 * classes, p=[0.7, 0.1, 0.1, 0.1])]
    ).astype(np.uint8)
    means = generator.normal(size=(classes, width)).astype(np.float32)
    features = [
        (means[labels] * (0.3 + 0.3 * exit_ / exits) + generator.normal(size=(samples, width))).astype(np.float16)
        for exit_ in range(exits)
    ]
    return labels, split, features


def write(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """A safetensors file, the wide types first."""
    names = {"int32": "I32", "uint8": "U8", "float16": "F16"}
    header: dict[str, object] = {"__metadata__": metadata}
    start = 0
    for name, values in tensors.items():
        header[name] = {"dtype": names[str(values.dtype)], "shape": list(values.shape),
                        "data_offsets": [start, start + values.nbytes]}  # fmt: skip
        start += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors.values():
            file.write(values.tobytes())


def time_torch(
    labels: np.ndarray, split: np.ndarray, features: list[np.ndarray], classes: int, epochs: int
) -> tuple[float, list[float]]:
    """Seconds of the steps for all exits, and each exit's cross-entropy on tune."""
    torch.set_num_threads(2)
    train, tune = np.flatnonzero(split == 0), np.flatnonzero(split == 1)
    seconds, losses = 0.0, []
    for values in features:
        rows = values[train].astype(np.float32)
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        inputs = torch.from_numpy((rows - mean) / deviation)
        targets = torch.from_numpy(labels[train].astype(np.int64))
        head = torch.nn.Linear(inputs.shape[1], classes)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        steps = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=PENALTY)
        generator = torch.Generator().manual_seed(1)
        start = time.perf_counter()
        for _ in range(epochs):
            for batch in torch.randperm(len(inputs), generator=generator).split(BATCH):
                steps.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(head(inputs[batch]), targets[batch]).backward()
                steps.step()
        seconds += time.perf_counter() - start
        with torch.inference_mode():
            held = torch.from_numpy((values[tune].astype(np.float32) - mean) / deviation)
            losses.append(
                float(torch.nn.functional.cross_entropy(head(held), torch.from_numpy(labels[tune].astype(np.int64))))
            )
    return seconds, losses


def main() -> int:
    parser = argparse.ArgumentParser(description="Heads for thousands of classes: beem train against PyTorch.")
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=2917)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--exits", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    labels, split, features = tokens(options.samples, options.classes, options.width, options.exits)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tensors = {f"features.{i}": values for i, values in enumerate(features)}
        tensors = {"labels": labels} | tensors | {"split": split}
        write(place / "tokens.safetensors", tensors, {"classes": json.dumps([f"w{i}" for i in range(options.classes)])})
        (place / "recipe.yaml").write_text(
            "name: tokens\nfeatures: tokens.safetensors\nsplits: stored\nseed: 1\noutput: out\n"
            f"training: {{ optimizer: adamw, schedule: constant, epochs: {options.epochs}, batchSize: {BATCH}, "
            f"learningRate: {RATE}, l2: {PENALTY} }}\n"
        )
        start = time.perf_counter()
        subprocess.run([options.beem, "train", place / "recipe.yaml", "--quiet", "--threads", "2"], check=True)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows = [line.split(",") for line in (place / "out" / "training.csv").read_text().splitlines()[1:]]
    losses = [[float(row[4]) for row in rows if row[0] == str(i)][-1] for i in range(options.exits)]
    train = int((split == 0).sum())
    print(f"{train:,} tokens to train on, {options.classes:,} classes, {options.exits} exits of width {options.width}, "
          f"{options.epochs} epochs of minibatches of {BATCH}")  # fmt: skip
    work = 6 * train * options.classes * options.width * options.exits * options.epochs
    print(f"  beem   {seconds:6.1f} s, peak memory {peak:,.0f} MB; cross-entropy on tune "
          + ", ".join(f"{loss:.3f}" for loss in losses)
          + f"; {work * 2 / 3 / seconds / 1e9:.0f} GFLOP/s of the two products")  # fmt: skip
    if torch is None:
        print("  PyTorch is not installed: no peer", file=sys.stderr)
        return 0
    other, own = time_torch(labels, split, features, options.classes, options.epochs)
    print(f"  torch  {other:6.1f} s; cross-entropy on tune " + ", ".join(f"{loss:.3f}" for loss in own))
    print(f"  beem is {other / seconds:.2f} times as fast")
    return 0


if __name__ == "__main__":
    sys.exit(main())
