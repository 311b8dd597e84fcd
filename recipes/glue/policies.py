"""Policies that are tuned and not certified, made from what `beem frontier` and `beem weights` say of the tune split.

`beem run` certifies, and certify may be used once. The rules that a certified policy is compared with must not look at
it: here they are tuned to equality on tune, the usual practice, and written as policies without a certificate.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CommandError(Exception):
    """A command that was called ended with an error."""


def call(command: Sequence[str | Path], accepted: Sequence[int] = (0,)) -> str:
    """Run a command; returns its standard output. Its notes go to standard error."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in accepted:
        raise CommandError(f"{' '.join(map(str, command))}: ended with exit code {done.returncode}")
    return done.stdout


@dataclass(frozen=True)
class Rule:
    """An exit rule as a recipe's `rule`; `name` is what tables and files call it."""

    name: str
    kind: str
    weights: str | None = None
    memory: float | None = None

    def yaml(self) -> str:
        parts = [f"kind: {self.kind}"]
        parts += [f"weights: {self.weights}"] if self.weights else []
        parts += [f"memory: {self.memory:g}"] if self.memory is not None else []
        return "{ " + ", ".join(parts) + " }"

    def json(self) -> dict[str, Any]:
        """As it stands in a policy."""
        measure = self.kind if self.kind in ("margin", "entropy") else "max-probability"
        rule: dict[str, Any] = {"kind": self.kind, "confidence": measure}
        if self.kind == "beem":
            rule |= {"weights": self.weights, "memory": self.memory, "restart": "current"}
        return rule


STATIC = Rule("static", "static")
BEEM_A = Rule("BEEM-A", "beem", "accuracy", 1)
BEEM_C = Rule("BEEM-C", "beem", "cost", 1)
MAXIMUM = Rule("maximum probability", "max-probability")
PATIENCE = Rule("patience", "patience")

# The rows of the table.
COMPARED = (STATIC, BEEM_A, BEEM_C, MAXIMUM, PATIENCE)
# What the policy of SST-2 is chosen from.
CANDIDATES = (
    BEEM_A,
    Rule("BEEM-A, memory 0.5", "beem", "accuracy", 0.5),
    Rule("BEEM-A, memory 0.3", "beem", "accuracy", 0.3),
    Rule("BEEM-A, memory 0.1", "beem", "accuracy", 0.1),
    Rule("accuracy-weighted confidence", "beem", "accuracy", 0),
    BEEM_C,
    MAXIMUM,
    PATIENCE,
)


@dataclass(frozen=True)
class Point:
    """A policy of one shared threshold (None: never leave), and what it does on tune. The gap is a fraction."""

    threshold: float | None
    mean_cost: float
    speed_up: float
    gap: float
    harmful: int
    helpful: int


def fastest_without_loss(points: Sequence[Point]) -> Point | None:
    """Tuned to equality: the fastest that errs no more than the final layer on tune; None where there is none."""
    return max((point for point in points if point.gap <= 0), key=lambda point: point.speed_up, default=None)


def slowest_at(points: Sequence[Point], speed_up: float) -> Point | None:
    """The slowest that is at least that fast on tune. Its gap played no part in picking it."""
    return min(
        (point for point in points if point.speed_up >= speed_up), key=lambda point: point.speed_up, default=None
    )


