"""Exported graphs decide in onnxruntime as the package does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cases import label_cases, logit_cases, rules
from support import DATA, REPOSITORY, policy_value

from beem_policy import Heads, HiddenHead, InputError, LinearHead, Policy, decide, decide_logits, decide_numbers
from beem_policy.safetensors_file import SafetensorsFile

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from beem_policy import onnx_export

CLOSE = 1e-5


def run(policy: Policy, heads: Heads, features: list[np.ndarray], path) -> dict[str, np.ndarray]:
    onnx_export.export(policy, heads, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {f"features.{i}": values for i, values in enumerate(features)})))


def test_linear_heads_on_random_cases(tmp_path):
    """10,000 cases, rules in turn; features and parameters are small integers, so that sums are exact in any order and
    logits tie."""
    generator = np.random.default_rng(7)
    count, different, early = 0, 0, 0
    for rule, exits in zip(rules(generator), [1, 2, 5, 12, 3] * 10):
        classes = [1, 2, 2, 3, 10][count // 200 % 5]
        value = policy_value(exits, rule=rule, classes=[f"class {k}" for k in range(classes)])
        heads, features = [], []
        shared = generator.integers(-3, 4, size=(200, 4))
        parameters = generator.integers(-2, 3, size=(classes, 4))
        for exit_ in value["exits"]:
            exit_["weight"] = float(generator.random())
            exit_["temperature"] = float(generator.uniform(2, 8))
            noise = generator.integers(-1, 2, size=(classes, 4))
            heads.append(LinearHead((parameters + noise).astype(np.float32), np.zeros(classes, np.float32)))
            features.append((shared + generator.integers(-1, 2, size=shared.shape)).astype(np.float32))
        logits = np.stack([head.logits(values) for head, values in zip(heads, features)])
        # Thresholds on scores that occur: found from a policy that lets nobody go before.
        for exit_ in value["exits"][:-1]:
            if generator.random() < 0.7:
                cut = {**value, "exits": [{**e, "threshold": None} for e in value["exits"][: exit_["index"] + 1]]}
                scores = decide_logits(parse(cut), logits[: exit_["index"] + 1]).scores
                exit_["threshold"] = float(np.quantile(scores, generator.uniform(0.5, 1), method="nearest"))
        policy = parse(value)
        own = decide_logits(policy, logits)
        outputs = run(policy, Heads(heads), features, tmp_path / "policy.onnx")
        assert [outputs[name].dtype for name in ("exit", "label", "score")] == [np.int64, np.int64, np.float64]
        different += int(((outputs["exit"] != own.exits) | (outputs["label"] != own.labels)).sum())
        assert np.abs(outputs["score"] - own.scores).max() < 1e-6 * exits
        early += int((own.exits < exits - 1).sum())
        count += 200
    assert count == 10_000 and early > 2000
    # Scores lie on thresholds here: the last bit of exp or log decides, where a confidence is next to a rounding.
    assert different <= 1


def parse(value: dict) -> Policy:
    return Policy.parse(json.dumps(value).encode())


@pytest.mark.parametrize("name", ["linear", "hidden", "per-exit", "numbers"])
def test_policies_of_version_1(name, tmp_path):
    policy = Policy.load(DATA / name / "policy.json")
    check(policy, DATA / name / "features.safetensors", tmp_path)


@pytest.mark.parametrize("name", ["movie-reviews", "trec-questions"])
def test_policies_that_are_shipped(name, tmp_path):
    policy = Policy.load(REPOSITORY / "checkpoints" / name / "policy.json")
    check(policy, REPOSITORY / "recipes" / name / "features.safetensors", tmp_path)


def check(policy: Policy, data, folder) -> None:
    heads = policy.load_heads()
    file = SafetensorsFile.open(data)
    features = [file.floats(f"features.{i}") for i in range(len(heads))]
    logits = np.stack([head.logits(values) for head, values in zip(heads, features)])
    own = decide_logits(policy, logits)
    outputs = run(policy, heads, features, folder / "policy.onnx")
    same = (outputs["exit"] == own.exits) & (outputs["label"] == own.labels)
    # Where decisions differ, a score of the two is near a threshold or two logits are near each other: none here.
    assert same.all()
    assert np.abs(outputs["score"] - own.scores).max() < CLOSE
    if policy.predicts_numbers:
        assert np.abs(outputs["number"] - own.numbers).max() < CLOSE


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("norm", [False, True])
def test_hidden_heads(activation, norm, tmp_path):
    generator = np.random.default_rng(8)

    def draw(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    normalisation = (draw(6), draw(6)) if norm else (None, None)
    heads = Heads([HiddenHead(draw(5, 6), draw(5), activation, draw(2, 5), draw(2), *normalisation) for _ in range(3)])
    value = policy_value(3)
    value["exits"][0]["threshold"] = value["exits"][1]["threshold"] = 0.7
    features = [draw(500, 6) for _ in range(3)]
    own = decide_logits(parse(value), [head.logits(values) for head, values in zip(heads, features)])
    outputs = run(parse(value), heads, features, tmp_path / "policy.onnx")
    assert np.array_equal(outputs["exit"], own.exits) and np.array_equal(outputs["label"], own.labels)
    assert np.abs(outputs["score"] - own.scores).max() < CLOSE


def decided(policy: Policy, path, takes: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the exported rule says."""
    onnx_export.export_rule(policy, path, takes)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    asked = {value.name for value in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {name: values for name, values in inputs.items() if name in asked})))


