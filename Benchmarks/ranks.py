"""How much faster a calibration on counts is with two ranks than with one, and what they exchange.

usage: ranks.py [--beem .build/release/beem] [--samples 10000000] [--exits 12] [--ranks 1 2] [--repeats 3] [--seed 0] [--shards 4] [--folder DIR]

Makes outputs of so many samples and exits (labels, confidences, stored splits; about 100 bytes a sample), cut by samples into shards
as a job's would be, whose hashes ranks can divide (`--shards 1`: one file, which one rank hashes), runs
`mpirun -n R beem calibrate RECIPE --counts --threads 1` for each number of ranks in turn, and prints the best time of each,
the bytes that the first rank exchanged, and whether all policies are the same bytes. Needs a `beem` that was built with
`--traits MPI`. A tenth of the samples is measured too: the bytes exchanged must not grow.
"""

import argparse
import os
import re
import subprocess
import tempfile
import time

import numpy as np

from safetensors_file import write_safetensors


def make_outputs(path: str, samples: int, exits: int, seed: int) -> None:
    """Exits that get better with depth, of two classes; what is hard for one is hard for all."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, samples, dtype=np.int32)
    ease = generator.standard_normal(samples, dtype=np.float32)
    tensors = {"labels": ("I32", [samples], [truth])}
    for exit in range(exits):
        margin = ease + 1 + 0.08 * exit + 0.7 * generator.standard_normal(samples, dtype=np.float32)
        tensors[f"label.{exit}"] = ("I32", [samples], [np.where(margin > 0, truth, 1 - truth)])
        tensors[f"confidence.{exit}"] = ("F32", [samples], [1 / (1 + np.exp(-np.abs(margin)))])
    tensors["split"] = ("U8", [samples], [generator.choice(np.array([1, 2, 3], np.uint8), samples)])
    write_safetensors(path, tensors, {"classes": '["0", "1"]'})


RECIPE = """name: ranks
outputs: {file}
splits: stored
seed: 7
rule: {{ kind: beem, weights: accuracy, memory: 1 }}
cost: layers
search: {{ thresholds: single }}
guarantee: {{ allowedGap: 0.001 }}
output: out
"""


def calibrate(beem: str, folder: str, file: str, ranks: int) -> tuple[float, int, bytes]:
    """Seconds, bytes exchanged, and the policy."""
    output = os.path.join(folder, f"out-{ranks}")
    recipe = os.path.join(folder, "recipe.yaml")
    with open(recipe, "w", encoding="utf-8") as text:
        text.write(RECIPE.format(file=file))
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    launcher = ["mpirun", "--oversubscribe", "-n", str(ranks)]
    command = launcher + [beem, "calibrate", recipe, "--counts", "--threads", "1", "--output", output]
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    exchanged = re.search(r"exchanged ([\d,]+) bytes", done.stderr)
    with open(os.path.join(output, "policy.json"), "rb") as policy:
        return seconds, int(exchanged[1].replace(",", "")) if exchanged else 0, policy.read()


def measure(options: argparse.Namespace, folder: str, samples: int) -> None:
    file = os.path.join(folder, f"outputs-{samples}.safetensors")
    if not os.path.exists(file):
        make_outputs(file, samples, options.exits, options.seed)
    if options.shards > 1:
        index = os.path.join(folder, f"outputs-{samples}-{options.shards}.safetensors.index.json")
        if not os.path.exists(index):
            cut = [options.beem, "features", "shard", file, "--shards", str(options.shards), "--output", index]
            subprocess.run(cut, check=True, capture_output=True)
        file = index
    best: dict[int, float] = {}
    policies = set()
    for _ in range(options.repeats):
        for ranks in options.ranks:
            seconds, exchanged, policy = calibrate(options.beem, folder, file, ranks)
            best[ranks] = min(best.get(ranks, seconds), seconds)
            policies.add(policy)
            what = f"{samples:,} samples x {options.exits} exits, {ranks} ranks"
            print(f"{what}: {seconds:.2f} s, {exchanged:,} bytes exchanged", flush=True)
    first = options.ranks[0]
    for ranks in options.ranks[1:]:
        print(f"{ranks} ranks are {best[first] / best[ranks]:.2f} times as fast as {first}")
    print("the policies are the same" if len(policies) == 1 else "THE POLICIES DIFFER", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--exits", type=int, default=12)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--folder", help="keep the outputs here")
    options = parser.parse_args()
    options.beem = os.path.abspath(options.beem)
    with tempfile.TemporaryDirectory() as scratch:
        for samples in [options.samples // 10, options.samples]:
            measure(options, options.folder or scratch, samples)


if __name__ == "__main__":
    main()
