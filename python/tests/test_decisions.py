"""Decisions are those of the documented rule, and of `beem apply`, to the bit."""

from __future__ import annotations

import hashlib
import json
import pathlib

import numpy as np
import pytest
from cases import MISTAKES, label_cases, logit_cases, loop, prediction
from support import beem, needs_beem, policy_value, safetensors_bytes

from beem_policy import BatchSession, ExitSession, Policy, decide, decide_logits, decide_numbers
from beem_policy.decision_table import csv
from beem_policy.outputs import decide_file

POLICIES, SAMPLES = 125, 800  # 100,000 cases


def parse(value: dict) -> Policy:
    return Policy.parse(json.dumps(value).encode())


def test_labels_and_confidences_as_in_a_plain_loop():
    count = 0
    for case in label_cases(np.random.default_rng(1), 1000, 100):
        decisions = decide(parse(case.policy), case.labels, case.confidences)
        columns = zip(case.labels.T.tolist(), case.confidences.T.tolist())
        expected = [loop(case.policy, labels, confidences) for labels, confidences in columns]
        rows = zip(*(part.tolist() for part in (decisions.exits, decisions.labels, decisions.scores, decisions.costs)))
        assert list(rows) == expected, case.policy
        count += len(expected)
    assert count == 100_000


@needs_beem
def test_labels_and_confidences_as_beem_apply_has_them(tmp_path):
    """The bytes of the tables are the same: exits, labels, costs, and scores to the last bit."""
    count, leave_early = 0, 0
    for case in label_cases(np.random.default_rng(2), POLICIES, SAMPLES):
        name = {"max-probability": "confidence"}.get(
            case.policy["rule"]["confidence"], case.policy["rule"]["confidence"]
        )
        tensors = {f"label.{i}": row.astype(np.int32) for i, row in enumerate(case.labels)}
        tensors |= {f"{name}.{i}": row for i, row in enumerate(case.recorded)}
        table = apply(tmp_path, case.policy, tensors, SAMPLES)
        decisions = decide_file(Policy.parse(json.dumps(case.policy).encode()), tmp_path / "outputs.safetensors")
        assert csv(decisions) == table, case.policy
        count += SAMPLES
        leave_early += int((decisions.exits < len(case.policy["exits"]) - 1).sum())
    assert count == 100_000
    # Cases in which nothing happens would show nothing.
    assert 0.2 * count < leave_early < 0.9 * count


@needs_beem
def test_logits_as_beem_apply_has_them(tmp_path):
    """The last bits of exp may differ between libraries, and with them one decision in a million."""
    count, different = 0, 0
    for policy, logits in logit_cases(np.random.default_rng(3), 50, 2000):
        tensors = {f"logits.{i}": rows for i, rows in enumerate(logits)}
        table = apply(tmp_path, policy, tensors, 2000)
        own = csv(decide_logits(parse(policy), logits))
        for left, right in zip(own.splitlines()[1:], table.splitlines()[1:]):
            different += left.split(",")[:3] != right.split(",")[:3]
        count += 2000
    assert count == 100_000
    assert different * 1_000_000 <= count, f"{different} of {count}"


def apply(folder: pathlib.Path, policy: dict, tensors: dict[str, np.ndarray], samples: int) -> str:
    (folder / "policy.json").write_text(json.dumps(policy))
    tensors["labels"] = np.zeros(samples, dtype=np.int32)
    metadata = {"classes": json.dumps(policy["classes"])}
    (folder / "outputs.safetensors").write_bytes(safetensors_bytes(tensors, metadata))
    return beem("apply", folder / "policy.json", folder / "outputs.safetensors")


def test_logits_as_in_a_plain_loop():
    count, different = 0, 0
    for policy, logits in logit_cases(np.random.default_rng(4), 250, 40):
        decisions = decide_logits(parse(policy), logits)
        for sample in range(logits.shape[1]):
            expected = loop(policy, *zip(*said(policy, logits[:, sample].tolist())))
            different += (decisions.exits[sample], decisions.labels[sample]) != expected[:2]
            count += 1
    assert count == 10_000
    assert different == 0


def said(policy: dict, logits: list, mistake: str = "") -> list:
    measure = policy["rule"]["confidence"]
    return [prediction(row, e["temperature"], measure, mistake) for row, e in zip(logits, policy["exits"])]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_cases_tell_mistakes_apart(mistake):
    """A loop with a planted mistake decides otherwise on some case: the tests above would notice."""
    different = 0
    for case in label_cases(np.random.default_rng(1), 1500, 5):
        for labels, confidences in zip(case.labels.T.tolist(), case.confidences.T.tolist()):
            right = loop(case.policy, labels, confidences)
            different += loop(case.policy, labels, confidences, mistake)[:2] != right[:2]
    for policy, logits in logit_cases(np.random.default_rng(4), 20, 40):
        for sample in range(logits.shape[1]):
            rows = logits[:, sample].tolist()
            right = loop(policy, *zip(*said(policy, rows)))
            different += loop(policy, *zip(*said(policy, rows, mistake)), mistake)[:2] != right[:2]
    assert different > 0


