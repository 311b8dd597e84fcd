"""Every policy against the full decoder: one command from a trained captioner to the tables, and losses for certificates.

    python compare.py --captioner captioner.safetensors --captions FOLDER --features grid.safetensors \
        --heads heads-64.safetensors --work FOLDER --results results.json --losses losses.csv

1. Token error rates of the exits on the tune half of the dev images, under teacher forcing: BEEM-A's weights.
2. Captions of the tune half by the full decoder and by every candidate (`candidates.json` in this folder, or `--candidates`).
3. Choice, on the tune half alone: of every rule the candidate that loses least of the full decoder's BLEU-4 and CIDEr among
   those that are fast enough (`--layers`, `--multiply-adds`). The fastest within a loss would be the luckiest instead: with 500
   images the loss is known to within two or three parts in a hundred, the speed to within one.
4. Candidates for a certificate, on the tune half alone: the chosen ones, and those that no other beats in both multiply-adds and
   sentence BLEU. Their losses on every tune and certify image.
5. The chosen ones, the truncated decoders, the candidates for a certificate and the full decoder on the test images: scores with
   paired standard errors.

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
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import Policy
from captions import CaptionError, decoded, read_captions
from decoder import Decoder, LowRankHead, Plan, in_batches
from evaluate import Scorer, differences, read_result
from features import GridFeatures
from generate import batches_of, result
from heads import load_heads, teacher_forced
from model import load_captioner, write_atomically
from policies import Candidate, HeadsFile, policy_json
from script import run

FINAL = "final"
SPLITS = ("tune", "certify", "test")
BATCH = 100
METRICS = ("BLEU-4", "CIDEr")
SPEED_UPS = ("layersPerToken", "layersPerCaption", "tokenMultiplyAddsPerCaption", "multiplyAddsPerCaption")


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
        self.rows = {split: self.features.rows(split) for split in SPLITS}
        self.scorers = {"tune": Scorer(self.images, "dev"), "test": Scorer(self.images, "test")}
        self.heads: dict[int | None, dict[int, LowRankHead]] = {None: {}}
        self.heads_files: dict[int | None, HeadsFile] = {}
        digest = hashlib.sha256(self.sha256.encode())
        for path in options.heads or []:
            heads = load_heads(path)
            rank = next(iter(heads.values())).rank
            self.heads[rank] = heads
            self.heads_files[rank] = HeadsFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
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
        return Policy.parse(self.policy_text(candidate).encode(), candidate.name)

    def policy_text(self, candidate: Candidate) -> str:
        """The policy file of a candidate."""
        if candidate.rank not in self.errors:
            raise CaptionError(f"{candidate.name}: no heads of rank {candidate.rank}; give them with --heads")
        errors = self.errors[candidate.rank]
        missing = [layer for layer in candidate.layers if layer not in errors]
        if missing:
            raise CaptionError(f"{candidate.name}: no head of rank {candidate.rank} for layer {missing[0]}")
        words, layers = self.vocabulary.words, self.model.shape.layers
        return policy_json(candidate, words, layers, errors, self.sha256, self.heads_files.get(candidate.rank))

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
    for name in SPEED_UPS:
        entry[f"{name}SpeedUp"] = final_means[name] / means[name]
    return entry


def relative_losses(entry: Mapping[str, object], final: Mapping[str, object]) -> dict[str, float]:
    """The part of the full decoder's BLEU-4 and CIDEr that is lost; negative where a policy is better."""
    return {metric: 1 - number(entry[metric]) / number(final[metric]) for metric in METRICS}


def number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def chosen(
    table: Mapping[Candidate, Mapping[str, object]], final: Mapping[str, object], wanted: Mapping[str, float]
) -> dict[str, Candidate]:
    """By rule, the candidate with the smallest loss among those that are fast enough; rules without one are left out.

    - wanted: least speed-ups, by the name of what is counted.
    The loss is the larger of the two of `relative_losses`. Of equal ones the faster is taken, by multiply-adds.
    """
    found: dict[str, tuple[float, float, Candidate]] = {}
    for candidate, entry in table.items():
        if any(number(entry[f"{name}SpeedUp"]) < least for name, least in wanted.items()):
            continue
        loss = max(relative_losses(entry, final).values())
        place = (loss, number(entry["multiplyAddsPerCaption"]), candidate)
        if candidate.rule not in found or place[:2] < found[candidate.rule][:2]:
            found[candidate.rule] = place
    return {rule: candidate for rule, (_, _, candidate) in found.items()}


