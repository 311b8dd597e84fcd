"""Makes golden.json: labels and confidences of logits by SciPy, for the tests of ExitRules.

    python3 make_golden.py        # needs numpy and scipy

Logits are Float32 (written as the exact Double); everything after them is Double, as in the design.
"""

import json
import pathlib

import numpy as np
import scipy
from scipy import special, stats

generator = np.random.default_rng(7)
rows = [
    [0.0], [0.0, 0.0], [1.0, -1.0], [3.0, 3.0, 1.0], [-2.0, 5.0, 5.0, 5.0], [88.0, -88.0, 0.0], [-1e4, -1e4 + 1, -1e4 - 1],
    [30.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1e-4, 0.0], [700.0, 699.5, 0.0], [0.0] * 10,
]
for classes in (2, 3, 6, 10, 100):
    for scale in (0.1, 1, 5, 20):
        rows.append(list(generator.normal(0, scale, classes)))
cases = []
for row in rows:
    logits = np.asarray(row, dtype=np.float32).astype(np.float64)
    for temperature in (1.0, 0.5, 2.75):
        probabilities = special.softmax(logits / temperature)
        ordered = np.sort(probabilities)[::-1]
        entropy = 1 - stats.entropy(probabilities) / np.log(len(row)) if len(row) > 1 else 1.0
        cases.append({
            "logits": logits.tolist(), "temperature": temperature, "label": int(np.argmax(logits)),
            "max-probability": float(ordered[0]), "margin": float(ordered[0] - ordered[1]) if len(row) > 1 else 1.0,
            "entropy": float(entropy),
        })
text = ",\n  ".join(json.dumps(case) for case in cases)
pathlib.Path(__file__).with_name("golden.json").write_text(
    f'{{"madeBy": "make_golden.py with numpy {np.__version__} and scipy {scipy.__version__}", "cases": [\n  {text}\n]}}\n')
