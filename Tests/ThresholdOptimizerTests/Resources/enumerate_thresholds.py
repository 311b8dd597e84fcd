"""Makes enumerated.json: the best thresholds of random grids, found by trying all of them.

    python3 enumerate_thresholds.py        # needs nothing but Python

Nothing here is shared with the searches of ThresholdOptimizer: plain loops over combinations, exits and samples. Scores
and costs are multiples of 1/16, so that sums are exact and equal costs are equal.
"""

import itertools
import json
import pathlib
import random

EXITS, VALUES, SAMPLES = 4, 8, 60


def draw_table(generator, kind):
    """Scores with ties, exits that get better with depth; the kinds add exits of one class and other references."""
    difficulty = [generator.random() for _ in range(SAMPLES)]
    scores, is_correct = [], []
    for exit_index in range(EXITS):
        ability = 0.55 + 0.15 * exit_index
        right = [generator.random() < 1.2 * ability - 0.6 * d for d in difficulty]
        if kind == "always wrong" and exit_index == 1:
            right = [False] * SAMPLES
        if kind == "always right" and exit_index == 2:
            right = [True] * SAMPLES
        is_correct.append(right)
        levels = 6 if kind == "many ties" else 24
        row = []
        for sample in range(SAMPLES):
            certainty = 0.5 + (0.2 if right[sample] else -0.1) - 0.3 * difficulty[sample] + 0.3 * generator.random()
            row.append(round(certainty * levels) / 8)
        if kind == "equal scores" and exit_index == 0:
            row = [0.5] * SAMPLES
        scores.append(row)
    reference = is_correct[-1]
    if kind == "exit 1 as reference":
        reference = is_correct[1]
    if kind == "a better reference":
        reference = [generator.random() < 0.97 for _ in range(SAMPLES)]
    costs = [1, 2, 3, 4] if generator.random() < 0.5 else [0.375, 1.25, 2.875, 4.5]
    return scores[:-1], is_correct, reference, costs


def draw_grid(generator, row):
    """VALUES falling thresholds: observed scores and numbers between and beyond them."""
    distinct = sorted(set(row))
    candidates = sorted(set(distinct + [value - 0.0625 for value in distinct] + [distinct[-1] + 1, distinct[0] - 1]))
    while len(candidates) < VALUES:
        candidates.append(candidates[-1] + 1)
    return sorted(generator.sample(candidates, VALUES), reverse=True)


def outcome(thresholds, scores, is_correct, reference, costs):
    """(cost, excess, harmful) of one policy; a threshold of None is never met."""
    cost, harmful, helpful = 0, 0, 0
    for sample in range(SAMPLES):
        exit_taken = EXITS - 1
        for exit_index in range(EXITS - 1):
            threshold = thresholds[exit_index]
            if threshold is not None and scores[exit_index][sample] >= threshold:
                exit_taken = exit_index
                break
        cost += costs[exit_taken]
        right = is_correct[exit_taken][sample]
        if reference[sample] and not right:
            harmful += 1
        if right and not reference[sample]:
            helpful += 1
    return cost, harmful - helpful, harmful


def main():
    generator = random.Random(20261125)
    kinds = ["plain"] * 6 + ["many ties"] * 3 + [
        "equal scores", "always wrong", "always right", "exit 1 as reference", "exit 1 as reference", "a better reference",
        "a better reference"]
    cases = []
    for number, kind in enumerate(kinds):
        scores, is_correct, reference, costs = draw_table(generator, kind)
        grid = [draw_grid(generator, row) for row in scores]
        # In samples, so that no rounding of a fraction takes part: the gap is this over SAMPLES.
        largest_excess = [0, 0, 1, 3][number % 4]
        best = None
        for thresholds in itertools.product(*[[None] + values for values in grid]):
            found = outcome(thresholds, scores, is_correct, reference, costs)
            if found[1] <= largest_excess and (best is None or found < best):
                best = found
        cases.append({
            "kind": kind, "scores": scores, "isCorrect": [[int(value) for value in row] for row in is_correct],
            "referenceIsCorrect": [int(value) for value in reference], "costs": costs, "grid": grid,
            "largestExcess": largest_excess,
            "optimum": None if best is None else {"cost": best[0], "excess": best[1], "harmful": best[2]},
        })
    text = ",\n  ".join(json.dumps(case) for case in cases)
    pathlib.Path(__file__).with_name("enumerated.json").write_text(
        f'{{"madeBy": "enumerate_thresholds.py", "cases": [\n  {text}\n]}}\n')


if __name__ == "__main__":
    main()