def efficient(table: Mapping[Candidate, Mapping[str, Any]]) -> list[Candidate]:
    """The candidates that no other beats in both multiply-adds and the mean of sentence BLEU, dearest first."""
    kept: list[Candidate] = []
    best = -np.inf
    for candidate, entry in sorted(table.items(), key=lambda item: number(item[1]["multiplyAddsPerCaption"])):
        bleu = number(entry["difference"]["sentenceBLEU"]["difference"])
        if bleu > best and entry["multiplyAddsPerCaptionSpeedUp"] > 1:
            best = bleu
            kept.append(candidate)
    return kept[::-1]


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
        for split in ("tune", "certify"):
            scorer = comparison.scorers["tune"]
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
    parser.add_argument("--layers", type=float, default=1.6, help="least speed-up in layers of what is chosen, on tune")
    parser.add_argument(
        "--multiply-adds", type=float, default=1.3, help="least speed-up in multiply-adds of layers and heads, on tune"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for captions; they hold words of the data set")
    parser.add_argument("--results", type=Path, required=True, help="JSON")
    parser.add_argument("--losses", type=Path, help="CSV for `beem certify --losses`, by 1 - smoothed sentence BLEU-4")
    parser.add_argument("--cider-losses", type=Path, help="the same by 1 - CIDEr / 10")
    parser.add_argument("--policies", type=Path, help="folder for the policy files of what goes on to held-out images")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    candidates = read_candidates(options.candidates)
    comparison = Comparison(options)
    final = {split: summary(comparison, None, split) for split in ("tune", "test")}
    tune = {candidate: summary(comparison, candidate, "tune") for candidate in candidates}
    wanted = {"layersPerToken": options.layers, "tokenMultiplyAddsPerCaption": options.multiply_adds}
    winners = chosen(tune, final["tune"], wanted)
    certifiable = list(dict.fromkeys([*efficient(tune), *winners.values()]))
    truncated = [candidate for candidate in candidates if candidate.rule == "static" and candidate.rank is None]
    kept = list(dict.fromkeys([*truncated, *winners.values(), *certifiable]))
    report = {
        "captioner": comparison.sha256,
        "heads": {f"rank {rank}": file.sha256 for rank, file in comparison.heads_files.items()},
        "images": {split: len(rows) for split, rows in comparison.rows.items()},
        "wantedOnTune": wanted,
        "tokenErrorsOnTune": {
            "full" if rank is None else f"rank {rank}": errors for rank, errors in comparison.errors.items()
        },
        "final": final,
        "chosen": {rule: candidate.name for rule, candidate in winners.items()},
        "truncated": [candidate.name for candidate in truncated],
        "certifiable": [candidate.name for candidate in certifiable],
        "candidates": {candidate.name: candidate.row() for candidate in kept},
        "test": {candidate.name: summary(comparison, candidate, "test") for candidate in kept},
        "tune": {candidate.name: entry for candidate, entry in tune.items()},
    }
    if options.losses:
        text = losses_csv(comparison, certifiable, "sentence_bleu", "multiplyAdds")
        write_atomically(options.losses, text.encode())
    if options.cider_losses:
        text = losses_csv(comparison, certifiable, "train_cider", "multiplyAdds")
        write_atomically(options.cider_losses, text.encode())
    if options.policies:
        options.policies.mkdir(parents=True, exist_ok=True)
        for candidate in kept:
            path = options.policies / f"{candidate.name}.json"
            write_atomically(path, comparison.policy_text(candidate).encode())
    write_atomically(options.results, (json.dumps(rounded(report), indent=1) + "\n").encode())


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
