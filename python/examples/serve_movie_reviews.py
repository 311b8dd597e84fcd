"""From an encoder and texts to early exit in service, with a clock: what was predicted, and what came of it.

    python recipes/extract/unpack.py --output /tmp/data        # weights and texts, once
    python python/examples/serve_movie_reviews.py --data /tmp/data --work /tmp/serve --beem .build/release/beem

Extracts features (Float32, so that serving sees what the heads were trained on), trains and certifies with `beem run`, and
serves the test split: row by row and in batches of 32, with early exit and through all layers. Both take turns on the same
rows, so that whatever else runs on the machine meets both alike; CPU seconds are given beside wall-clock seconds, because on
a busy machine they are the steadier of the two. Texts are tokenised before the clock starts.

`--onnx` also exports the encoder in segments and serves it in onnxruntime, beside the whole encoder as one ONNX graph.

A policy that is there already, the one of this repository say, whose cache was compressed:

    python python/examples/serve_movie_reviews.py --data /tmp/data --work /tmp/serve --beem .build/release/beem \
        --model all-mpnet-base-v2 --policy checkpoints/movie-reviews/policy.json \
        --cache recipes/movie-reviews/features.safetensors
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """name: {name}
features: {cache}
splits: {{ train: stored, tune: 0.30, certify: 0.40, test: 0.30 }}
seed: 7
output: out
"""

CLOSE = 1e-5
"""A score nearer than this to its threshold may fall on either side, by the last bits of the encoder's sums."""


def prepare(options: argparse.Namespace) -> tuple[Path, Path, Path]:
    """Features, heads and policy, unless they are there; the policy, its heads for the encoder, and `beem`'s decisions."""
    folder = options.work / f"{options.texts}-{options.model}"
    folder.mkdir(parents=True, exist_ok=True)
    decisions = folder / "decisions.csv"
    if options.policy is not None:
        heads = folder / "heads-full-width.safetensors"
        subprocess.run(
            [options.beem, "export", options.policy, options.cache, "--full-width", "--output", heads, "--quiet"],
            check=True,
        )
        apply(options, options.policy, options.cache, decisions)
        return options.policy, heads, decisions
    if not (folder / "features.safetensors").exists():
        subprocess.run(
            [
                sys.executable, "-m", "beem_policy", "extract", "--model", options.data.resolve() / "models" / options.model,
                "--data", options.data.resolve() / "texts" / f"{options.texts}.jsonl",
                "--output", folder.resolve() / "features.safetensors", "--dtype", "f32",
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "python" / "src")}, check=True,
        )  # fmt: skip
    if not (folder / "out" / "policy.json").exists():
        (folder / "recipe.yaml").write_text(RECIPE.format(name=folder.name, cache="features.safetensors"))
        subprocess.run([options.beem, "run", folder / "recipe.yaml", "--quiet"], check=True)
    apply(options, folder / "out" / "policy.json", folder / "features.safetensors", decisions)
    return folder / "out" / "policy.json", folder / "out" / "heads.safetensors", decisions


def apply(options: argparse.Namespace, policy: Path, cache: Path, decisions: Path) -> None:
    subprocess.run(
        [options.beem, "apply", policy, cache, "--split", "test", "--output", decisions, "--quiet"], check=True
    )


