"""The code of the README runs as it stands."""

from __future__ import annotations

import csv
import re
from typing import Any

import numpy as np
from support import DATA, REPOSITORY

from beem_policy.safetensors_file import SafetensorsFile


def test_the_examples_decide_as_beem_apply_did(monkeypatch, capsys):
    monkeypatch.chdir(DATA / "linear")
    file = SafetensorsFile.open("features.safetensors")
    features = [file.floats(f"features.{i}") for i in range(4)]
    with open("decisions.csv") as table:
        rows = list(csv.DictReader(table))
    # The others take a real encoder; test_torch_encoder.py and test_onnx_segments.py have small ones.
    one, batch, _, _ = re.findall(r"```python\n(.*?)```", (REPOSITORY / "python" / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"pooled": lambda hidden: hidden, "hidden": None}
    names["layers"] = [lambda hidden, values=values: values[0] for values in features]
    exec(one, names)  # noqa: S102
    first = rows[0]
    assert (names["decision"].exit, names["decision"].label) == (int(first["exit"]), int(first["label"]))
    assert capsys.readouterr().out.startswith(names["policy"].classes[int(first["label"])])
    names["layers"] = [lambda hidden, values=values: values[names["session"].active] for values in features]
    names["hidden"] = np.zeros(len(rows))
    exec(batch, names)  # noqa: S102
    assert names["session"].exits.tolist() == [int(row["exit"]) for row in rows]
    assert names["session"].labels.tolist() == [int(row["label"]) for row in rows]
