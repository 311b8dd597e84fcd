"""Whether `beem` finds, on exit outputs that were recorded elsewhere, what a plain reference in NumPy finds.

usage: exit_outputs.py [--beem .build/release/beem] FOLDER

FOLDER holds three tables: two networks with two exits on CIFAR-10, one with measured times, and ElasticBERT's eight
exits on IMDB, labels alone. A fourth is made here: five exits, one of which says the same of every sample, and many
equal confidences, from sigmoids, some below 1/classes. Of that one the command must warn, and its long form with
shuffled rows must give the same bytes.

The reference reads a table by itself and knows the definitions alone: weights from errors on tune, costs as layers or
medians on tune, scores exit by exit, and all distinct policies of one shared threshold by trying every score there is.
Held against it, on tune and test: every row of `beem frontier --points all` (none missing, none in excess), which of
them `--points efficient` keeps, and every decision of `beem apply`, by the policy that `beem calibrate` writes and by
one set by hand from the middle of the frontier. Only which samples are in a split is taken from the command. Prints a
line for each table and rule, with how many samples leave early by either policy; ends with 1 when anything differs.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

RULES = [
    {"kind": "max-probability"},
    {"kind": "beem", "weights": "accuracy", "memory": 1},
    {"kind": "beem", "weights": "accuracy", "memory": 0.3, "restart": "zero"},
    {"kind": "beem", "weights": "authors-code"},
    {"kind": "patience"},
    {"kind": "static"},
]
DRAWN = {"train": 0, "tune": 0.3, "certify": 0.4, "test": 0.3}
TIMED = {"target": "target", "label": "prediction_branch_{exit}", "confidence": "conf_branch_{exit}"}
MADE = {"target": "target", "label": "label_{exit}", "confidence": "confidence_{exit}", "split": "split"}
# All other columns have the usual names.
LONG = {"confidence": "confidence", "split": "split"}
# Per file: its columns, the column of times, the exits' numbers, the rules.
RECORDED = {
    "cifar10-mobilenet-2exits-timed.csv": (TIMED, "cum_inf_time_branch_{exit}", range(1, 3), RULES),
    "cifar10-2exits.csv": (TIMED | {"label": "infered_class_branches_{exit}"}, None, range(1, 3), RULES),
    "imdb-elasticbert-8exits.tsv": ({"target": "op_labels", "label": "{exit}"}, None, range(8), RULES[4:]),
}
HEADER = ["threshold", "mean_cost", "speed_up", "error", "gap", "harmful_flips", "helpful_flips"]


class Difference(Exception):
    """What the command and the reference do not agree on."""


def require(condition: bool, text: str) -> None:
    if not condition:
        raise Difference(text)


class Table(NamedTuple):
    path: Path
    truth: np.ndarray  # [samples]
    labels: np.ndarray  # [exits, samples]
    confidences: np.ndarray | None  # [exits, samples], Float32
    times: np.ndarray | None  # [exits, samples]


def read_table(path: Path, columns: dict, times: str | None, exits: range) -> Table:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))

    def numbers(pattern: str | None, kind: type) -> np.ndarray | None:
        names = [pattern.replace("{exit}", str(exit_)) for exit_ in exits] if pattern else []
        return np.array([[float(row[name]) for row in rows] for name in names]).astype(kind) if names else None

    # The classes of all tables are numbered from 0, so a label is its own code.
    truth = np.array([int(float(row[columns["target"]])) for row in rows])
    confidences = numbers(columns.get("confidence"), np.float32)
    return Table(path, truth, numbers(columns["label"], int), confidences, numbers(times, np.float64))


def weights_of(rule: dict, table: Table, tune: np.ndarray) -> np.ndarray:
    if rule["weights"] == "authors-code":
        return 0.4 * np.arange(len(table.labels))
    return 1 - (table.labels[:, tune] != table.truth[tune]).sum(axis=1) / len(tune)


def scores_of(rule: dict, table: Table, tune: np.ndarray) -> np.ndarray:
    """[exits, samples]: the scores of all samples; the weights come from tune."""
    kind, exits = rule["kind"], len(table.labels)
    if kind == "max-probability":
        return table.confidences.astype(np.float64)
    if kind == "static":
        return np.zeros(table.labels.shape) + np.arange(exits)[:, None]
    scores = np.zeros(table.labels.shape)
    if kind == "beem":
        weights, memory = weights_of(rule, table, tune), rule.get("memory", 1)
        own = weights[:, None] * table.confidences.astype(np.float64)
        restarts = np.zeros_like(own) if rule.get("restart") == "zero" or rule["weights"] == "authors-code" else own
        scores[0] = own[0]
    for exit_ in range(1, exits):
        agrees = table.labels[exit_] == table.labels[exit_ - 1]
        if kind == "patience":
            scores[exit_] = np.where(agrees, scores[exit_ - 1] + 1, 0)
        else:
            scores[exit_] = np.where(agrees, memory * scores[exit_ - 1] + own[exit_], restarts[exit_])
    return scores


def exits_taken(scores: np.ndarray, thresholds: list) -> np.ndarray:
    """[samples]: the first exit with a score of at least its threshold, the last exit otherwise."""
    taken = np.full(scores.shape[1], len(scores) - 1)
    for exit_ in reversed(range(len(scores) - 1)):
        if thresholds[exit_] is not None:
            taken[scores[exit_] >= thresholds[exit_]] = exit_
    return taken


def frontier_of(scores: np.ndarray) -> list:
    """All distinct policies of one threshold, which falls: the largest threshold that makes each, and the exits."""
    points = [(None, exits_taken(scores, [None] * len(scores)))]
    for score in np.unique(scores[:-1])[::-1]:
        taken = exits_taken(scores, [score] * len(scores))
        if not np.array_equal(taken, points[-1][1]):
            points.append((float(score), taken))
    return points


def run(*command: str | Path) -> subprocess.CompletedProcess:
    result = subprocess.run(command, capture_output=True, text=True)
    require(result.returncode == 0, f"{command[1:]} ended with {result.returncode}: {result.stderr}")
    return result


def write_recipe(folder: Path, path: Path, columns: dict, times: str | None, splits: dict | str, rule: dict) -> Path:
    keys = {"name": "exit-outputs", "seed": 7, "output": "output", "guarantee": {"allowedGap": 0.02}}
    keys |= {"outputs": {"file": str(path.resolve()), "columns": columns}, "splits": splits, "rule": rule}
    keys |= {"cost": {"timings": {"column": times}} if times else "layers"}
    folder.mkdir()
    # Every value in JSON, which is YAML.
    (folder / "recipe.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items()))
    return folder / "recipe.yaml"


def frontier_file(beem: str, recipe: Path, split: str, points: str) -> str:
    run(beem, "frontier", recipe, "--split", split, "--points", points)
    return (recipe.parent / "output/frontier.csv").read_text()


def check_frontier(beem: str, recipe: Path, split: str, table: Table, rows: np.ndarray, scores, costs) -> list:
    """Holds both frontiers of a split against the reference, whose points it gives back."""
    lines = frontier_file(beem, recipe, split, "all").splitlines()
    points = frontier_of(scores[:, rows])
    require(lines[0] == ",".join(HEADER), f"{split}: the header {lines[0]}")
    require(len(lines) - 1 == len(points), f"{split}: {len(lines) - 1} points, not {len(points)}")
    right = table.labels[:, rows] == table.truth[rows]
    expected = []
    for _, taken in points:
        early, cost = right[taken, np.arange(len(rows))], costs[taken].mean()
        harmful, helpful = (~early & right[-1]).sum(), (early & ~right[-1]).sum()
        expected.append([cost, costs[-1] / cost, (~early).mean(), (harmful - helpful) / len(rows), harmful, helpful])
    expected = np.array(expected)
    texts = np.array([line.split(",") for line in lines[1:]])
    seen = texts[:, 1:].astype(float)
    agrees = np.isclose(seen, expected, rtol=1e-12, atol=1e-15)
    agrees[:, 4:] = seen[:, 4:] == expected[:, 4:]
    for at in map(tuple, np.argwhere(~agrees)[:1]):
        raise Difference(f"{split}: {HEADER[at[1] + 1]} of point {at[0]} is {seen[at]}, not {expected[at]}")
    # A policy's threshold lies between two scores: the largest that makes it, and the largest of the next.
    require(texts[0, 0] == "", f"{split}: the threshold {texts[0, 0]} where nobody leaves early")
    thresholds, uppers = texts[1:, 0].astype(float), np.array([upper for upper, _ in points[1:]])
    lowers, middles = np.append(uppers[1:], -np.inf), np.append((uppers[1:] + uppers[:-1]) / 2, uppers[-1] - 1)
    between = (lowers < thresholds) & (thresholds < uppers)
    between |= (thresholds == uppers) & (uppers == np.nextafter(lowers, uppers))
    wrong = np.flatnonzero(~between | ~np.isclose(thresholds, middles, rtol=1e-12, atol=1e-15))
    require(len(wrong) == 0, f"{split}: the thresholds of the points {wrong[:5] + 1} are not midway between scores")
    mean_cost, error = expected[:, 0], expected[:, 2]
    # [points, points]: whether the one beats the other.
    beats = (error[:, None] <= error) & (mean_cost[:, None] <= mean_cost)
    beats &= (error[:, None] < error) | (mean_cost[:, None] < mean_cost)
    kept = [lines[0]] + [line for line, is_beaten in zip(lines[1:], beats.any(axis=0)) if not is_beaten]
    efficient = frontier_file(beem, recipe, split, "efficient").splitlines()
    require(efficient == kept, f"{split}: {len(efficient) - 1} efficient points are not the {len(kept) - 1} expected")
    return points


def decisions_of(beem: str, policy: Path, recipe: Path, table: Table, split: str) -> np.ndarray:
    """[samples, 5]: sample, exit, label, score and cost, to the last bit as `beem apply` prints them."""
    lines = run(beem, "apply", policy, table.path, "--recipe", recipe, "--split", split).stdout.splitlines()
    require(lines[0] == "sample,exit,label,score,cost", f"the header {lines[0]}")
    return np.array([line.split(",") for line in lines[1:]]).astype(float)


def check_decisions(decisions: np.ndarray, thresholds: list, rows, table: Table, scores, costs, title: str) -> int:
    """Holds decisions against the reference; gives back how many leave early."""
    taken = exits_taken(scores[:, rows], thresholds)
    expected = np.column_stack([rows, taken, table.labels[taken, rows], scores[taken, rows], costs[taken]])
    require(decisions.shape == expected.shape, f"{title}: decisions of other samples")
    differing = np.flatnonzero((decisions != expected).any(axis=1))
    for place in differing[:1]:
        first = f"{decisions[place].tolist()}, not {expected[place].tolist()}"
        raise Difference(f"{title}: {len(differing)} decisions differ, first {first}")
    return int((taken < len(scores) - 1).sum())


def check(beem: str, recipe: Path, table: Table, rule: dict) -> str:
    """Holds all of a table and a rule against the reference; says how much there was."""
    run(beem, "calibrate", recipe)
    policy, by_hand = recipe.parent / "output/policy.json", recipe.parent / "output/by-hand.json"
    decisions = {split: decisions_of(beem, policy, recipe, table, split) for split in ("tune", "test")}
    rows = {split: values[:, 0].astype(int) for split, values in decisions.items()}
    require(len(np.intersect1d(rows["tune"], rows["test"])) == 0, "tune and test share samples")
    costs = np.arange(1.0, len(table.labels) + 1)
    if table.times is not None:
        costs = np.median(table.times[:, rows["tune"]], axis=1)
    scores = scores_of(rule, table, rows["tune"])
    content = json.loads(policy.read_text())
    require([exit_["cost"] for exit_ in content["exits"]] == costs.tolist(), f"the costs are not {costs}")
    if rule["kind"] == "beem":
        weights = weights_of(rule, table, rows["tune"])
        require([exit_["weight"] for exit_ in content["exits"]] == weights.tolist(), f"the weights are not {weights}")
    thresholds = [exit_["threshold"] for exit_ in content["exits"][:-1]]
    points = {s: check_frontier(beem, recipe, s, table, rows[s], scores, costs) for s in rows}
    # A score that occurs, so that "at least" is tried too.
    middle = points["tune"][len(points["tune"]) // 2][0]
    for exit_ in content["exits"][:-1]:
        exit_["threshold"] = middle
    by_hand.write_text(json.dumps(content | {"certificate": None, "test": None}))
    parts = []
    for split in rows:
        others = decisions_of(beem, by_hand, recipe, table, split)
        pairs = (decisions[split], thresholds), (others, [middle] * len(thresholds))
        early = [check_decisions(*pair, rows[split], table, scores, costs, split) for pair in pairs]
        parts.append(f"{split} {len(rows[split]):,} samples, {len(points[split]):,} points, ")
        parts[-1] += f"{early[0]:,} and {early[1]:,} leave early"
    return "; ".join(parts)


def make_tables(folder: Path) -> tuple[Path, Path]:
    """Writes the table made here in wide and in long form, and says where."""
    generator = np.random.default_rng(7)
    samples, exits, classes = 3000, 5, 4
    truth = generator.integers(classes, size=samples)
    splits = generator.choice(["tune", "certify", "test"], size=samples)
    is_right = generator.random((exits, samples)) < np.linspace(0.4, 0.9, exits)[:, None]
    labels = np.where(is_right, truth, generator.integers(classes, size=(exits, samples)))
    labels[2] = 1
    confidences = (1 / (1 + np.exp(-generator.normal(2.0 * is_right - 1, 1.5)))).round(3)
    header = ["target", "split"] + [f"{name}_{e}" for name in ("label", "confidence") for e in range(exits)]
    wide = [[truth[s], splits[s], *labels[:, s], *confidences[:, s]] for s in range(samples)]
    places = [divmod(place, exits) for place in generator.permutation(samples * exits).tolist()]
    long = [[f"image {s}", e, labels[e, s], confidences[e, s], truth[s], splits[s]] for s, e in places]
    long.insert(0, ["sample", "exit", "label", "confidence", "target", "split"])
    paths = folder / "made-here.csv", folder / "made-here-long.csv"
    for path, rows in zip(paths, ([header, *wide], long)):
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return paths


def check_forms(beem: str, recipe: Path, long_recipe: Path) -> None:
    """Looks for the warnings, and holds the frontiers of both forms against each other."""
    for path in (recipe, long_recipe):
        warnings = [line for line in run(beem, "calibrate", path).stderr.splitlines() if "beem: warning: " in line]
        for part in ("exit 2 says '1' of every sample", "are below 1/4"):
            require(any(part in line for line in warnings), f"no warning with '{part}'")
    for split in ("tune", "test"):
        wide, long = (frontier_file(beem, path, split, "all") for path in (recipe, long_recipe))
        require(wide == long, f"the frontiers of wide and long form differ on {split}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--beem", default=".build/release/beem")
    options = parser.parse_args()
    differs = False
    with tempfile.TemporaryDirectory() as folder:
        wide, long = make_tables(Path(folder))
        tables = [(options.folder / name, DRAWN, *rest) for name, rest in RECORDED.items()]
        for path, splits, columns, times, exits, rules in [*tables, (wide, "stored", MADE, None, range(5), RULES)]:
            table = read_table(path, columns, times, exits)
            for number, rule in enumerate(rules):
                # A folder each, since runs in one folder count as uses of the same certify samples.
                recipe = write_recipe(Path(folder, f"{path.name}-{number}"), path, columns, times, splits, rule)
                try:
                    result = check(options.beem, recipe, table, rule) + ": equal"
                    if path == wide:
                        # With stored splits: drawn ones depend on the order of the samples.
                        place = Path(folder, f"{long.name}-{number}")
                        check_forms(options.beem, recipe, write_recipe(place, long, LONG, None, splits, rule))
                        result += ", warned, same in long form"
                except Difference as difference:
                    differs, result = True, f"DIFFERS: {difference}"
                print(f"{path.name}, {' '.join(map(str, rule.values()))}: {result}", flush=True)
    sys.exit(1 if differs else 0)


if __name__ == "__main__":
    main()
