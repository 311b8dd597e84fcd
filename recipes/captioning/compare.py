"""Every policy against the full decoder: one command from a trained captioner to the tables, and losses for certificates.

    python compare.py --captioner captioner.safetensors --captions FOLDER --features grid.safetensors \
        --heads heads-64.safetensors --work FOLDER --results results.json --losses losses.csv

1. Token error rates of the exits on the tune half of the dev images, under teacher forcing: BEEM-A's weights.
2. Captions of the tune half by the full decoder and by every candidate (`candidates.json` in this folder, or `--candidates`).
3. Choice, on the tune half alone: of every rule the fastest candidate, by layers and by multiply-adds, that loses at most
   `--largest-loss` of the full decoder's BLEU-4 and CIDEr. Half as many images again would change it; the loss allowed
   here is smaller than the one aimed at for that reason.
4. The chosen ones, the truncated decoders and the full one on the certify half and the test images; scores with paired
   standard errors; losses of every image.

Captions are kept in `--work`, one file for a policy and a split; a run that was interrupted goes on there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import Policy
from captions import CaptionError, decoded, read_captions, tune_half
from decoder import Decoder, LowRankHead, Plan, in_batches
from evaluate import Scorer, differences, read_result
from features import GridFeatures
from generate import batches_of, result
from heads import load_heads, teacher_forced
from model import load_captioner, write_atomically
from policies import Candidate, policy_json, policy_of
from script import run

FINAL = "final"
SPLITS = ("tune", "certify", "test")
BATCH = 100
METRICS = ("BLEU-4", "CIDEr")


class Comparison:
    """The captioner, its images by split, and what was generated so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.model, self.vocabulary = load_captioner(options.captioner)
        self.sha256 = hashlib.sha256(options.captioner.read_bytes()).hexdigest()
        self.images = read_captions(options.captions)
        self.features = GridFeatures.open(options.features)
        names = self.features.names
        if [image.name for image in self.images] != names:
            raise CaptionError(f"{options.features}: made from other images than {options.captions}; make it again")
        tune = tune_half(names[row] for row in self.features.rows("dev"))
        dev = self.features.rows("dev")
        self.rows = {
            "tune": [row for row in dev if names[row] in tune],
            "certify": [row for row in dev if names[row] not in tune],
            "test": self.features.rows("test"),
        }
        self.scorers = {"tune": Scorer(self.images, "dev"), "test": Scorer(self.images, "test")}
        self.heads: dict[int | None, dict[int, LowRankHead]] = {None: {}}
        digest = hashlib.sha256(self.sha256.encode())
        for path in options.heads or []:
            heads = load_heads(path)
            self.heads[next(iter(heads.values())).rank] = heads
            digest.update(path.read_bytes())
        # Captions of another captioner, or of other heads, are never taken for this one's.
        self.folder: Path = options.work / digest.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.errors = self._token_errors()

    def _token_errors(self) -> dict[int | None, dict[int, float]]:
        """Token error rates on tune, by the rank of the heads and the layer."""
        path = self.folder / "token-errors.json"
        if path.exists():
            stored = json.loads(decoded(path))
            return {
                None if rank == "full" else int(rank): {int(layer): error for layer, error in errors.items()}
                for rank, errors in stored.items()
            }
        layers = range(1, self.model.shape.layers + 1)
        decoders = {rank: Decoder(self.model, heads) for rank, heads in self.heads.items()}
        wrong: dict[int | None, dict[int, int]] = {
            rank: {layer: 0 for layer in layers if rank is None or layer in heads or layer == layers[-1]}
            for rank, heads in self.heads.items()
        }
        tokens = 0
        for _, batch, states in teacher_forced(
            self.model, self.vocabulary, self.images, self.features, self.rows["tune"]
        ):
            with torch.inference_mode():
                for rank, counts in wrong.items():
                    for layer in counts:
                        labels = decoders[rank].logits(layer, states[layer - 1]).argmax(-1)
                        counts[layer] += int((labels != batch.targets).sum())
            tokens += len(batch.targets)
        errors = {rank: {layer: count / tokens for layer, count in counts.items()} for rank, counts in wrong.items()}
        stored = {"full" if rank is None else str(rank): counts for rank, counts in errors.items()}
        write_atomically(path, json.dumps(stored, indent=1).encode())
        return errors

    def plan(self, candidate: Candidate | None) -> Plan:
        """The plan of a candidate; of None, the full decoder's."""
        if candidate is None:
            return Plan.truncated(self.model.shape.layers)
        return Plan.of(self._policy(candidate), self.model)

    def _policy(self, candidate: Candidate) -> Policy:
        return policy_of(candidate, self.vocabulary.words, self.model.shape.layers, *self._weights(candidate))

    def _weights(self, candidate: Candidate) -> tuple[dict[int, float], str]:
        if candidate.rank not in self.errors:
            raise CaptionError(f"{candidate.name}: no heads of rank {candidate.rank}; give them with --heads")
        errors = self.errors[candidate.rank]
        missing = [layer for layer in candidate.layers if layer not in errors]
        if missing:
            raise CaptionError(f"{candidate.name}: no head of rank {candidate.rank} for layer {missing[0]}")
        return errors, self.sha256

    def policy_text(self, candidate: Candidate) -> str:
        return policy_json(candidate, self.vocabulary.words, self.model.shape.layers, *self._weights(candidate))

    def run(self, candidate: Candidate | None, split: str) -> tuple[dict[str, float], dict[str, str]]:
        """What captions of a split took, and the captions by image; made once."""
        name = FINAL if candidate is None else candidate.name
        path = self.folder / f"{name}-{split}.json"
        if not path.exists():
            start = time.monotonic()
            rank = None if candidate is None else candidate.rank
            decoder = Decoder(self.model, self.heads[rank])
            plan = self.plan(candidate)
            rows = self.rows[split]
            captions = in_batches(decoder, batches_of(self.features, rows, BATCH), plan)
            content = result(name, [self.features.names[row] for row in rows], captions, self.vocabulary)
            write_atomically(path, json.dumps(content, ensure_ascii=False).encode())
            print(f"{name} on {split}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        means = json.loads(decoded(path))["means"]
        return means, read_result(path)


def summary(comparison: Comparison, candidate: Candidate | None, split: str) -> dict[str, object]:
    """Scores and costs of a policy on a split, and what it has more or less than the full decoder."""
    scorer = comparison.scorers["test" if split == "test" else "tune"]
    means, captions = comparison.run(candidate, split)
    entry: dict[str, object] = {**scorer.corpus(captions), **means}
    if candidate is None:
        return entry
    final_means, final_captions = comparison.run(None, split)
    ordered = {name: captions[name] for name in final_captions}
    entry["difference"] = differences(scorer.scores(ordered), scorer.scores(final_captions))
    for name in ("layersPerToken", "layersPerCaption", "tokenMultiplyAddsPerCaption", "multiplyAddsPerCaption"):
        entry[f"{name}SpeedUp"] = final_means[name] / means[name]
    return entry


def relative_losses(entry: Mapping[str, object], final: Mapping[str, object]) -> dict[str, float]:
    """The part of the full decoder's BLEU-4 and CIDEr that is lost; negative where a policy is better."""
    return {metric: 1 - number(entry[metric]) / number(final[metric]) for metric in METRICS}


def number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def chosen(
    table: Mapping[Candidate, Mapping[str, object]], final: Mapping[str, object], largest_loss: float
) -> dict[str, Candidate]:
    """By rule and measure of speed, the fastest candidate within the loss; rules without one are left out."""
    found: dict[str, Candidate] = {}
    for candidate, entry in table.items():
        if max(relative_losses(entry, final).values()) > largest_loss:
            continue
        for measure in ("layersPerToken", "multiplyAddsPerCaption"):
            key = f"{candidate.rule} by {measure}"
            if key not in found or number(entry[measure]) < number(table[found[key]][measure]):
                found[key] = candidate
    return found


# --- losses for certificates ---------------------------------------------------------------------------------------


def losses_csv(comparison: Comparison, candidates: Sequence[Candidate], metric: str, measure: str) -> str:
    """`candidate,sample,split,loss,reference_loss,cost`: an image a row, losses in [0, 1], costs against the full 1.

    `sample` is the place of the image in the features file. The certify half stands beside the tune half: who orders
    the candidates looks at tune rows only.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["candidate", "sample", "split", "loss", "reference_loss", "cost"])
    for candidate in candidates:
        for split in SPLITS:
            scorer = comparison.scorers["test" if split == "test" else "tune"]
            _, final = comparison.run(None, split)
            _, captions = comparison.run(candidate, split)
            own, reference = (
                getattr(scorer.scores({name: source[name] for name in final}), metric) for source in (captions, final)
            )
            costs, final_costs = (
                image_costs(comparison, candidate, split, measure),
                image_costs(comparison, None, split, measure),
            )
            mean_final = float(np.mean(list(final_costs.values())))
            for row, loss, reference_loss in zip(comparison.rows[split], 1 - own, 1 - reference, strict=True):
                cost = costs[comparison.features.names[row]] / mean_final
                writer.writerow([candidate.name, row, split, f"{loss:.6f}", f"{reference_loss:.6f}", f"{cost:.5f}"])
    return text.getvalue()


def image_costs(comparison: Comparison, candidate: Candidate | None, split: str, measure: str) -> dict[str, float]:
    """By image: multiply-adds of the caption, or layers a token."""
    comparison.run(candidate, split)
    name = FINAL if candidate is None else candidate.name
    content = json.loads(decoded(comparison.folder / f"{name}-{split}.json"))
    if measure == "multiplyAdds":
        return {row["image_id"]: float(row["multiplyAdds"]) for row in content["images"]}
    return {row["image_id"]: float(np.mean(row["layers"])) for row in content["images"]}


# --- the command ---------------------------------------------------------------------------------------------------


def read_candidates(path: Path) -> list[Candidate]:
    """From JSON: a list of objects with rule, layers, rank and `thresholds` (or `threshold`)."""
    try:
        rows = json.loads(decoded(path))
    except json.JSONDecodeError as error:
        raise CaptionError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CaptionError(f"{path}: expected a list of objects with rule, layers, rank and thresholds")
    candidates: list[Candidate] = []
    for row in rows:
        fields = {name: value for name, value in row.items() if name != "thresholds"}
        thresholds = row.get("thresholds", [row.get("threshold", 0.0)])
        candidates += [Candidate.parse({**fields, "threshold": threshold}) for threshold in thresholds]
    return list(dict.fromkeys(candidates))


def rounded(value: object) -> object:
    """Six digits are enough for a table that people read."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    return value


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Every policy against the full decoder.")
    parser.add_argument("--captioner", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--heads", type=Path, nargs="*", help="low-rank heads, a file for each rank")
    parser.add_argument("--candidates", type=Path, default=Path(__file__).resolve().parent / "candidates.json")
    parser.add_argument("--largest-loss", type=float, default=0.02, help="of BLEU-4 and CIDEr, on the tune half")
    parser.add_argument("--work", type=Path, required=True, help="folder for captions; they hold words of the data set")
    parser.add_argument("--results", type=Path, required=True, help="JSON")
    parser.add_argument("--losses", type=Path, help="CSV for `beem certify --losses`, by 1 - smoothed sentence BLEU-4")
    parser.add_argument("--cider-losses", type=Path, help="the same by 1 - CIDEr / 10")
    parser.add_argument("--policies", type=Path, help="folder for the policy files of the chosen candidates")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    candidates = read_candidates(options.candidates)
    comparison = Comparison(options)
    final = {split: summary(comparison, None, split) for split in SPLITS}
    tune = {candidate: summary(comparison, candidate, "tune") for candidate in candidates}
    winners = chosen(tune, final["tune"], options.largest_loss)
    kept = list(dict.fromkeys([*winners.values(), *(c for c in candidates if c.rule == "static")]))
    held_out = {
        candidate.name: {split: summary(comparison, candidate, split) for split in ("certify", "test")}
        for candidate in kept
    }
    report = {
        "captioner": comparison.sha256,
        "images": {split: len(rows) for split, rows in comparison.rows.items()},
        "largestLossOnTune": options.largest_loss,
        "tokenErrorsOnTune": {
            "full" if rank is None else f"rank {rank}": errors for rank, errors in comparison.errors.items()
        },
        "final": final,
        "chosen": {key: candidate.name for key, candidate in winners.items()},
        "heldOut": held_out,
        "tune": {candidate.name: entry for candidate, entry in tune.items()},
    }
    write_atomically(options.results, (json.dumps(rounded(report), indent=1) + "\n").encode())
    if options.losses:
        write_atomically(options.losses, losses_csv(comparison, kept, "sentence_bleu", "multiplyAdds").encode())
    if options.cider_losses:
        write_atomically(options.cider_losses, losses_csv(comparison, kept, "train_cider", "multiplyAdds").encode())
    if options.policies:
        options.policies.mkdir(parents=True, exist_ok=True)
        for candidate in set(winners.values()):
            path = options.policies / f"{candidate.name}.json"
            write_atomically(path, comparison.policy_text(candidate).encode())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