def test_sessions_and_batches_decide_alike():
    for case in label_cases(np.random.default_rng(5), 60, 20):
        policy = parse(case.policy)
        decisions = decide(policy, case.labels, case.confidences)
        for sample in range(case.labels.shape[1]):
            session = ExitSession(policy)
            for exit_ in range(len(policy.exits)):
                decision = session.observe(case.labels[exit_, sample], case.confidences[exit_, sample])
                if decision:
                    break
            assert decision.exit == exit_ == decisions.exits[sample]
            assert (decision.label, decision.score, decision.cost, decision.number) == (
                decisions.labels[sample],
                decisions.scores[sample],
                decisions.costs[sample],
                None,
            )
            with pytest.raises(RuntimeError, match=f"has left at exit {exit_} already"):
                session.observe(0, 0.5)


def test_sessions_and_batches_decide_alike_given_logits():
    """A row is computed in plain Python, a batch in NumPy; exponentials may differ in a last bit that rounding takes away."""
    count, different, scores = 0, 0, 0
    for policy, logits in logit_cases(np.random.default_rng(6), 200, 100):
        policy = parse(policy)
        decisions = decide_logits(policy, logits)
        for sample in range(logits.shape[1]):
            session = ExitSession(policy)
            decision = next(d for d in map(session.observe_logits, logits[:, sample]) if d)
            different += (decision.exit, decision.label) != (decisions.exits[sample], decisions.labels[sample])
            scores += decision.score != decisions.scores[sample]
            count += 1
    assert count == 20_000
    assert different == 0
    assert scores * 10_000 <= count, f"{scores} scores differ"


def test_a_row_of_many_classes_is_left_to_numpy():
    value = policy_value(2, classes=[str(i) for i in range(ExitSession.MOST_CLASSES + 1)])
    logits = np.random.default_rng(7).normal(size=(2, 1, len(value["classes"]))).astype(np.float32)
    session = ExitSession(parse(value))
    assert session.observe_logits(logits[0, 0]) is None
    decision = session.observe_logits(logits[1, 0])
    assert (decision.label, decision.score) == (
        decide_logits(parse(value), logits).labels[0],
        decide_logits(parse(value), logits).scores[0],
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.observe_logits(np.zeros(3)), r"logits of shape \[3\] at exit 0; expected \[2\]"),
        (lambda s: s.observe_logits([0, np.inf]), "a logit that is not finite at exit 0"),
        (lambda s: s.observe(0), "the rule `beem` of policy.json needs confidences"),
        (lambda s: s.observe(0, np.nan), "a confidence that is not finite at exit 0"),
        (lambda s: s.observe(0.5, 0.5), "a label of type float at exit 0; expected an integer"),
        (lambda s: s.observe_number(0), "a number at exit 0; expected logits or a label"),
    ],
)
def test_callers_mistakes_with_one_sample_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(ExitSession(parse(policy_value(3))))


def test_a_batch_shrinks():
    value = policy_value(3)
    value["exits"][0]["threshold"] = 0.6
    session = BatchSession(parse(value), 3)
    assert session.active.dtype == np.int64
    stops = session.observe([0, 1, 0], [0.5, 0.9, 0.6])
    assert stops.dtype == bool and stops.tolist() == [False, True, False]
    assert session.active.tolist() == [0, 2] and session.exits.tolist() == [-1, 0, -1]
    with pytest.raises(RuntimeError, match="2 samples are still running, before exit 1"):
        _ = session.decisions
    assert session.observe_logits(np.zeros((2, 2), dtype=np.float32)).tolist() == [False, False]
    assert session.observe([1, 0], [0.5, 0.5]).all()
    assert session.active.size == 0
    assert session.exits.tolist() == [2, 0, 2] and session.labels.tolist() == [1, 1, 0]
    assert session.costs.tolist() == [3, 1, 3]
    with pytest.raises(RuntimeError, match="exit 2 is the last"):
        session.observe([], [])


def test_a_batch_may_be_empty():
    policy = parse(policy_value(2))
    assert decide(policy, np.zeros((2, 0), dtype=np.int64), np.zeros((2, 0))).exits.tolist() == []
    session = BatchSession(policy, 0)
    assert session.observe_logits(np.zeros((0, 2))).tolist() == []


