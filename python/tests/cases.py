"""Random and adversarial cases of the rule, and the rule itself as a plain loop: what the package is held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from support import policy_value

EXIT_COUNTS = [1, 2, 2, 3, 4, 7, 12, 48]
CLASS_COUNTS = [1, 2, 2, 3, 10]
MEMORIES = [0, 0.1, 1 / 3, 0.5, 0.9, 1, 1]
MISTAKES = ["fused product", "fused sum", "more than", "unrounded confidence", "other restart", "last of the largest"]


@dataclass
class Case:
    """A policy, and what its exits say of some samples."""

    policy: dict[str, Any]
    labels: np.ndarray
    """[exits, samples]"""
    recorded: np.ndarray
    """[exits, samples], Float32: what files hold; entropies in nats where the rule measures them."""
    confidences: np.ndarray
    """[exits, samples], Float64: what `recorded` is rounded from; where it is an entropy, what becomes of it."""


def loop(
    policy: dict[str, Any], labels: list[int], confidences: list[float], mistake: str = ""
) -> tuple[int, int, float, float]:
    """Exit, label, score and cost of one sample, as the documentation says it: no NumPy but for rounding to Float32."""
    rule = policy["rule"]
    memory, restart = rule.get("memory", 1), rule.get("restart", "current")
    if mistake == "other restart":
        restart = "zero" if restart == "current" else "current"
    previous, score = None, 0.0
    for exit_, label, confidence in zip(policy["exits"], labels, confidences):
        certainty = confidence if mistake == "unrounded confidence" else float(np.float32(confidence))
        if rule["kind"] == "static":
            score = float(exit_["index"])
        elif rule["kind"] == "patience":
            score = score + 1 if label == previous else 0.0
        elif rule["kind"] == "beem":
            own = exit_["weight"] * certainty
            if label == previous and mistake == "fused product":
                score = fused(exit_["weight"], certainty, memory * score)
            elif label == previous and mistake == "fused sum":
                score = fused(memory, score, own)
            elif label == previous:
                score = (memory * score) + own
            else:
                score = own if previous is None or restart == "current" else 0.0
        else:
            score = certainty
        previous = label
        threshold = exit_["threshold"]
        is_last = exit_["index"] == len(policy["exits"]) - 1
        leaves = threshold is not None and (score > threshold if mistake == "more than" else score >= threshold)
        if is_last or leaves:
            return exit_["index"], label, score, exit_["cost"]
    raise AssertionError("every sample leaves at the last exit")


def fused(left: float, right: float, addend: float) -> float:
    """left * right + addend, rounded once."""
    return float(Fraction(left) * Fraction(right) + Fraction(addend))


def prediction(logits: list[float], temperature: float, measure: str, mistake: str = "") -> tuple[int, float]:
    """Label and confidence of a row of Float32 logits; the confidence is not rounded yet."""
    places = range(len(logits))
    label = max(places, key=lambda k: (logits[k], k if mistake == "last of the largest" else -k))
    top = logits[label] / temperature
    total, weighted = 0.0, 0.0
    for logit in logits:
        exponential = math.exp(logit / temperature - top)
        total += exponential
        weighted += exponential * (logit / temperature - top)
    if measure == "max-probability":
        return label, 1 / total
    if measure == "margin":
        second = max([logits[k] / temperature for k in places if k != label], default=-math.inf)
        return label, (1 - math.exp(second - top)) / total
    if len(logits) == 1:
        return label, 1.0
    return label, 1 - (math.log(total) - weighted / total) / math.log(len(logits))


def rules(generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Rules in turn, half of them `beem`."""
    while True:
        for measure in ("max-probability", "margin", "entropy"):
            for restart in ("current", "zero"):
                memory = MEMORIES[generator.integers(len(MEMORIES))]
                yield {"kind": "beem", "memory": memory, "restart": restart, "confidence": measure}
        for kind in ("max-probability", "margin", "entropy"):
            yield {"kind": kind, "confidence": kind}
        for kind in ("patience", "static"):
            yield {"kind": kind, "confidence": "max-probability"}


