"""How long the exact frontier of one shared threshold takes, against a grid of 100 thresholds in NumPy, in one run.

usage: frontier.py --frontier-speed PROGRAM [--samples 10000 100000 1000000 10000000] [--repeats 5] RECIPE HEADS

The samples are drawn from the real outputs of the recipe's exits on the rows outside its train split, confidences moved
a little: `frontier-speed` does that, scores them under the paper's rule (memory 1: up to one event for each exit) and with
memory 0, and times the frontier with two threads. NumPy gets the very scores, and 100 thresholds for nothing: points
spread evenly over the frontier. It is timed for what they cost and err, written in two ways: the first exit by one
comparison of all scores and argmax, and, quicker by far, exit by exit with running masks and two threads. Its results must
be the frontier's. The best of the repeats counts. Last, a coordinate search of one threshold for each exit is timed. Processor seconds are those of all threads together; on a machine with
other work they are the better measure.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recorded_outputs import recorded_outputs

THREADS = 2
THRESHOLDS = 100
# The coordinate search of one threshold for each exit.
STARTS = 8
# Beyond that a grid takes minutes.
LARGEST_GRID = 1_000_000


def write_outputs(recipe: str, heads: str, target: str) -> None:
    """Writes what the recipe's exits say of the rows outside the train split, in the form `frontier-speed` reads."""
    truth, labels, confidences = recorded_outputs(recipe, heads)
    with open(target, "wb") as file:
        file.write(np.array([len(labels), len(truth)], dtype="<i4").tobytes())
        file.write(np.array([truth, *labels], dtype="<i4").tobytes())
        file.write(np.array(confidences, dtype="<f4").tobytes())


def by_argmax(scores: np.ndarray, wrong: np.ndarray, costs: np.ndarray, threshold: float) -> tuple[int, float]:
    """Errors and mean cost at a threshold: the first exit that reaches it, by argmax."""
    reached = scores >= threshold
    exits = np.where(reached.any(axis=0), reached.argmax(axis=0), len(wrong) - 1)
    return int(wrong[exits, np.arange(len(exits))].sum()), float(costs[exits].mean())


def by_exit(scores: np.ndarray, wrong: np.ndarray, costs: np.ndarray, threshold: float) -> tuple[int, float]:
    """The same from the first exit to the last, in as little memory traffic as NumPy allows: counts who leaves
    and is wrong among those still waiting."""
    still = np.ones(scores.shape[1], dtype=bool)
    errors, cost, count = 0, 0.0, scores.shape[1]
    for exit_, row in enumerate(scores):
        leaves = still & (row >= threshold)
        errors += np.count_nonzero(leaves & wrong[exit_])
        still ^= leaves
        left = np.count_nonzero(still)
        cost += costs[exit_] * (count - left)
        count = left
    errors += np.count_nonzero(still & wrong[-1])
    return errors, float((cost + costs[-1] * count) / scores.shape[1])


def time_grids(path: str, samples: int, exits: int, repeats: int) -> list[tuple[float, float]]:
    """The best time and processor time of each way for all thresholds."""
    values = np.fromfile(path, dtype="<f8", count=(exits - 1) * samples + 3 * THRESHOLDS)
    scores = values[: (exits - 1) * samples].reshape(exits - 1, samples)
    thresholds, errors, mean_costs = values[scores.size :].reshape(3, THRESHOLDS)
    wrong = np.fromfile(path, dtype=np.uint8, offset=values.nbytes).reshape(exits, samples) == 0
    costs = np.arange(1, exits + 1, dtype=np.float64)

    def run(way, threads: int) -> tuple[float, float]:
        start, processor = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            results = np.array(list(pool.map(lambda value: way(scores, wrong, costs, value), thresholds)))
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        if not (np.array_equal(results[:, 0], errors) and np.allclose(results[:, 1], mean_costs, rtol=1e-12, atol=0)):
            raise SystemExit(f"the grid ({way.__name__}) and the frontier differ")
        return seconds, processor

    best = []
    for way, threads in ((by_argmax, 1), (by_exit, THREADS)):
        runs = [run(way, threads) for _ in range(repeats)]
        best.append((min(seconds for seconds, _ in runs), min(processor for _, processor in runs)))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("heads")
    parser.add_argument("--frontier-speed", required=True)
    parser.add_argument("--samples", type=int, nargs="+", default=[10**4, 10**5, 10**6, 10**7])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(
        f"NumPy {np.__version__}, {THREADS} threads but for argmax, best of {options.repeats}; "
        f"load {' '.join(f'{load:.1f}' for load in os.getloadavg())}; processor seconds in brackets"
    )
    print(
        f"{'memory':6} {'samples':>10} {'points':>11} {'peak memory':>12} {'exact frontier':>21} {'ns/(N log2 N)':>14} "
        f"{'grid by argmax':>19} {'ratio':>13} {'grid by exit':>19} {'ratio':>13}"
    )
    with tempfile.TemporaryDirectory() as folder:
        outputs, scores = os.path.join(folder, "outputs"), os.path.join(folder, "scores")
        write_outputs(options.recipe, options.heads, outputs)
        for memory in (1, 0):
            for samples in options.samples:
                has_grid = samples <= LARGEST_GRID
                command = [options.frontier_speed, outputs, str(samples), "--memory", str(memory)]
                command += ["--threads", str(THREADS), "--repeats", str(options.repeats)]
                command += ["--scores", scores, "--thresholds", str(THRESHOLDS)] if has_grid else []
                result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                seconds, processor, points = result["seconds"], result["processorSeconds"], result["points"]
                scale = samples * np.log2(samples)
                line = f"{memory:6} {samples:10,} {points:11,} {result['peakBytes'] / 1e6:9,.0f} MB"
                line += f" {seconds:9.4f} s ({processor:7.4f}) {1e9 * processor / scale:14.2f}"
                if has_grid:
                    for grid, grid_processor in time_grids(scores, samples, result["exits"], options.repeats):
                        line += f" {grid:9.4f} s ({grid_processor:5.2f})"
                        line += f" {grid / seconds:5.1f} ({grid_processor / processor:5.1f})"
                print(line, flush=True)
        command = [options.frontier_speed, outputs, str(LARGEST_GRID), "--starts", str(STARTS)]
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(
            f"a threshold for each exit, {LARGEST_GRID:,} samples, {STARTS} starts: {result['seconds']:.1f} s "
            f"({result['processorSeconds']:.1f}), peak {result['peakBytes'] / 1e6:,.0f} MB, {result['speedUp']:.3f}x", flush=True,
        )


if __name__ == "__main__":
    main()
