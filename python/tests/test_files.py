"""Policies of version 1, and those that are shipped: decisions as `beem apply` made them, but for close calls."""

from __future__ import annotations

import csv
import io
import math
import pathlib

import numpy as np
import pytest
from support import DATA, REPOSITORY, beem, needs_beem

from beem_policy import BatchSession, Policy
from beem_policy.outputs import decide_file
from beem_policy.rules import predictions
from beem_policy.safetensors_file import SafetensorsFile

CLOSE = 1e-5
GOLDEN = ["linear", "hidden", "per-exit", "numbers", "recorded", "patience"]
SHIPPED = ["movie-reviews", "trec-questions"]


def close_calls(policy: Policy, path: pathlib.Path) -> np.ndarray:
    """[samples]: whether, on the way, two logits, a score and its threshold, or a difference and the tolerance are so
    near to each other that the order of sums in a head may decide."""
    file, heads = SafetensorsFile.open(path), policy.load_heads()
    tables = [head.logits(file.floats(f"features.{i}")) for i, head in enumerate(heads)]
    close = np.zeros(len(tables[0]), dtype=bool)
    # Scores at all exits: those of a policy that lets nobody go are seen at the last only, so each exit is made the last.
    for exit_, table in enumerate(tables):
        if policy.predicts_numbers:
            if exit_ > 0:
                difference = np.abs(table[:, 0].astype(float) - tables[exit_ - 1][:, 0].astype(float))
                close |= np.abs(difference - policy.rule.tolerance) < CLOSE
            continue
        first, second = np.sort(table, axis=1)[:, ::-1][:, :2].T
        close |= first - second < CLOSE
        threshold = policy.exits[exit_].threshold
        if threshold is not None:
            close |= np.abs(scores_at(policy, tables[: exit_ + 1]) - threshold) < CLOSE
    return close


def scores_at(policy: Policy, tables: list[np.ndarray]) -> np.ndarray:
    """The scores at the last of some exits."""
    score = np.zeros(len(tables[0]))
    previous = None
    for exit_, table in zip(policy.exits, tables):
        labels, confidences = predictions(table, exit_.temperature, policy.rule.confidence)
        own = confidences.astype(np.float64)
        if policy.rule.kind == "beem":
            own = exit_.weight * own
            if previous is not None:
                restart = own if policy.rule.restart == "current" else 0 * own
                own = np.where(labels == previous, policy.rule.memory * score + own, restart)
        score, previous = own, labels
    return score


def check(policy: Policy, data: pathlib.Path, table: str) -> int:
    """Compares with a table of `beem apply`; returns how many close calls there are."""
    rows = list(csv.DictReader(io.StringIO(table)))
    decisions = decide_file(policy, data)
    close = close_calls(policy, data) if policy.heads else np.zeros(len(rows), dtype=bool)
    assert len(rows) == len(decisions.exits)
    different = 0
    for row, exit_, label, score, cost, is_close, sample in zip(
        rows,
        decisions.exits.tolist(),
        (decisions.labels if decisions.numbers is None else decisions.numbers).tolist(),
        decisions.scores.tolist(),
        decisions.costs.tolist(),
        close.tolist(),
        range(len(rows)),
    ):
        same = (
            int(row["sample"]) == sample
            and int(row["exit"]) == exit_
            and math.isclose(float(row["label"]), label, abs_tol=CLOSE if decisions.numbers is not None else 0)
            and abs(float(row["score"]) - score) < CLOSE
            and float(row["cost"]) == cost
        )
        different += not same and not is_close
    assert different == 0
    assert close.sum() * 1000 <= max(len(rows), 1000)
    return int(close.sum())


@pytest.mark.parametrize("name", GOLDEN)
def test_policies_of_version_1(name):
    folder = DATA / name
    policy = Policy.load(folder / "policy.json")
    data = next(path for path in folder.iterdir() if path.stem in ("features", "outputs"))
    table = (folder / "decisions.csv").read_text()
    check(policy, data, table)
    assert len({line.split(",")[1] for line in table.splitlines()[1:]}) > 1, "samples leave at several exits"


@pytest.mark.parametrize("name", ["recorded", "patience"])
def test_recorded_outputs_give_the_same_bytes(name):
    from beem_policy.decision_table import csv as table

    policy = Policy.load(DATA / name / "policy.json")
    own = table(decide_file(policy, DATA / name / "outputs.csv"))
    assert own == (DATA / name / "decisions.csv").read_text()


@needs_beem
@pytest.mark.parametrize("name", SHIPPED)
def test_policies_that_are_shipped(name):
    path = REPOSITORY / "checkpoints" / name / "policy.json"
    data = REPOSITORY / "recipes" / name / "features.safetensors"
    close = check(Policy.load(path), data, beem("apply", path, data))
    print(f"{name}: {close} close calls")


@pytest.mark.parametrize("name", SHIPPED)
def test_batches_of_any_size_decide_alike(name):
    """A sample's decision does not depend on who else is in its batch, but for the last bits of the heads' sums."""
    policy = Policy.load(REPOSITORY / "checkpoints" / name / "policy.json")
    heads = policy.load_heads()
    file = SafetensorsFile.open(REPOSITORY / "recipes" / name / "features.safetensors")
    features = [file.floats(f"features.{i}", np.arange(300)) for i in range(len(heads))]

    def run(rows: slice) -> tuple[list, list]:
        session = BatchSession(policy, len(features[0][rows]))
        for head, values in zip(heads, features):
            session.observe_logits(head.logits(values[rows][session.active]))
            if not session.active.size:
                break
        return session.exits.tolist(), session.labels.tolist()

    whole = run(slice(None))
    for size in (1, 7):
        parts = [run(slice(start, start + size)) for start in range(0, 300, size)]
        assert tuple([value for part in parts for value in part[k]] for k in (0, 1)) == whole
