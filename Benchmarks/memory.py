"""How the memory of `beem train` grows with the cache: the peak of RssAnon on a recipe's cache and on one four times as
large, made by repeating its rows with noise.

usage: memory.py [--beem .build/release/beem] RECIPE [--large [GIGABYTES]]

Mapped pages of the cache do not count: the system takes them back when it needs them. Fails when the peak grows by 64
MiB or more.

With --large, a cache of that size, 3 GB if not said otherwise, is made in the same way and trained on with the one
penalty 0.01: fails when the peak is 300 MB or more, or when the temporary folder (TMPDIR) has too little space for it.
"""

import argparse
import json
import math
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time

import numpy as np

from safetensors_file import read_safetensors, write_safetensors

LIMIT = 64 * 1024 * 1024
LARGE_LIMIT = 300_000_000


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


def measure(beem: str, text: str, source: str, times: int, folder: str) -> int:
    """Trains a recipe, given as text, on its cache repeated that often, prints a line and returns the peak in bytes."""
    cache = os.path.join(folder, f"features-{times}.safetensors")
    enlarge(source, cache, times)
    # What is still to be written would take time from the training.
    os.sync()
    recipe = os.path.join(folder, f"recipe-{times}.yaml")
    with open(recipe, "w") as file:
        file.write(re.sub(r"(?m)^features:.*$", f"features: {cache}", text))
    bytes_, seconds = peak(beem, recipe, folder)
    size = os.path.getsize(cache)
    os.remove(cache)
    print(f"{size / 1e6:,.0f} MB of features: peak RssAnon {bytes_ / 1e6:.1f} MB, {seconds:.2f} s", flush=True)
    return bytes_


def check_growth(beem: str, text: str, source: str, folder: str) -> None:
    """Four times the features must not need much more memory."""
    peaks = [measure(beem, text, source, times, folder) for times in (1, 4)]
    growth = peaks[1] - peaks[0]
    print(f"four times the features: {growth / 1e6:+.1f} MB (limit {LIMIT / 1e6:.0f} MB)")
    if growth >= LIMIT:
        raise SystemExit("memory grows with the cache")


def check_large(beem: str, text: str, source: str, folder: str, gigabytes: float) -> None:
    """A cache of that size must not need much memory."""
    tensors = read_safetensors(source)
    # As enlarge writes it: features in Float16, then 5 bytes for each sample.
    size = sum(2 * values.size for name, values in tensors.items() if name.startswith("features."))
    size += 5 * len(tensors["labels"])
    times = math.ceil(gigabytes * 1e9 / size)
    needed, free = times * size + 100_000_000, shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(f"no space for {needed / 1e9:.1f} GB: {free / 1e9:.1f} GB are free in {tempfile.gettempdir()}")
    text, count = re.subn(r"l2: \[.*?\]", "l2: [1e-2]", text)
    if count != 1:
        raise SystemExit("the recipe names no list of penalties")
    bytes_ = measure(beem, text, source, times, folder)
    print(f"{times} times the features, one penalty: limit {LARGE_LIMIT / 1e6:.0f} MB")
    if bytes_ >= LARGE_LIMIT:
        raise SystemExit("training needs too much memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--beem", default=".build/release/beem")
    parser.add_argument(
        "--large", type=float, nargs="?", const=3.0, metavar="GIGABYTES", help="train on a cache of this size too")
    options = parser.parse_args()
    with open(options.recipe) as file:
        text = file.read()
    features = re.search(r"^features:\s*(\S+)", text, re.MULTILINE).group(1)
    source = os.path.abspath(os.path.join(os.path.dirname(options.recipe), features))
    with tempfile.TemporaryDirectory() as folder:
        check_growth(options.beem, text, source, folder)
        if options.large:
            check_large(options.beem, text, source, folder, options.large)


if __name__ == "__main__":
    main()
