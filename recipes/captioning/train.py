"""Train the captioner with all its exits: python train.py --captions FOLDER --features grid.safetensors --output FOLDER

Writes `captioner.safetensors` (the trained parameters) after every epoch and `checkpoint.pt` (everything a resumed run
needs) every `--save-every` steps; started again with the same arguments it goes on where it was, with the same result.

Loss: cross-entropy of the last exit on all tokens, plus sum over the other exits i (from 1) of (i / 28) times theirs on a
random quarter of the tokens (28 = 1 + ... + 7; for all tokens the step would take 70 % longer).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from captions import SPLITS, CaptionedImage, CaptionError, Vocabulary, read_captions
from features import GridFeatures
from model import Captioner, Shape, TokenBatch, save_captioner, write_atomically
from script import run
from torch import Tensor
from torch.nn import functional

DEV_IMAGES = 200
"""How many dev images the losses after an epoch are measured on."""


@dataclass(frozen=True)
class Settings:
    """What a run depends on; a checkpoint of other settings is refused."""

    seed: int
    epochs: int
    batch_images: int
    captions_per_image: int
    learning_rate: float
    warm_up: int
    weight_decay: float
    dropout: float
    label_smoothing: float
    early_fraction: float
    data: str
    """A hash of the names and captions."""


def fingerprint(images: Sequence[CaptionedImage]) -> str:
    digest = hashlib.sha256()
    for image in images:
        digest.update(json.dumps([image.name, image.split, image.captions]).encode())
    return digest.hexdigest()


def epoch_batches(
    captions: Sequence[Sequence[Sequence[int]]], settings: Settings, epoch: int
) -> Iterator[tuple[list[int], list[bool], TokenBatch]]:
    """The batches of an epoch: images, which of them are mirrored, their captions. Depends on seed and epoch alone.

    Of an image with more captions than wanted some are drawn; with fewer, some are seen twice. The few images that do
    not fill a batch are left out of this epoch.
    """
    generator = np.random.default_rng([settings.seed, epoch])
    order = generator.permutation(len(captions))
    mirrored = generator.random(len(captions)) < 0.5
    wanted = settings.captions_per_image
    for first in range(0, len(order) - settings.batch_images + 1, settings.batch_images):
        rows = order[first : first + settings.batch_images].tolist()
        chosen = []
        for row in rows:
            drawn = generator.permutation(len(captions[row]))
            chosen.append([captions[row][drawn[number % len(drawn)]] for number in range(wanted)])
        yield rows, [bool(mirrored[row]) for row in rows], TokenBatch.of(chosen)


def learning_rate(step: int, steps: int, settings: Settings) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, steps - settings.warm_up)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def loss_of(model: Captioner, cells: Tensor, batch: TokenBatch, settings: Settings) -> tuple[Tensor, float]:
    """The loss to descend, and the last exit's own part of it."""
    states = model.hidden_states(cells, batch)
    last = len(states) - 1

    def cross_entropy(exit_: int, hidden: Tensor, targets: Tensor) -> Tensor:
        logits = model.logits(exit_, hidden).float()
        return functional.cross_entropy(logits, targets, label_smoothing=settings.label_smoothing)

    final = cross_entropy(last, states[last], batch.targets)
    total = final
    share = last * (last + 1) / 2
    for exit_ in range(last):
        drawn = torch.rand(len(batch.targets)) < settings.early_fraction
        if bool(drawn.any()):
            total = total + (exit_ + 1) / share * cross_entropy(exit_, states[exit_][drawn], batch.targets[drawn])
    return total, final.item()


@torch.inference_mode()
def dev_losses(
    model: Captioner, features: GridFeatures, rows: Sequence[int], captions: Sequence[Sequence[Sequence[int]]]
) -> list[tuple[float, float]]:
    """Cross-entropy (nats, not smoothed) and accuracy per exit, of the next token of the reference captions."""
    model.eval()
    sums = np.zeros((model.shape.layers, 2))
    tokens = 0
    for first in range(0, len(rows), 20):
        # Images differ in their number of captions outside Flickr8k; one is enough to follow a training.
        batch = TokenBatch.of([captions[row][:1] for row in range(first, min(first + 20, len(rows)))])
        states = model.hidden_states(features.cells(rows[first : first + 20]), batch)
        for exit_, hidden in enumerate(states):
            logits = model.logits(exit_, hidden)
            sums[exit_, 0] += functional.cross_entropy(logits, batch.targets, reduction="sum").item()
            sums[exit_, 1] += (logits.argmax(-1) == batch.targets).sum().item()
        tokens += len(batch.targets)
    model.train()
    return [(loss / tokens, hits / tokens) for loss, hits in sums.tolist()]


