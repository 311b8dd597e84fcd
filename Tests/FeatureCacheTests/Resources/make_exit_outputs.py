"""Makes exit_outputs_wide.csv, the same in long form and another order as exit_outputs_long.tsv, and what is to be read
from them as exit_outputs.json, for the tests of FeatureCache.

    python3 make_exit_outputs.py        # needs numpy

Confidences are written as Doubles and read as Float32; an entropy H in nats is read as 1 - H / ln(classes). Exits count
from 1. Samples of the long form are in the order in which they first appear, which `order` tells.
"""

import csv
import json
import pathlib

import numpy as np

SAMPLES, EXITS = 24, 3
CLASSES = ["Bee", 'a "queen", not a worker', "wasp\nor hornet", "Ähre"]  # in the order of Unicode scalars
MEASURES = ["confidence", "margin", "entropy"]

generator = np.random.default_rng(11)
folder = pathlib.Path(__file__).parent

truth = generator.integers(0, len(CLASSES), SAMPLES)
truth[:4] = [3, 1, 2, 0]
logits = generator.normal(0, 2, (EXITS, SAMPLES, len(CLASSES)))
logits[:, np.arange(SAMPLES), truth] += 1
probabilities = np.exp(logits - logits.max(axis=2, keepdims=True))
probabilities /= probabilities.sum(axis=2, keepdims=True)
labels = probabilities.argmax(axis=2)
ordered = np.sort(probabilities, axis=2)
recorded = {
    "confidence": ordered[:, :, -1],
    "margin": ordered[:, :, -1] - ordered[:, :, -2],
    # As Float32 numbers, as networks write them.
    "entropy": -(probabilities * np.log(probabilities)).sum(axis=2).astype(np.float32).astype(np.float64),
}
splits = [["tune", "certify", "test", ""][number] for number in generator.integers(0, 4, SAMPLES)]
documents = [f"doc {number}" for number in generator.integers(0, 9, SAMPLES)]
languages = [["fr", "de", "en"][number] for number in generator.integers(0, 3, SAMPLES)]


def bits(values):
    return np.asarray(values, dtype=np.float64).astype(np.float32).view(np.uint32).tolist()


with open(folder / "exit_outputs_wide.csv", "w", newline="", encoding="utf-8-sig") as file:
    writer = csv.writer(file)  # CRLF, quotes where they are needed
    names = [f"{name} of exit {exit + 1}" for exit in range(EXITS) for name in ["label"] + MEASURES]
    writer.writerow(["", "truth", "fold", "document", "language"] + names)  # the first is an index without a name
    for n in range(SAMPLES):
        row = [n, CLASSES[truth[n]], splits[n], documents[n], languages[n]]
        for exit in range(EXITS):
            row += [CLASSES[labels[exit, n]]] + [repr(float(recorded[name][exit, n])) for name in MEASURES]
        writer.writerow(row)

pairs = [(n, exit) for n in range(SAMPLES) for exit in range(EXITS)]
pairs = [pairs[place] for place in generator.permutation(len(pairs))]
with open(folder / "exit_outputs_long.tsv", "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["entropy", "margin", "confidence", "label", "exit", "id", "language", "document", "fold", "truth"])
    for n, exit in pairs:
        row = [repr(float(recorded[name][exit, n])) for name in reversed(MEASURES)]
        row += [CLASSES[labels[exit, n]], exit + 1, f"s{n}", languages[n], documents[n], splits[n], CLASSES[truth[n]]]
        writer.writerow(row)

codes = {"train": 0, "tune": 1, "certify": 2, "test": 3, "": 255}
confidences = dict(recorded, entropy=1 - recorded["entropy"] / np.log(len(CLASSES)))
expected = {
    "madeBy": f"make_exit_outputs.py with numpy {np.__version__}",
    "classes": CLASSES,
    "truth": truth.tolist(),
    "labels": labels.tolist(),
    "confidenceBits": {name: [bits(row) for row in confidences[name]] for name in MEASURES},
    "split": [codes[split] for split in splits],
    "documents": documents,
    "languages": languages,
    "order": list(dict.fromkeys(n for n, _ in pairs)),
}
assert CLASSES == sorted(CLASSES) and {*truth} == {*range(len(CLASSES))}
text = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items())
(folder / "exit_outputs.json").write_text("{" + text + "}\n")