def test_the_rule_given_labels_and_confidences_is_that_of_numpy_to_the_bit(tmp_path):
    count, early, shapes = 0, 0, set()
    for case in label_cases(np.random.default_rng(9), 125, 800):
        policy = parse(case.policy)
        confidences = case.confidences.astype(np.float32)
        inputs = {f"label.{i}": row.astype(np.int64) for i, row in enumerate(case.labels)}
        inputs |= {f"confidence.{i}": row for i, row in enumerate(confidences)}
        own = decide(policy, case.labels, confidences)
        outputs = decided(policy, tmp_path / "rule.onnx", "labels", inputs)
        for name, expected in (("exit", own.exits), ("label", own.labels), ("score", own.scores)):
            assert outputs[name].tobytes() == expected.tobytes(), (name, case.policy)
        count += len(own.exits)
        early += int((own.exits < len(policy.exits) - 1).sum())
        shapes |= {(policy.rule.kind, "exits", len(policy.exits)), (policy.rule.kind, "classes", len(policy.classes))}
    assert count == 100_000 and 0.2 * count < early < 0.9 * count
    kinds = {kind for kind, _, _ in shapes}
    assert len(kinds) == 6 and {("beem", "exits", 2), ("beem", "exits", 48), ("beem", "classes", 1)} <= shapes


def test_the_rule_given_logits_is_that_of_numpy_but_for_one_decision_in_a_million(tmp_path):
    """The last bits of exp and log may differ between libraries."""
    count, different = 0, 0
    for value, logits in logit_cases(np.random.default_rng(10), 50, 20_000):
        policy = parse(value)
        own = decide_logits(policy, logits)
        inputs = {f"logits.{i}": rows for i, rows in enumerate(logits)}
        outputs = decided(policy, tmp_path / "rule.onnx", "logits", inputs)
        different += int(((outputs["exit"] != own.exits) | (outputs["label"] != own.labels)).sum())
        count += len(own.exits)
    assert count == 1_000_000
    assert different <= 1


def test_the_rule_given_numbers_is_that_of_numpy_to_the_bit(tmp_path):
    generator = np.random.default_rng(11)
    for kind, tolerance in [("patience", 0.5), ("patience", 0.1), ("patience", 0), ("static", 0.25)]:
        rule = {"kind": kind, "confidence": "max-probability", "tolerance": tolerance}
        value = policy_value(5, rule=rule, classes=["number"])
        value["exits"][int(generator.integers(4))]["threshold"] = 1
        numbers = np.cumsum(np.float32(tolerance) * generator.integers(-1, 2, size=(5, 1000)), axis=0, dtype=np.float32)
        numbers[0, 0], numbers[1, 1], numbers[1, 2] = 3e38, -3e38, np.inf
        policy = parse(value)
        own = decide_numbers(policy, numbers)
        for takes, name in (("labels", "number"), ("logits", "logits")):
            inputs = {f"{name}.{i}": row[:, None] if takes == "logits" else row for i, row in enumerate(numbers)}
            outputs = decided(policy, tmp_path / "rule.onnx", takes, inputs)
            wanted = {"exit": own.exits, "label": own.labels, "score": own.scores, "number": own.numbers}
            for name, expected in wanted.items():  # equal, and not of the same bytes: `Where` makes 0 of -0
                assert outputs[name].dtype == expected.dtype and np.array_equal(outputs[name], expected)


def test_wrong_use_of_the_export_is_said(tmp_path):
    with pytest.raises(ValueError, match="takes: saw 'features', expected labels or logits"):
        onnx_export.export_rule(parse(policy_value(1)), tmp_path / "x.onnx", "features")
    with pytest.raises(InputError, match="cannot be written"):
        onnx_export.export_rule(parse(policy_value(1)), tmp_path / "none" / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_heads_and_policy_belong_together(tmp_path):
    head = LinearHead(np.zeros((3, 4), np.float32), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="heads of 1 exits; expected 3, as in policy.json"):
        onnx_export.export(parse(policy_value(3)), Heads([head]), tmp_path / "x.onnx")
    with pytest.raises(ValueError, match="the head of exit 0 has 3 classes; expected 2"):
        onnx_export.export(parse(policy_value(1)), Heads([head]), tmp_path / "x.onnx")