def onnx_encoders(
    folder: Path, model: Any, policy: Any, heads: Any, layers: Sequence[int], threads: int
) -> tuple[Any, Any]:
    """The encoder in segments, and as one graph with the final exit alone; exported unless they are there."""
    from safetensors.numpy import save_file

    from beem_policy import Policy
    from beem_policy.onnx_encoder import OnnxEarlyExit
    from beem_policy.onnx_segments import export_segments

    if not (folder / "onnx").exists():
        export_segments(model, policy, folder / "onnx", heads, layers=layers)
    if not (folder / "onnx-final").exists():
        head = heads[len(heads) - 1]
        save_file({"exit.0.weight": head.weight, "exit.0.bias": head.bias}, folder / "final-head.safetensors")
        content = json.loads(Path(policy.file).read_text())
        digest = hashlib.sha256((folder / "final-head.safetensors").read_bytes()).hexdigest()
        content |= {"exits": [{**content["exits"][-1], "index": 0}], "certificate": None, "test": None,
                    "heads": {"file": "final-head.safetensors", "sha256": digest}}  # fmt: skip
        (folder / "final-policy.json").write_text(json.dumps(content))
        export_segments(model, Policy.load(folder / "final-policy.json"), folder / "onnx-final", layers=layers[-1:])
    return OnnxEarlyExit(folder / "onnx", threads=threads), OnnxEarlyExit(folder / "onnx-final", threads=threads)