@dataclass(frozen=True)
class Tuning:
    """A task with trained heads, ready to be asked about rules on its tune split.

    `recipe` is the task's; `folder` takes recipes with another rule, and policies.
    """

    beem: Path
    recipe: Path
    heads: Path
    folder: Path

    def recipe_with(self, rule: Rule) -> Path:
        """The task's recipe with another rule, in the folder of the results; relative paths become whole ones."""
        text = self.recipe.read_text(encoding="utf-8")
        features = (self.recipe.parent / re.findall(r"^features: (\S+)", text, re.MULTILINE)[0]).absolute()
        for key, value in (("rule", rule.yaml()), ("features", features), ("output", self.folder.absolute())):
            lines = [line for line in text.split("\n") if line.startswith(f"{key}:")]
            if len(lines) != 1:
                raise CommandError(f"{self.recipe}: expected one line that begins with '{key}:', saw {len(lines)}")
            text = text.replace(lines[0], f"{key}: {value}")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / (re.sub(r"[^a-z0-9]+", "-", rule.name.lower()) + ".yaml")
        path.write_text(text, encoding="utf-8")
        return path

    def frontier(self, rule: Rule) -> list[Point]:
        """All policies of one shared threshold under the rule, measured on tune."""
        output = call(
            [self.beem, "frontier", self.recipe_with(rule), "--heads", self.heads, "--points", "all", "--json"]
        )
        return [
            Point(
                value["threshold"],
                value["meanCost"],
                value["speedUp"],
                value["gap"],
                value["harmfulFlips"],
                value["helpfulFlips"],
            )
            for value in json.loads(output)
        ]

    def weights(self, rule: Rule, exits: int) -> list[float]:
        """The exit weights under the rule, from tune."""
        if rule.kind != "beem":
            return [1.0] * exits
        output = call([self.beem, "weights", self.recipe_with(rule), "--heads", self.heads, "--json"])
        return [float(value) for value in json.loads(output)[rule.weights]]

    def write_policy(self, rule: Rule, point: Point | None, cache: dict[str, Any]) -> Path:
        """Write the policy, with its heads beside it, into a folder of its own; None never leaves early.

        `cache` is the metadata of the feature cache, with `sha256`.
        """
        names = json.loads(cache["exits"])
        last = len(names) - 1
        thresholds: list[float | None] = [None] * len(names)
        if point is not None and rule.kind == "static":
            place = round(point.mean_cost) - 1  # costs are layers
            if place < last:
                thresholds[place] = 0
        elif point is not None:
            thresholds[:last] = [point.threshold] * last
        recipe = self.recipe_with(rule)
        folder = recipe.with_suffix("")
        folder.mkdir(exist_ok=True)
        shutil.copyfile(self.heads, folder / "heads.safetensors")
        weights = self.weights(rule, len(names))
        policy = {
            "format": "beem-policy",
            "version": 1,
            "name": re.findall(r"^name: (\S+)", recipe.read_text(encoding="utf-8"), re.MULTILINE)[0],
            "classes": json.loads(cache["classes"]),
            "rule": rule.json(),
            "exits": [
                {
                    "index": index,
                    "name": name,
                    "cost": index + 1,
                    "weight": weights[index],
                    "temperature": 1,
                    "threshold": thresholds[index],
                }
                for index, name in enumerate(names)
            ],
            "heads": {"file": "heads.safetensors", "sha256": digest(self.heads)},
            "certificate": None,
            "test": None,
            "provenance": {
                "recipe": digest(recipe),
                "features": {"sha256": cache["sha256"]},
                "seed": 0,
                "tool": "recipes/glue/policies.py",
            },
        }
        path = folder / "policy.json"
        path.write_text(json.dumps(policy, indent=2) + "\n", encoding="utf-8")
        return path


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def certify_in_order(beem: Path, policy: Path, features: Path, gaps: Sequence[float]) -> list[dict[str, Any]]:
    """Test nested gaps from the largest down, each at delta, until one fails; what was found of each, in order.

    The hypotheses are nested: a policy worse by more than 1 point is worse by more than 0.5 too. So the first false
    rejection, if any, is that of the largest gap that is truly exceeded, and that one has probability delta at most: no
    delta is divided. It is one use of the certify split. The policy at the last gap that passed is written beside the
    policy as `certified.json`.
    """
    output = policy.with_name("certified.json")
    output.unlink(missing_ok=True)
    attempt = policy.with_name("attempt.json")
    command: list[str | Path] = [beem, "certify", policy, features, "--split", "certify", "--allowed-gap"]
    found = json.loads(call([*command, *map(str, gaps), "--output", attempt, "--json", "--quiet"]))
    if found["certificate"] is None:
        attempt.unlink(missing_ok=True)
    else:
        attempt.replace(output)
    counts = {name: found[name] for name in ("samples", "harmfulFlips", "helpfulFlips")}
    return [
        {"allowedGap": step["allowedGap"], "isCertified": step["passed"], "pValue": step["pValue"]} | counts
        for step in found["gaps"]
    ]
