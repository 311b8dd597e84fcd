"""How long the report of a run takes and how large it is: of a recipe's run, and of exit outputs of 1,000,000 samples.

usage: report.py [--beem .build/release/beem] RECIPE OUTPUTS

OUTPUTS holds the exit outputs of the recipe's heads, as recorded_outputs.py writes them; their rows are repeated with noise
on the confidences. Fails when the recipe's report takes 3 s or more or 1 MB or more, or the large one 2 MB or more.
"""

import argparse
import pathlib
import subprocess
import tempfile
import time

import numpy as np

from safetensors_file import read_safetensors, write_safetensors

SAMPLES = 1_000_000


def enlarge(source: str, target: pathlib.Path) -> None:
    """Repeats rows of exit outputs until there are enough."""
    tensors = read_safetensors(source)
    generator = np.random.default_rng(0)
    rows = np.resize(np.arange(len(tensors["labels"])), SAMPLES)
    enlarged = {}
    for name, values in tensors.items():
        if name == "labels" or name.startswith("label."):
            enlarged[name] = ("I32", [SAMPLES], [values[rows]])
        elif name.startswith("confidence."):
            noisy = values[rows] + 0.01 * generator.standard_normal(SAMPLES, dtype=np.float32)
            enlarged[name] = ("F32", [SAMPLES], [np.clip(noisy, 0.5, 1)])
    write_safetensors(str(target), enlarged, {"classes": '["negative","positive"]'})


def measure(beem: str, run: pathlib.Path) -> tuple[float, int]:
    """Seconds of the best of three makings of a run's report, and its bytes."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([beem, "report", str(run), "--quiet"], check=True)
        times.append(time.perf_counter() - start)
    return min(times), (run / "report.html").stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument("recipe")
    parser.add_argument("outputs")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        start = time.perf_counter()
        subprocess.run(
            [arguments.beem, "run", arguments.recipe, "--output", str(place / "own"), "--quiet"], check=True)
        whole = time.perf_counter() - start
        seconds, size = measure(arguments.beem, place / "own")
        print(f"{arguments.recipe}: report in {seconds:.2f} s (the run in all {whole:.2f} s), {size / 1e6:.2f} MB")
        failed |= seconds >= 3 or size >= 1e6

        enlarge(arguments.outputs, place / "outputs.safetensors")
        (place / "large.yaml").write_text(
            "name: large\noutputs: outputs.safetensors\nsplits: { tune: 0.3, certify: 0.4, test: 0.3 }\noutput: large\n")
        start = time.perf_counter()
        subprocess.run([arguments.beem, "run", str(place / "large.yaml"), "--quiet"], check=True)
        whole = time.perf_counter() - start
        seconds, size = measure(arguments.beem, place / "large")
        print(f"{SAMPLES:,} samples: report in {seconds:.2f} s (the run in all {whole:.1f} s), {size / 1e6:.2f} MB")
        failed |= size >= 2e6
    if failed:
        raise SystemExit("a report is too slow or too large")


main()
