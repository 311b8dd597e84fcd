"""How the memory of `beem train` grows with the cache: the peak of RssAnon on a recipe's cache and on one four times as
large, made by repeating its rows with noise.

usage: memory.py [--beem .build/release/beem] RECIPE

Mapped pages of the cache do not count: the system takes them back when it needs them. Fails when the peak grows by 64 MB
or more.
"""

import argparse
import json
import os
import re
import struct
import subprocess
import tempfile
import time

import numpy as np

from safetensors_file import read_safetensors, write_safetensors

LIMIT = 64 * 1024 * 1024


def enlarge(source: str, target: str, times: int) -> None:
    """Repeats every row of a cache, features with noise of a hundredth of their deviation."""
    tensors = read_safetensors(source)
    with open(source, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(size))["__metadata__"]
    metadata.pop("compression", None)
    generator = np.random.default_rng(0)

    def noisy(values: np.ndarray):
        scale = values.std(axis=0, dtype=np.float32) / 100
        for _ in range(times):
            yield values.astype(np.float32) + scale * generator.standard_normal(values.shape, dtype=np.float32)

    enlarged = {}
    for name, values in tensors.items():
        if name.startswith("features."):
            enlarged[name] = ("F16", [times * values.shape[0], values.shape[1]], noisy(values))
    rows = len(tensors["labels"]) * times
    enlarged["labels"] = ("I32", [rows], [tensors["labels"]] * times)
    enlarged["split"] = ("U8", [rows], [tensors["split"]] * times)
    write_safetensors(target, enlarged, metadata)


def peak(beem: str, recipe: str, output: str) -> tuple[int, float]:
    """The largest RssAnon of `beem train`, in bytes, sampled every millisecond, and the time it took."""
    start = time.perf_counter()
    process = subprocess.Popen([beem, "train", recipe, "--output", output, "--quiet"])
    largest = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as file:
                match = re.search(r"^RssAnon:\s*(\d+) kB", file.read(), re.MULTILINE)
        except ProcessLookupError:
            break
        if match:
            largest = max(largest, int(match.group(1)) * 1024)
        time.sleep(0.001)
    if process.wait() != 0:
        raise SystemExit("beem train failed")
    return largest, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--beem", default=".build/release/beem")
    options = parser.parse_args()
    with open(options.recipe) as file:
        text = file.read()
    features = re.search(r"^features:\s*(\S+)", text, re.MULTILINE).group(1)
    source = os.path.abspath(os.path.join(os.path.dirname(options.recipe), features))
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for times in (1, 4):
            cache = os.path.join(folder, f"features-{times}.safetensors")
            enlarge(source, cache, times)
            recipe = os.path.join(folder, f"recipe-{times}.yaml")
            with open(recipe, "w") as file:
                file.write(re.sub(r"(?m)^features:.*$", f"features: {cache}", text))
            bytes_, seconds = peak(options.beem, recipe, folder)
            peaks.append(bytes_)
            print(f"{os.path.getsize(cache) / 1e6:.0f} MB of features: peak RssAnon {bytes_ / 1e6:.1f} MB, {seconds:.2f} s")
    growth = peaks[1] - peaks[0]
    print(f"four times the features: {growth / 1e6:+.1f} MB (limit {LIMIT / 1e6:.0f} MB)")
    if growth >= LIMIT:
        raise SystemExit("memory grows with the cache")


if __name__ == "__main__":
    main()
