"""Where each sample leaves, by the formulas of the paper in plain NumPy: the reference that `beem apply` is held against.

usage: reference_decisions.py POLICY FEATURES DECISIONS

Reads both safetensors files with nothing but NumPy, decides for every row of DECISIONS (the CSV of `beem apply`), and
prints one JSON object: {"samples", "close", "different"}. A sample is close when, on the way to its exit, two logits
or a score and its threshold differ by less than 1e-5; only samples that are not close count as different.
"""

import csv
import json
import os
import struct
import sys

import numpy as np

TYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I64": np.int64, "U8": np.uint8}
CLOSE = 1e-5


def read_safetensors(path: str) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        data = file.read()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + size + start : 8 + size + end], dtype=TYPES[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def decide(policy: dict, logits: list[np.ndarray]) -> tuple[int, int, float, bool]:
    """Exit, label, score, and whether a close call lies on the way."""
    memory = policy["rule"].get("memory")
    previous_label, score, close = None, 0.0, False
    for exit_, row in zip(policy["exits"], logits):
        first, second = np.sort(row)[::-1][:2]
        close |= bool(first - second < CLOSE)
        label = int(np.argmax(row))
        scaled = row.astype(np.float64) / exit_["temperature"]
        exponentials = np.exp(scaled - scaled.max())
        confidence = float(np.float32(exponentials[label] / exponentials.sum()))
        if policy["rule"]["kind"] == "max-probability":
            score = confidence
        elif previous_label is None or label == previous_label:
            score = memory * score + exit_["weight"] * confidence
        else:
            score = exit_["weight"] * confidence if policy["rule"]["restart"] == "current" else 0.0
        previous_label = label
        threshold = exit_["threshold"]
        is_last = exit_["index"] == len(policy["exits"]) - 1
        if threshold is not None:
            close |= abs(score - threshold) < CLOSE
        if is_last or (threshold is not None and score >= threshold):
            return exit_["index"], label, score, close
    raise AssertionError("every sample leaves at the last exit")


def main() -> None:
    policy_path, features_path, decisions_path = sys.argv[1:]
    with open(policy_path) as file:
        policy = json.load(file)
    assert policy["rule"]["confidence"] == "max-probability", "the reference knows this confidence alone"
    heads = read_safetensors(os.path.join(os.path.dirname(policy_path), policy["heads"]["file"]))
    cache = read_safetensors(features_path)
    logits = []
    for index in range(len(policy["exits"])):
        features = cache[f"features.{index}"].astype(np.float64)
        weight = heads[f"exit.{index}.weight"].astype(np.float64)
        bias = heads[f"exit.{index}.bias"].astype(np.float64)
        logits.append((features @ weight.T + bias).astype(np.float32))

    counts = {"samples": 0, "close": 0, "different": 0}
    with open(decisions_path) as file:
        for row in csv.DictReader(file):
            sample = int(row["sample"])
            exit_, label, score, close = decide(policy, [table[sample] for table in logits])
            same = (
                exit_ == int(row["exit"])
                and label == int(row["label"])
                and abs(score - float(row["score"])) < CLOSE
                and policy["exits"][exit_]["cost"] == float(row["cost"])
            )
            counts["samples"] += 1
            counts["close"] += close
            counts["different"] += not same and not close
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