def label_cases(generator: np.random.Generator, policies: int, samples: int) -> Iterator[Case]:
    """Cases given labels and confidences."""
    for rule, _ in zip(rules(generator), range(policies)):
        exits = EXIT_COUNTS[generator.integers(len(EXIT_COUNTS))]
        classes = CLASS_COUNTS[generator.integers(len(CLASS_COUNTS))]
        policy = draw_policy(generator, rule, exits, classes)
        # Neighbours agree more often than chance has it, or scores would never grow.
        labels = generator.integers(classes, size=(exits, samples))
        for exit_ in range(1, exits):
            stays = generator.random(samples) < 0.7
            labels[exit_][stays] = labels[exit_ - 1][stays]
        confidences = draw_confidences(generator, (exits, samples))
        recorded = confidences.astype(np.float32)
        if rule["confidence"] == "entropy":
            # Files hold entropies in nats.
            if classes == 1:
                confidences = np.ones((exits, samples))
            else:
                recorded = ((1 - confidences) * math.log(classes)).astype(np.float32)
                confidences = 1 - recorded.astype(np.float64) / math.log(classes)
        set_thresholds(generator, policy, labels, confidences)
        yield Case(policy, labels, recorded, confidences)


def draw_policy(generator: np.random.Generator, rule: dict[str, Any], exits: int, classes: int) -> dict[str, Any]:
    policy = policy_value(exits, rule=rule, classes=[f"class {k}" for k in range(classes)])
    way = generator.integers(3)
    cost = 0.0
    for exit_ in policy["exits"]:
        cost += 1 if way == 0 else float(generator.random()) + 0.01
        exit_["cost"] = cost
        exit_["weight"] = [1, float(generator.random()), float(generator.integers(11)) / 10][way]
    return policy


def draw_confidences(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """In one of five ways: anything; few values, so that scores tie; next to each other; next to 1; small."""
    way = generator.integers(5)
    if way == 0:
        return generator.random(shape)
    if way == 1:
        return generator.integers(9, size=shape) / 8
    if way == 2:
        values = np.float32(generator.random() + 0.1) + np.arange(-2, 3) * np.float64(2**-24)
        return values[generator.integers(5, size=shape)]
    if way == 3:
        return 1 - generator.random(shape) * 1e-6
    return np.exp(-40 * generator.random(shape))


def set_thresholds(
    generator: np.random.Generator, policy: dict[str, Any], labels: np.ndarray, confidences: np.ndarray
) -> None:
    """Thresholds at, one step below or one step above the score that some sample has there; or anywhere; or none."""
    exits = policy["exits"]
    shared = None
    is_shared = generator.random() < 0.3
    # Where one exit alone lets samples go, those whose score is its threshold get there.
    lone = int(generator.integers(len(exits))) if generator.random() < 0.5 else None
    for exit_ in exits[:-1]:
        way = generator.integers(6)
        if lone is not None:
            way = max(way, 2)
        if way == 0 or exit_["index"] != (exit_["index"] if lone is None else lone):
            continue
        # The score at this exit of a sample that is not let go before.
        open_policy = {**policy, "exits": [{**other, "threshold": None} for other in exits[: exit_["index"] + 1]]}
        sample = generator.integers(labels.shape[1])
        column = slice(0, exit_["index"] + 1)
        score = loop(open_policy, labels[column, sample].tolist(), confidences[column, sample].tolist())[2]
        if way == 1:
            score *= float(generator.uniform(0.5, 2))
        elif way > 3:
            score = math.nextafter(score, math.inf if way == 4 else -math.inf)
        if is_shared:
            shared = score if shared is None else shared
            score = shared
        exit_["threshold"] = score


def logit_cases(
    generator: np.random.Generator, policies: int, samples: int
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Cases given logits [exits, samples, classes], Float32, some of them equal."""
    for rule, _ in zip(rules(generator), range(policies)):
        exits = EXIT_COUNTS[generator.integers(len(EXIT_COUNTS))]
        classes = CLASS_COUNTS[generator.integers(len(CLASS_COUNTS))]
        policy = draw_policy(generator, rule, exits, classes)
        for exit_ in policy["exits"]:
            exit_["temperature"] = [1, 0.5, 1.7, 3][generator.integers(4)]
        # A part that stays from exit to exit: neighbours agree.
        logits = generator.normal(size=(1, samples, classes)) + 0.5 * generator.normal(size=(exits, samples, classes))
        logits *= [1, 10, 0.01][generator.integers(3)]
        if generator.random() < 0.4:
            logits = np.round(2 * logits) / 2
        logits = logits.astype(np.float32)
        said = [
            [prediction(row, exit_["temperature"], rule["confidence"]) for row in rows]
            for exit_, rows in zip(policy["exits"], logits[:, :20].tolist())
        ]
        labels = np.array([[label for label, _ in row] for row in said])
        set_thresholds(generator, policy, labels, np.array([[confidence for _, confidence in row] for row in said]))
        yield policy, logits
