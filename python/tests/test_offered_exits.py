"""Policies that do not offer all exits, and files of all exits that they decide on: exits are found by their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import beem, needs_beem, policy_value, safetensors_bytes

from beem_policy import InputError, Policy
from beem_policy.outputs import decide_file
from beem_policy.serving import ExitStatistics


def table(path: Path, samples: int = 900, exits: int = 5) -> Path:
    """What exits say of samples, rightly the more often the surer they are; the final one no better than that before."""
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, samples)
    ease = generator.random(samples)
    columns = {"target": truth.astype(str)}
    for exit_ in range(exits):
        right = generator.random(samples) < (0.8 if exit_ == exits - 1 else 0.55 + 0.45 * ease)
        columns[f"label_{exit_}"] = np.where(right, truth, 1 - truth).astype(str)
        columns[f"confidence_{exit_}"] = np.float32(0.5 + 0.5 * ease).astype(str)
    rows = zip(*columns.values())
    path.write_text(",".join(columns) + "\n" + "".join(",".join(row) + "\n" for row in rows))
    return path


@needs_beem
@pytest.mark.parametrize("search", ["exits: [1, 3]", "exits: choose"])
def test_decisions_are_those_of_beem_apply(tmp_path: Path, search: str) -> None:
    outputs = table(tmp_path / "outputs.csv")
    (tmp_path / "recipe.yaml").write_text(
        'name: some\noutputs: { file: outputs.csv, columns: { target: target, label: "label_{exit}", '
        'confidence: "confidence_{exit}" } }\nsplits: { tune: 0.3, certify: 0.4, test: 0.3 }\n'
        f"cost: {{ layers: {{ check: 0.5 }} }}\nsearch: {{ {search} }}\noutput: out\n"
    )
    beem("calibrate", tmp_path / "recipe.yaml", "--quiet")
    policy = Policy.load(tmp_path / "out" / "policy.json")
    assert len(policy.exits) < 5 and policy.exits[-1].name == "exit 4"
    assert policy.full_cost == 5.5 and policy.costs[-1] > 5.5
    applied = beem("apply", tmp_path / "out" / "policy.json", outputs, "--recipe", tmp_path / "recipe.yaml")
    from beem_policy import decision_table

    decisions = decide_file(policy, outputs)
    assert decision_table.csv(decisions) == applied
    assert len(set(decisions.exits)) > 1
    statistics = ExitStatistics(np.array(policy.costs), policy.full_cost)
    statistics.add(decisions.exits)
    assert statistics.speed_up == pytest.approx(5.5 / decisions.costs.mean())


def some() -> dict:
    value = policy_value(2)
    value["exits"][0].update(name="layer 2", threshold=0.6)
    value["exits"][1]["name"] = "layer 4"
    return value


def test_tensors_are_found_by_the_names_in_the_metadata(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    tensors = {f"logits.{i}": generator.normal(size=(20, 2)).astype(np.float32) for i in range(4)}
    names = json.dumps([f"layer {i + 1}" for i in range(4)])
    (tmp_path / "all.safetensors").write_bytes(safetensors_bytes(tensors, {"exits": names}))
    own = {"logits.0": tensors["logits.1"], "logits.1": tensors["logits.3"]}
    (tmp_path / "own.safetensors").write_bytes(safetensors_bytes(own))
    policy = Policy.parse(json.dumps(some()).encode())
    of_all, of_own = (decide_file(policy, tmp_path / f"{name}.safetensors") for name in ("all", "own"))
    np.testing.assert_array_equal(of_all.exits, of_own.exits)
    np.testing.assert_array_equal(of_all.scores, of_own.scores)
    assert set(of_all.exits) == {0, 1}


@pytest.mark.parametrize(
    "names", [None, ["layer 1", "layer 3", "layer 4"], ["layer 2", "layer 4", "layer 5"], ["layer 4", "layer 2", "x"]]
)
def test_strangers_are_refused(tmp_path: Path, names: list[str] | None) -> None:
    tensors = {f"logits.{i}": np.zeros((3, 2), np.float32) for i in range(3)}
    path = tmp_path / "o.safetensors"
    path.write_bytes(safetensors_bytes(tensors, None if names is None else {"exits": json.dumps(names)}))
    with pytest.raises(InputError, match="expected 2, layer 2, layer 4, as in .*, or more of which these are some"):
        decide_file(Policy.parse(json.dumps(some()).encode()), path)
