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
    deepest: int | None = None
    """The layer at which every token leaves at the latest, one of `layers`; None: the last of the captioner."""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise CaptionError(f"rule {self.rule!r}; expected one of {', '.join(RULES)}")
        if self.rule == "static" and len(self.layers) != 1:
            raise CaptionError(f"static leaves at one layer; saw {list(self.layers)}")
        if self.deepest is not None and self.deepest != self.layers[-1]:
            raise CaptionError(
                f"deepest is {self.deepest}; expected the last of the layers offered, {list(self.layers)}"
            )

    @property
    def name(self) -> str:
        heads = "full" if self.rank is None else f"rank{self.rank}"
        if self.rule == "static":
            return f"static-{self.layers[0]}" + ("" if self.rank is None else f"-{heads}")
        end = "" if self.deepest is None else f"-to{self.deepest}"
        return f"{self.rule}-{'.'.join(map(str, self.layers))}-{heads}-{self.threshold:g}{end}"

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


@dataclass(frozen=True)
class HeadsFile:
    """The file of low-rank heads that a policy was chosen with."""

    name: str
    sha256: str


def policy_of(
    candidate: Candidate,
    words: Sequence[str],
    layer_count: int,
    errors: dict[int, float],
    captioner_sha256: str,
    heads: HeadsFile | None = None,
) -> Policy:
    """The policy file of a candidate, read back. `errors`: token error rates on tune, by layer, for BEEM-A's weights."""
    text = policy_json(candidate, words, layer_count, errors, captioner_sha256, heads)
    return Policy.parse(text.encode(), candidate.name)


def policy_json(
    candidate: Candidate,
    words: Sequence[str],
    layer_count: int,
    errors: dict[int, float],
    captioner_sha256: str,
    heads: HeadsFile | None = None,
) -> str:
    """The policy file of a candidate. `heads`: of low rank; None for the output matrix all exits share."""
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
                # No score is below 0: at threshold 0 all leave.
                "threshold": None if is_last else 0.0 if layer == candidate.deepest else candidate.threshold,
            }
        )
    content = {
        "format": "beem-policy",
        "version": 1,
        "name": candidate.name,
        "classes": list(words),
        "rule": rule,
        "exits": exits,
        "heads": None if heads is None else {"file": heads.name, "sha256": heads.sha256},
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