class Training:
    """A run, new or resumed."""

    def __init__(self, options: argparse.Namespace) -> None:
        images = read_captions(options.captions)
        self.features = GridFeatures.open(options.features)
        if [image.name for image in images] != self.features.names:
            raise CaptionError(f"{options.features}: made from other images than {options.captions}; make it again")
        self.vocabulary = Vocabulary.of(images)
        encoded = [[self.vocabulary.encoded(caption) for caption in image.captions] for image in images]
        self.train_rows = [row for row, image in enumerate(images) if image.split == SPLITS[0]]
        self.dev_rows = [row for row, image in enumerate(images) if image.split == SPLITS[1]][:DEV_IMAGES]
        self.train_captions = [encoded[row] for row in self.train_rows]
        self.dev_captions = [encoded[row] for row in self.dev_rows]
        if len(self.train_rows) < options.batch_images:
            raise CaptionError(
                f"{options.captions}: {len(self.train_rows)} train images; a step takes {options.batch_images}"
            )
        self.settings = Settings(
            seed=options.seed,
            epochs=options.epochs,
            batch_images=options.batch_images,
            captions_per_image=options.captions_per_image,
            learning_rate=options.learning_rate,
            warm_up=options.warm_up,
            weight_decay=options.weight_decay,
            dropout=options.dropout,
            label_smoothing=options.label_smoothing,
            early_fraction=options.early_fraction,
            data=fingerprint(images),
        )
        self.folder: Path = options.output
        self.folder.mkdir(parents=True, exist_ok=True)
        self.save_every: int = options.save_every
        self.use_bf16: bool = options.compute == "bf16"
        self.steps_per_epoch = len(self.train_rows) // options.batch_images
        self.steps = self.steps_per_epoch * options.epochs
        torch.manual_seed(options.seed)
        self.model = Captioner(Shape(vocabulary=len(self.vocabulary)), options.dropout, options.seed)
        self.model.head_weight.copy_(self.features.head_weight)
        self.model.head_bias.copy_(self.features.head_bias)
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.model.parameters() if parameter.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=options.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.step = 0
        self.history: list[dict[str, object]] = []
        self.checkpoint = self.folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()

    def run(self) -> None:
        self.model.train()
        start, done = time.monotonic(), 0
        recent: list[float] = []
        while self.step < self.steps:
            epoch, skipped = divmod(self.step, self.steps_per_epoch)
            for number, (rows, mirrored, batch) in enumerate(epoch_batches(self.train_captions, self.settings, epoch)):
                if number < skipped:
                    continue
                recent.append(self._descend([self.train_rows[row] for row in rows], mirrored, batch))
                done += 1
                if self.step % 25 == 0:
                    self._report(epoch, sum(recent) / len(recent), (time.monotonic() - start) / done)
                    recent.clear()
                if self.step % self.save_every == 0:
                    self._save()
            self._finish_epoch(epoch)

    def _descend(self, rows: Sequence[int], mirrored: Sequence[bool], batch: TokenBatch) -> float:
        rate = learning_rate(self.step, self.steps, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.use_bf16):
            loss, final = loss_of(self.model, self.features.cells(rows, mirrored), batch, self.settings)
        if not math.isfinite(final):
            raise CaptionError(f"step {self.step}: the loss is {final}; try a smaller --learning-rate")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return final

    def _report(self, epoch: int, loss: float, seconds: float) -> None:
        left = (self.steps - self.step) * seconds
        line = (
            f"epoch {epoch + 1}/{self.settings.epochs}, step {self.step:,}/{self.steps:,}, loss {loss:.3f}, "
            f"{seconds:.2f} s/step, {left / 60:.0f} min left"
        )
        is_terminal = sys.stderr.isatty()
        print(f"\r{line}   " if is_terminal else line, end="" if is_terminal else "\n", file=sys.stderr, flush=True)

    def _finish_epoch(self, epoch: int) -> None:
        losses = dev_losses(self.model, self.features, self.dev_rows, self.dev_captions) if self.dev_rows else []
        self.history.append(
            {"epoch": epoch + 1, "devLoss": [x for x, _ in losses], "devAccuracy": [x for _, x in losses]}
        )
        text = " ".join(f"{loss:.2f}/{accuracy:.3f}" for loss, accuracy in losses)
        print(f"\nepoch {epoch + 1}: dev loss/accuracy by exit {text}", file=sys.stderr, flush=True)
        self._save()
        notes = {"epochs": str(epoch + 1), "training": json.dumps({**asdict(self.settings), "history": self.history})}
        save_captioner(self.folder / "captioner.safetensors", self.model, self.vocabulary, notes)

    def _save(self) -> None:
        buffer = io.BytesIO()
        state = {
            "settings": asdict(self.settings),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "dropoutRandom": json.dumps(self.model.dropout_generator.bit_generator.state, default=np.ndarray.tolist),
            "history": self.history,
        }
        torch.save(state, buffer)
        write_atomically(self.checkpoint, buffer.getvalue())

    def _resume(self) -> None:
        try:
            state = torch.load(self.checkpoint, weights_only=True)
            seen, wanted = state["settings"], asdict(self.settings)
        except (EOFError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
            raise CaptionError(f"{self.checkpoint}: cannot be read: {error}; remove it to start anew") from None
        differing = [name for name in wanted if seen.get(name) != wanted[name]]
        if differing:
            listed = ", ".join(f"{name} {seen.get(name)} (now {wanted[name]})" for name in differing)
            raise CaptionError(f"{self.checkpoint}: of a run with other settings: {listed}; remove it to start anew")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.model.dropout_generator.bit_generator.state = json.loads(state["dropoutRandom"])
        self.step, self.history = state["step"], state["history"]
        print(f"resumed at step {self.step:,}", file=sys.stderr)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the captioner with all its exits.")
    parser.add_argument(
        "--captions", type=Path, required=True, help="Flickr8k's folder, or COCO's JSON or folder of it"
    )
    parser.add_argument("--features", type=Path, required=True, help="what features.py wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder of the captioner and the checkpoint")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-images", type=int, default=16)
    parser.add_argument("--captions-per-image", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--warm-up", type=int, default=300, help="steps")
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument(
        "--early-fraction", type=float, default=0.25, help="of the tokens, for the exits before the last"
    )
    parser.add_argument("--compute", choices=("bf16", "f32"), default="bf16", help="type of the linear maps")
    parser.add_argument("--save-every", type=int, default=100, help="steps")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    Training(options).run()


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
