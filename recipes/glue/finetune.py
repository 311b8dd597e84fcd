"""Fine-tune an encoder on the train split of a prepared task, and keep the encoder alone.

    python finetune.py --model FOLDER-OR-HUB-ID --data sst2.jsonl --output encoder-folder

Transformers' `Trainer` with the usual settings (AdamW, a tenth of the steps to warm up, linear decay) trains the encoder
under a linear layer on its **mean-pooled** last states, for that is what the features of `beem` are: what is learned
here is what the heads see later. Rows of tune, certify and test are not looked at. The epoch is chosen on a part of the
train split: whole groups, drawn. The classification layer is dropped; `beem` trains its own heads, on all train rows.

`encoder-folder` is what `AutoModel` and `AutoTokenizer` load, with `finetuning.json`, which says what was done. It
appears complete or, after an error or Ctrl-C, not at all.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers import AutoModel, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

# Pooling is the code that extracts and serves: that of this checkout, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy.pooling import pool

from draw import draw_key, limited


class FinetuningError(Exception):
    """The samples or the encoder cannot be used as asked."""


@dataclass(frozen=True)
class Sample:
    """A row of the train split; `group` names what belongs together."""

    text: str
    pair: str | None
    label: str
    group: str


def read_train(path: Path) -> list[Sample]:
    """The rows of the train split of a file of `prepare.py`."""
    samples = []
    # Not `splitlines`: U+2028 and its like may stand inside a JSON string.
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if row["split"] == "train":
                samples.append(Sample(row["text"], row.get("pair"), row["label"], str(row.get("group", number))))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise FinetuningError(
                f"{path}:{number}: expected an object with text, label and split, as prepare.py writes it; saw {error}"
            ) from None
    if len({sample.label for sample in samples}) < 2:
        raise FinetuningError(f"{path}: expected rows of two classes or more with split 'train'")
    return samples


def hold_back(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Divide the train split: rows to learn from, and whole groups, about `fraction` of them, to choose the epoch."""
    groups = sorted({sample.group for sample in samples}, key=lambda group: draw_key(seed, "hold back", group))
    held = set(groups[: max(1, int(fraction * len(groups) + 0.5))])
    return [s for s in samples if s.group not in held], [s for s in samples if s.group in held]


