"""Candidate policies of a captioner as policy files: which layers offer an exit, by which rule, from which score on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# The rules are those of this checkout, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import Policy
from captions import CaptionError

RULES = ("beem-accuracy", "beem-cost", "max-probability", "patience", "static")


@dataclass(frozen=True)
class Candidate:
    """A policy in a few words. `layers` are those offered before the last, from 1; `static` leaves at the only one."""

    rule: str
    layers: tuple[int, ...]
    threshold: float = 0.0
    rank: int | None = None
    """Of the heads before the last layer; None: the shared output matrix."""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise CaptionError(f"rule {self.rule!r}; expected one of {', '.join(RULES)}")
        if self.rule == "static" and len(self.layers) != 1:
            raise CaptionError(f"static leaves at one layer; saw {list(self.layers)}")

    @property
    def name(self) -> str:
        if self.rule == "static":
            return f"static-{self.layers[0]}"
        heads = "full" if self.rank is None else f"rank{self.rank}"
        return f"{self.rule}-{'.'.join(map(str, self.layers))}-{heads}-{self.threshold:g}"

    @staticmethod
    def parse(row: object) -> Candidate:
        """From JSON, as `asdict` gives it."""
        try:
            assert isinstance(row, dict)
            fields = {**row, "layers": tuple(int(layer) for layer in row["layers"])}
            return Candidate(**fields)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise CaptionError(f"candidate {json.dumps(row)[:80]}: {error}") from None

    def row(self) -> dict[str, object]:
        return asdict(self)


def policy_of(
    candidate: Candidate,
    words: Sequence[str],
    layer_count: int,
    errors: dict[int, float],
    captioner_sha256: str,
) -> Policy:
    """The policy file of a candidate, read back. `errors`: token error rates on tune, by layer, for BEEM-A's weights."""
    return Policy.parse(policy_json(candidate, words, layer_count, errors, captioner_sha256).encode(), candidate.name)


def policy_json(
    candidate: Candidate,
    words: Sequence[str],
    layer_count: int,
    errors: dict[int, float],
    captioner_sha256: str,
) -> str:
    layers = [*candidate.layers, *([] if candidate.layers[-1] == layer_count else [layer_count])]
    rule: dict[str, object] = {"kind": candidate.rule, "confidence": "max-probability"}
    if candidate.rule.startswith("beem"):
        weights = candidate.rule.removeprefix("beem-")
        rule.update({"kind": "beem", "weights": weights, "memory": 1, "restart": "current"})
    exits = []
    for index, layer in enumerate(layers):
        weight = 1.0
        if candidate.rule == "beem-accuracy":
            weight = 1 - errors[layer]
        elif candidate.rule == "beem-cost":
            weight = layer / layer_count
        is_last = index == len(layers) - 1
        exits.append(
            {
                "index": index,
                "name": f"layer {layer}",
                "cost": layer,
                "weight": weight,
                "temperature": 1,
                "threshold": None if is_last else candidate.threshold,
            }
        )
    content = {
        "format": "beem-policy",
        "version": 1,
        "name": candidate.name,
        "classes": list(words),
        "rule": rule,
        "exits": exits,
        "heads": None,
        "certificate": None,
        "test": None,
        "provenance": {
            "recipe": "recipes/captioning",
            "features": {"sha256": captioner_sha256},
            "seed": 0,
            "tool": "recipes/captioning/policies.py",
        },
    }
    return json.dumps(content, ensure_ascii=False, indent=1)
