"""Error rates of every certifying method on draws whose truth is known: `make levels`.

usage: levels.py [--beem .build/release/beem] [--draws 10000] [--random-draws 2000] [--automatic-draws 500] --output levels.json RECIPE HEADS ...

Two kinds of draws, both with heads fixed. Bootstrap: tune, certify and test are drawn with replacement from all samples
outside train, which then are the true distribution; an error is a certified policy whose gap on all of them is above
the allowed one. Random labels: those of tune and certify are uniform random classes, so every policy's gap is exactly
0, and whatever is certified at gap 0 is an error. A valid procedure errs in at most delta of the draws; three standard
errors are allowed for the simulation. Ends with 1 when any method errs more often.
"""

import argparse
import json
import subprocess
import sys

# Every order, every test, and free thresholds per exit: weights, search, order and certificate.
METHODS = ["BEEM-A, certified", "BEEM-A, per exit, certified"]
# Picks its rule among dozens on every draw, so it takes as long as twenty others: fewer draws.
AUTOMATIC = ["automatic"]


def study(beem: str, recipe: str, heads: str, methods: list, repeats: int, *more: str) -> dict:
    command = [beem, "study", recipe, "--heads", heads, "--repeats", str(repeats), "--json", *more]
    for method in methods:
        command += ["--only", method]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="pairs of a recipe and its heads")
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--random-draws", type=int, default=2_000)
    parser.add_argument("--automatic-draws", type=int, default=500)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()

    results, failures = [], []
    for recipe, heads in zip(options.files[::2], options.files[1::2]):
        designs = [
            (METHODS, options.draws, "--draws", "bootstrap", "--allowed-gap", "0"),
            (METHODS, options.draws, "--draws", "bootstrap", "--allowed-gap", "0.01"),
            (METHODS, options.random_draws, "--labels", "random", "--allowed-gap", "0"),
            (AUTOMATIC, options.automatic_draws, "--draws", "bootstrap", "--allowed-gap", "0"),
            (AUTOMATIC, options.automatic_draws, "--labels", "random", "--allowed-gap", "0"),
        ]
        for methods, repeats, *more in designs:
            result = study(options.beem, recipe, heads, methods, repeats, *more)
            results.append(result)
            limit = result["largestErrorRate"]
            for row in result["methods"]:
                mark = "" if row["errorRate"] <= limit else "  ABOVE"
                print(f"{result['recipe']} {' '.join(more)}: {row['method']}: {100 * row['errorRate']:.2f} % in error, "
                      f"at most {100 * limit:.2f} % allowed{mark}", flush=True)
                if mark:
                    failures.append(row["method"])
            with open(options.output, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=2, sort_keys=True)
                file.write("\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
