"""What a policy's decisions come to: accuracy, what the task is usually measured by, speed-up; and the tables."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decisions:
    """What `beem apply` says of samples: which, the exit each takes, its label, its cost in layers. Each [samples]."""

    samples: Labels
    exits: Labels
    labels: Labels
    costs: npt.NDArray[np.float64]

    @staticmethod
    def parse(table: str) -> Decisions:
        rows = list(csv.DictReader(io.StringIO(table)))
        columns = {name: [row[name] for row in rows] for name in ("sample", "exit", "label", "cost")}
        return Decisions(
            np.array(columns["sample"], dtype=np.int64),
            np.array(columns["exit"], dtype=np.int64),
            np.array(columns["label"], dtype=np.int64),
            np.array(columns["cost"], dtype=np.float64),
        )


@dataclass(frozen=True)
class Measured:
    """A policy on samples, beside the final layer on the same. Fractions; `gap_error` is the gap's standard error."""

    samples: int
    accuracy: float
    f1: float
    matthews: float
    speed_up: float
    gap: float
    gap_error: float
    harmful: int
    helpful: int
    leave_share: list[float]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def measure(decisions: Decisions, final: Decisions, truth: Labels, layers: int, positive: int) -> Measured:
    """`truth`: the labels of the decided samples; `positive`: the class that F1 is of."""
    if not np.array_equal(decisions.samples, final.samples):
        raise ValueError("the decisions are of other samples than the final layer's")
    count = len(truth)
    wrong, final_wrong = decisions.labels != truth, final.labels != truth
    harmful, helpful = int(np.sum(wrong & ~final_wrong)), int(np.sum(~wrong & final_wrong))
    gap = (harmful - helpful) / count
    return Measured(
        samples=count,
        accuracy=float(accuracy_score(truth, decisions.labels)),
        f1=float(f1_score(truth == positive, decisions.labels == positive)),
        matthews=float(matthews_corrcoef(truth, decisions.labels)),
        speed_up=layers / float(decisions.costs.mean()),
        gap=gap,
        gap_error=math.sqrt(((harmful + helpful) / count - gap**2) / count),
        harmful=harmful,
        helpful=helpful,
        leave_share=[float(np.mean(decisions.exits == place)) for place in range(layers)],
    )


# What a task reports beside accuracy, as a column: the key of `Measured`, its title.
EXTRA = {"cola": ("matthews", "Matthews"), "mrpc": ("f1", "F1")}


def table(task: str, results: Mapping[str, Any]) -> str:
    """The Markdown table of a task: a line for each rule, measured on test."""
    key, title = EXTRA.get(task, ("", ""))
    elsewhere = "elsewhere" in results
    columns = ["rule", "accuracy", *([title] if key else []), "gap to the final layer (points)", "speed-up (layers)"]
    columns += ["chosen on tune: speed-up", "gap"]
    columns += [f"elsewhere: {title or 'accuracy'}", "speed-up"] if elsewhere else []
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for name, row in results["rules"].items():
        test, tune = row["test"], row["tune"]
        cells = [name, f"{100 * test['accuracy']:.1f} %"]
        cells += [f"{test[key]:.3f}"] if key else []
        cells += ["" if name == "final layer" else f"{100 * test['gap']:+.2f} ± {100 * test['gap_error']:.2f}"]
        cells += [f"{test['speed_up']:.2f}x", f"{tune['speed_up']:.2f}x"]
        cells += ["" if name == "final layer" else f"{100 * tune['gap']:+.2f}"]
        if elsewhere:
            other = row["elsewhere"]
            cells += [f"{other[key or 'accuracy']:.3f}", f"{other['speed_up']:.2f}x"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def exits_line(results: Mapping[str, Any]) -> str:
    """Accuracy on test of every exit by itself."""
    return "Each exit by itself on test: " + " ".join(f"{100 * value:.1f}" for value in results["exits"]) + " %."


def certificate_line(results: Mapping[str, Any]) -> str:
    """In a sentence what was certified."""
    certificate = results["certificate"]
    if certificate is None:
        return "Nothing could be certified: the policy never leaves early."
    return (
        f"Certified: at most {100 * certificate['allowedGap']:g} points worse than the final layer, with "
        f"{100 * (1 - certificate['failureProbability']):g} % confidence over the draw of {certificate['samples']:,} "
        f"certify samples (p = {certificate['pValue']:.2g}, {certificate['harmfulFlips']} harmful and "
        f"{certificate['helpfulFlips']} helpful flips)."
    )


def summary(all_results: Sequence[Mapping[str, Any]]) -> str:
    """One table of all tasks: accuracy (or what the task is measured by) and speed-up on test for every rule."""
    names = list(all_results[0]["rules"])
    lines = [
        "| rule | " + " | ".join(result["title"] for result in all_results) + " |",
        f"|{'---|' * (len(all_results) + 1)}",
    ]
    for name in names:
        cells = []
        for result in all_results:
            row = result["rules"][name]["test"]
            key, title = EXTRA.get(result["task"], ("", ""))
            extra = f", {title} {row[key]:.3f}" if key else ""
            cells.append(f"{100 * row['accuracy']:.1f} %{extra}, {row['speed_up']:.2f}x")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def tables_by_backbone(all_results: Sequence[Mapping[str, Any]]) -> str:
    """The table of the encoder without a name, then one for each variant, under a line that says what it learned from."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in all_results:
        groups.setdefault(result.get("variant", ""), []).append(result)
    parts = []
    for variant, results in groups.items():
        heading = ""
        if variant:
            rows = ", ".join(f"{r['title']} {r['samples']['splits']['train']['rows']:,}" for r in results)
            heading = f"{results[0]['backbone']}, learned from train rows: {rows}.\n\n"
        parts.append(heading + summary(results))
    return "\n".join(parts)
