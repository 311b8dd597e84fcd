"""Calibrates a recipe on many draws of its tune, certify and test splits, heads fixed.

usage: resplits.py [--beem .build/release/beem] [--seeds 30] RECIPE HEADS

Draws share samples, so this shows how much speed-up can be certified and how much chance is in it, not that the
guarantee is valid. Prints one line a draw and the means.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile


def calibrate(beem: str, recipe: str, heads: str, seed: int, output: str) -> dict:
    command = [beem, "calibrate", recipe, "--heads", heads, "--seed", str(seed), "--output", output, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=pathlib.Path)
    parser.add_argument("heads", type=pathlib.Path)
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()

    speedups, gaps, uncertified = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, options.seeds + 1):
            result = calibrate(options.beem, str(options.recipe), str(options.heads), seed, folder)
            test = result["test"]
            speedups.append(test["speedUp"])
            gaps.append(test["error"] - test["finalError"])
            uncertified += result["certificate"] is None
            print(f"seed {seed:3}: speed-up {speedups[-1]:.2f}x, gap {100 * gaps[-1]:+.2f} points"
                  + ("" if result["certificate"] else ", not certified"))
    print(f"mean test speed-up {statistics.mean(speedups):.2f}x (standard deviation {statistics.stdev(speedups):.2f}), "
          f"mean test gap {100 * statistics.mean(gaps):+.2f} points, "
          f"nothing certified in {uncertified} of {options.seeds}")


if __name__ == "__main__":
    main()