class MeanPooledClassifier(nn.Module):
    """An encoder, the mean over the tokens of its last states, dropout and a linear layer."""

    def __init__(self, encoder: nn.Module, width: int, classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, **inputs: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`: [rows, tokens]; `labels`: [rows]. The loss is the mean cross-entropy in nats."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        logits = self.classifier(self.dropout(pool(states, attention_mask, "mean")))
        return {"loss": nn.functional.cross_entropy(logits.float(), labels), "logits": logits}


class KeepBest(TrainerCallback):
    """Keeps, in memory, the encoder of the epoch with the highest accuracy on the rows held back (then the lowest loss)."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        metrics: dict[str, float] = given["metrics"]
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        this = {
            "epoch": round(state.epoch),
            "trainLoss": losses[-1] if losses else float("nan"),
            "heldBackLoss": metrics["eval_loss"],
            "heldBackAccuracy": metrics["eval_accuracy"],
        }
        self.epochs.append(this)
        if this is self.chosen():
            self.best = copy.deepcopy(given["model"].encoder.state_dict())
        print(json.dumps(this), file=sys.stderr, flush=True)

    def chosen(self) -> dict[str, float]:
        return max(self.epochs, key=lambda entry: (entry["heldBackAccuracy"], -entry["heldBackLoss"]))


def accuracy(prediction: Any) -> dict[str, float]:
    return {"accuracy": float(np.mean(prediction.predictions.argmax(axis=-1) == prediction.label_ids))}


def train(options: argparse.Namespace, scratch: Path) -> tuple[Any, Any, dict[str, object]]:
    """Fine-tune; returns the encoder, its tokenizer, and what was done."""
    start = time.monotonic()
    torch.set_num_threads(options.threads)
    transformers.set_seed(options.seed)
    try:
        tokenizer = AutoTokenizer.from_pretrained(options.model, revision=options.revision)
        encoder = AutoModel.from_pretrained(options.model, revision=options.revision, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise FinetuningError(f"{options.model}: transformers cannot load it: {error}") from error

    samples = read_train(options.data)
    if options.limit is not None:
        kept = limited([(sample.text, sample.pair or "") for sample in samples], options.limit, options.seed)
        samples = [samples[row] for row in kept]
    learned, held = hold_back(samples, options.hold_back, options.seed)
    classes = sorted({sample.label for sample in samples})

    def encoded(rows: Sequence[Sample]) -> list[dict[str, Any]]:
        pairs = None if rows[0].pair is None else [row.pair for row in rows]
        tokens = tokenizer([row.text for row in rows], pairs, truncation=True, max_length=options.max_length)
        return [
            {name: values[place] for name, values in tokens.items()} | {"labels": classes.index(row.label)}
            for place, row in enumerate(rows)
        ]

    model = MeanPooledClassifier(encoder, encoder.config.hidden_size, len(classes))
    best = KeepBest()
    rows = encoded(learned)
    steps = -(-len(rows) // options.batch_size) * options.epochs
    arguments = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=128,
        learning_rate=options.learning_rate,
        weight_decay=0.01,
        warmup_steps=steps // 10,
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",  # rows of like length together: less padding
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        bf16=options.compute == "bf16",
        use_cpu=options.device == "cpu",
        seed=options.seed,
        report_to="none",
        dataloader_pin_memory=options.device != "cpu",
        disable_tqdm=not sys.stderr.isatty(),
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=encoded(held),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
        callbacks=[best],
    )
    trainer.train()
    encoder.load_state_dict(best.best)
    report: dict[str, object] = {
        "model": Path(options.model).resolve().name if Path(options.model).is_dir() else options.model,
        "revision": options.revision,
        "data": {"file": options.data.name, "sha256": hashlib.sha256(options.data.read_bytes()).hexdigest()},
        "classes": classes,
        "rows": {"learned": len(learned), "heldBack": len(held)},
        "settings": {
            name: getattr(options, name)
            for name in ("seed", "epochs", "batch_size", "learning_rate", "max_length", "hold_back", "limit", "compute")
        },
        "epochs": best.epochs,
        "chosenEpoch": best.chosen()["epoch"],
        "seconds": round(time.monotonic() - start, 1),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    return encoder, tokenizer, report


def finetune(options: argparse.Namespace) -> None:
    """Train in a temporary folder beside the result, which then gets its name."""
    if options.output.exists():
        raise FinetuningError(f"{options.output}: is there already; remove it, or name another folder")
    options.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{options.output.name}.", dir=options.output.absolute().parent))
    try:
        encoder, tokenizer, report = train(options, partial / "scratch")
        encoder.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        (partial / "finetuning.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(partial / "scratch", ignore_errors=True)
        partial.chmod(0o755)
        partial.rename(options.output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(json.dumps({name: report[name] for name in ("rows", "epochs", "chosenEpoch", "seconds")}))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Fine-tune an encoder on the train split of a prepared task.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="a folder with the encoder, or its id on the hub")
    parser.add_argument("--revision", help="the commit of the encoder on the hub")
    parser.add_argument("--data", type=Path, required=True, help="a file of prepare.py")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write; must not be there")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5, help="the highest rate")
    parser.add_argument("--max-length", type=int, default=256, help="cut texts to so many tokens")
    parser.add_argument("--hold-back", type=float, default=0.1, help="part of the train groups that chooses the epoch")
    parser.add_argument("--limit", type=int, help="draw so many train rows, where time is short")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--compute", choices=("f32", "bf16"), default="f32", help="bf16: mixed precision")
    parser.add_argument(
        "--device", choices=("cpu", "auto"), default="cpu", help="auto: an accelerator, if there is one"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="on a CPU")
    options = parser.parse_args(arguments)
    for name in ("epochs", "batch_size", "max_length", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: expected a number from 1")
    if not 0 < options.hold_back < 1:
        parser.error("--hold-back: expected a number between 0 and 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves no half-written folder either
    transformers.utils.logging.set_verbosity_error()
    try:
        finetune(options)
    except (FinetuningError, OSError) as error:
        print(f"finetune.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("finetune.py: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