class Clock:
    """Wall-clock and CPU seconds of several ways to do the same work, which take turns."""

    def __init__(self, ways: dict[str, Callable[[Any], Any]]) -> None:
        self.ways = ways
        self.wall = {name: [] for name in ways}
        self.cpu = {name: [] for name in ways}
        self.results: dict[str, list[Any]] = {name: [] for name in ways}

    def run(self, work: Sequence[Any], warm_up: int) -> None:
        for item in work[:warm_up]:
            for way in self.ways.values():
                way(item)
        names = list(self.ways)
        for turn, item in enumerate(work):
            for name in names if turn % 2 else reversed(names):
                wall, cpu = time.perf_counter(), time.process_time()
                result = self.ways[name](item)
                self.cpu[name].append(time.process_time() - cpu)
                self.wall[name].append(time.perf_counter() - wall)
                self.results[name].append(result)


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve a test split with and without early exit, and time both.")
    parser.add_argument("--data", type=Path, required=True, help="the folder that recipes/extract/unpack.py wrote")
    parser.add_argument("--work", type=Path, required=True, help="a folder for features, heads and policy")
    parser.add_argument("--beem", type=Path, default=ROOT / ".build" / "release" / "beem", help="the command")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="a folder below models/")
    parser.add_argument("--texts", default="movie-reviews", help="a file below texts/, without .jsonl")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--batch", type=int, default=32, help="the larger batch size")
    parser.add_argument("--window", type=int, default=512, help="rows that are regrouped together")
    parser.add_argument("--rows", type=int, help="serve only so many test rows, the first (default: all)")
    parser.add_argument("--onnx", action="store_true", help="also serve in onnxruntime; needs the extra export")
    parser.add_argument("--policy", type=Path, help="serve this policy instead of making one; needs --cache")
    parser.add_argument("--cache", type=Path, help="the compressed cache that --policy was calibrated on")
    options = parser.parse_args()
    if (options.policy is None) != (options.cache is None):
        parser.error("--policy and --cache go together")
    options.beem = options.beem.resolve()
    policy_file, heads_file, decisions_file = prepare(options)

    import numpy as np
    import torch
    import transformers

    sys.path.insert(0, str(ROOT / "python" / "src"))
    from beem_policy import Heads, Policy
    from beem_policy.pooling import pool
    from beem_policy.timing import never_leaving
    from beem_policy.torch_encoder import EarlyExitEncoder

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    policy = Policy.load(policy_file)
    heads = Heads.load(heads_file)  # of the full width; `policy.load_heads()` would be those of the compressed cache
    source = options.data / "models" / options.model
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model = transformers.AutoModel.from_pretrained(source).eval()

    with open(decisions_file, newline="") as file:
        applied = list(csv.DictReader(file))[: options.rows]
    with open(options.data / "texts" / f"{options.texts}.jsonl", encoding="utf-8") as file:
        records = [json.loads(line) for line in file.read().split("\n") if line]
    rows = [records[int(row["sample"])] for row in applied]
    truth = np.array([policy.classes.index(row["label"]) for row in rows])
    limit = min(tokenizer.model_max_length, 512)

    def tokens(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        return dict(tokenizer(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"))

    encoder = EarlyExitEncoder(model, policy, heads)
    nobody_leaves = never_leaving(policy, heads)
    all_exits = EarlyExitEncoder(model, nobody_leaves, heads)
    last = dataclasses.replace(nobody_leaves.exits[-1], index=0)
    final_exit = EarlyExitEncoder(
        model, dataclasses.replace(nobody_leaves, exits=(last,)), heads[len(heads) - 1 :], layers=[len(encoder.layers)]
    )

    @torch.inference_mode()
    def full(inputs: dict[str, torch.Tensor]) -> np.ndarray:
        """The model as anyone would serve it: its own `forward`, pooling, the final head."""
        hidden = model(**inputs).last_hidden_state
        return heads[len(heads) - 1].logits(pool(hidden, inputs["attention_mask"], "mean").numpy()).argmax(axis=1)

    def full_in_batches(inputs: dict[str, torch.Tensor]) -> np.ndarray:
        """The same for a window of rows, rows of like length together, as early exit has them."""
        lengths = inputs["attention_mask"].sum(dim=1)
        order = lengths.argsort(stable=True)
        labels = np.empty(len(order), np.int64)
        for part in order.split(options.batch):
            longest = int(lengths[part].max())
            labels[part.numpy()] = full({name: values[part, :longest] for name, values in inputs.items()})
        return labels

    def shrinking(inputs: dict[str, torch.Tensor]) -> np.ndarray:
        lengths = inputs["attention_mask"].sum(dim=1)
        order = lengths.argsort(stable=True)
        labels = np.empty(len(order), np.int64)
        for part in order.split(options.batch):
            labels[part.numpy()] = encoder({name: values[part] for name, values in inputs.items()}).labels
        return labels

    texts = [row["text"] for row in rows]
    mean_tokens = np.mean([len(ids) for ids in tokenizer(texts, truncation=True, max_length=limit)["input_ids"]])
    print(f"{policy.name}, {options.model}: {len(rows):,} test rows of {mean_tokens:.1f} tokens, {len(heads)} exits; torch "
          f"{torch.__version__} with {options.threads} threads; load average {os.getloadavg()[0]:.1f} at the start")  # fmt: skip

    one = Clock({"full": full, "early": encoder})
    one.run([tokens([text]) for text in texts], warm_up=20)
    early = one.results["early"]
    exits = np.array([result.exits[0] for result in early])
    labels = np.array([result.labels[0] for result in early])
    scores = np.array([result.scores[0] for result in early])
    costs = np.array([result.costs[0] for result in early])
    final_labels = np.concatenate(one.results["full"])
    predicted = policy.costs[-1] / costs.mean()

    # The decisions of `beem apply`, on the features of the extraction.
    others = np.array([int(row["exit"]) for row in applied])
    differ = np.flatnonzero((exits != others) | (labels != [_label(row["label"], policy.classes) for row in applied]))
    close = [row for row in differ if _is_close(policy, exits[row], scores[row], others[row], applied[row])]
    print(f"Against `beem apply`: {len(differ)} of {len(rows):,} decisions differ, {len(close)} of them close calls (within "
          f"{CLOSE:g} of the threshold); scores differ by at most "
          f"{max((abs(scores[i] - float(applied[i]['score'])) for i in range(len(rows)) if exits[i] == others[i]), default=0):.1e}")  # fmt: skip
    print(f"Error rate on test: {100 * (labels != truth).mean():.2f} % with early exit, "
          f"{100 * (final_labels != truth).mean():.2f} % through all layers")  # fmt: skip
    print(f"Predicted speed-up, in layers: {predicted:.2f}x")

    def say(name: str, clock: Clock, base: str, way: str, work: int) -> None:
        wall = sum(clock.wall[base]) / sum(clock.wall[way])
        cpu = sum(clock.cpu[base]) / sum(clock.cpu[way])
        print(f"  {name:<26} {1e3 * sum(clock.wall[base]) / work:8.2f} ms {1e3 * sum(clock.wall[way]) / work:8.2f} ms "
              f"{wall:7.2f}x {cpu:7.2f}x {wall / predicted:9.2f} {cpu / predicted:6.2f}")  # fmt: skip

    windows = [tokens(texts[start : start + options.window]) for start in range(0, len(texts), options.window)]
    many = Clock({
        "full": full_in_batches,
        "regrouped": lambda inputs: encoder(inputs, batch_size=options.batch).labels,
        "shrinking": shrinking,
    })  # fmt: skip
    many.run(windows, warm_up=1)
    print("                              full a row   early a row   by wall     CPU  of predicted: wall, CPU")
    say("batch 1", one, "full", "early", len(rows))
    say(f"batch {options.batch}, regrouped", many, "full", "regrouped", len(rows))
    say(f"batch {options.batch}, shrinking", many, "full", "shrinking", len(rows))
    for name in ("regrouped", "shrinking"):
        other = int((np.concatenate(many.results[name]) != labels).sum())
        print(f"  labels of batch {options.batch}, {name}, that differ from those of batch 1: {other}")

    if options.onnx:
        work = policy_file.parent if options.policy is None else decisions_file.parent
        segments, whole = onnx_encoders(work, model, policy, heads, encoder.layers, options.threads)
        arrays = [{name: values.numpy() for name, values in tokens([text]).items()} for text in texts]
        served = Clock({"full": whole, "early": segments})
        served.run(arrays, warm_up=20)
        say("batch 1, onnxruntime", served, "full", "early", len(rows))
        chosen = [result.exits[0] for result in served.results["early"]]
        said = [result.labels[0] for result in served.results["early"]]
        print(
            f"  decisions in onnxruntime that differ from those on torch: {int(((chosen != exits) | (said != labels)).sum())}"
        )

    # What an exit adds to a layer, and what else there is: the difference between all exits and the final one alone.
    parts = Clock({"all exits": all_exits, "final exit": final_exit, "model's forward": full})
    parts.run([tokens([text]) for text in texts[:200]], warm_up=20)
    with torch.inference_mode():
        embed = Clock({"embeddings": lambda inputs: encoder._started(encoder._checked(inputs)[0], None)})
        embed.run([tokens([text]) for text in texts[:200]], warm_up=20)
    medians = {
        name: (np.median(clock.wall[name]), np.median(clock.cpu[name]))
        for clock in (parts, embed)
        for name in clock.wall
    }
    added = [
        np.median(np.subtract(times["all exits"], times["final exit"])) / (len(heads) - 1)
        for times in (parts.wall, parts.cpu)
    ]
    layer = [(medians["final exit"][i] - medians["embeddings"][i] - added[i]) / encoder.layers[-1] for i in (0, 1)]
    print("One row, medians of 200, in microseconds:          wall     CPU")
    for name, values in {**medians, "a layer": layer, "an exit: pool, head, rule": added}.items():
        print(f"  {name:<42} {1e6 * values[0]:10.0f} {1e6 * values[1]:7.0f}")
    print(
        f"  an exit relative to a layer: {100 * added[0] / layer[0]:.1f} % by wall, {100 * added[1] / layer[1]:.1f} % by CPU"
    )
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
    return 0


def _label(text: str, classes: Sequence[str]) -> int:
    return int(text) if text.isdecimal() and text not in classes else list(classes).index(text)


def _is_close(policy: Any, exit_: int, score: float, other: int, applied: dict[str, str]) -> bool:
    """Whether one side left at an exit where its score is hardly above the threshold."""
    earlier = min(exit_, other)
    threshold = policy.exits[earlier].threshold
    at = score if exit_ == earlier else float(applied["score"])
    return exit_ != other and threshold is not None and abs(at - threshold) < CLOSE


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