def test_numbers():
    """Neighbours agree within the tolerance, the boundary included; the score counts agreements in a row."""
    value = policy_value(4, rule={"kind": "patience", "confidence": "max-probability", "tolerance": 0.5})
    value["classes"] = ["number"]
    for exit_ in value["exits"][:-1]:
        exit_["threshold"] = 1.5
    policy = parse(value)
    numbers = [[0, 0, 1e30], [0.5, 0.75, 1e30], [1, 0.75, -1e30], [2, 1, 3]]
    decisions = decide_numbers(policy, numbers)
    assert decisions.exits.tolist() == [2, 3, 3]
    assert decisions.labels.tolist() == [0, 1, 2]
    assert decisions.scores.tolist() == [2, 2, 0]
    assert decisions.numbers.tolist() == [1, 1, 3]
    logits = np.array(numbers, dtype=np.float32)[:, :, None]
    assert decide_logits(policy, logits).exits.tolist() == [2, 3, 3]
    session = ExitSession(policy)
    assert session.observe_number(0) is None and session.observe_logits([0.5]) is None
    assert session.observe_number(1).number == 1
    # Differences are taken in Float64: in Float32 these would be 2^24 too.
    value["rule"]["tolerance"] = 2.0**24
    assert decide_numbers(parse(value), [[-0.5], [2**24], [-0.5], [2**24]]).exits.tolist() == [3]


@needs_beem
def test_numbers_as_beem_apply_has_them(tmp_path):
    """Heads that hand their one feature on, so that numbers are known to the bit; differences at the tolerance."""
    generator = np.random.default_rng(6)
    heads = {}
    for i in range(5):
        heads |= {f"exit.{i}.weight": np.ones((1, 1), np.float32), f"exit.{i}.bias": np.zeros(1, np.float32)}
    (tmp_path / "heads.safetensors").write_bytes(safetensors_bytes(heads))
    reference = {
        "file": "heads.safetensors",
        "sha256": hashlib.sha256((tmp_path / "heads.safetensors").read_bytes()).hexdigest(),
    }
    for kind, tolerance in [("patience", 0.5), ("patience", 0.1), ("patience", 0), ("static", 0.25)]:
        rule = {"kind": kind, "confidence": "max-probability", "tolerance": tolerance}
        value = policy_value(5, rule=rule, classes=["number"], heads=reference)
        value["exits"][int(generator.integers(4))]["threshold"] = 1
        steps = np.float32(tolerance) * generator.integers(-1, 2, size=(5, 1000))
        numbers = np.cumsum(steps, axis=0, dtype=np.float32)
        numbers *= np.float32(1) + generator.integers(-1, 2, size=numbers.shape).astype(np.float32) * np.float32(2**-23)
        numbers += 0  # The heads make 0 of -0.
        tensors = {f"features.{i}": row[:, None] for i, row in enumerate(numbers)}
        (tmp_path / "features.safetensors").write_bytes(
            safetensors_bytes(tensors | {"targets": np.zeros(1000, np.float32)})
        )
        (tmp_path / "policy.json").write_text(json.dumps(value))
        table = beem("apply", tmp_path / "policy.json", tmp_path / "features.safetensors")
        policy = Policy.parse((tmp_path / "policy.json").read_bytes(), str(tmp_path / "policy.json"))
        assert csv(decide_file(policy, tmp_path / "features.safetensors")) == table
        assert csv(decide_numbers(policy, numbers)) == table


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.observe_logits(np.zeros((2, 3))), r"logits of shape \[2, 3\] at exit 0; expected \[2, 2\]"),
        (lambda s: s.observe_logits([[0, np.nan], [0, 0]]), "a logit that is not finite at exit 0, sample 0"),
        (lambda s: s.observe([0, 1]), "the rule `beem` of policy.json needs confidences"),
        (lambda s: s.observe([0, 1], [0.5, np.inf]), "a confidence that is not finite at exit 0, sample 1"),
        (lambda s: s.observe([0.5, 1], [0.5, 0.5]), "labels of type float64 at exit 0; expected integers"),
        (lambda s: s.observe([0], [0.5]), r"labels of shape \[1\] at exit 0; expected \[2\]"),
        (lambda s: s.observe([0, 1], [0.5]), r"confidences of shape \[1\] at exit 0; expected \[2\]"),
        (lambda s: s.observe_numbers([0, 1]), "numbers at exit 0; expected logits or labels"),
        (lambda s: decide(s.policy, [[0]], [[0.5]]), r"labels of shape \[1, 1\]; expected \[exits, samples\]"),
        (lambda s: decide(s.policy, [[0]] * 3, [[0.5]]), r"confidences of shape \[1, 1\]; expected \[3, 1\]"),
        (lambda s: decide_logits(s.policy, [[0]]), r"logits of shape \[1, 1\]; expected \[exits, samples, classes\]"),
        (lambda s: decide_numbers(s.policy, [0]), r"numbers of shape \[1\]; expected \[exits, samples\]"),
    ],
)
def test_callers_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(BatchSession(parse(policy_value(3)), 2))
