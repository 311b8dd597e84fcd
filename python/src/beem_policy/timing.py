"""`beem-policy time`: what each exit costs on this machine, in the form that a recipe's `cost` reads.

Every batch runs through all exits, heads and decisions included, and a clock is read before and after each check: pooling,
head and decision. Nobody leaves: a recipe wants to know what it takes to get to an exit, whoever gets there, and what of it
an exit saves that is not offered. Needs the extra `torch`, but only once it runs.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import Exit, Heads, InputError, Policy, Provenance, Rule
from .pooling import POOLINGS
from .whole_file import replacing

if TYPE_CHECKING:
    from .torch_encoder import EarlyExitEncoder


def add_command(subparsers: Any) -> None:
    """Adds `time` to the parsers of `beem-policy`; the chosen command is `options.run(options)`, an exit code."""
    parser = subparsers.add_parser(
        "time",
        help="measure what each exit costs on this machine (needs torch)",
        description="Measure the milliseconds from each exit of an encoder to the next, heads and decisions included, and "
        "write them in the form that a recipe reads: cost: { batches: { file: costs.csv, size: 32 } }, or, of one batch "
        "size, cost: { timings: { file: costs.csv, column: milliseconds, increments: true } }.",
    )
    parser.add_argument("model", help="a folder with the encoder, or its id on the hub")
    parser.add_argument("--revision", help="the commit of the encoder on the hub")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--policy", type=Path, help="a policy with heads; its thresholds do not matter")
    source.add_argument("--heads", type=Path, help="heads alone, where there is no policy yet")
    parser.add_argument(
        "--texts", type=Path, required=True, help="texts like those to be served: a line each, or .jsonl"
    )
    parser.add_argument("--text-column", default="text", help="the text in a .jsonl file (default: text)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], metavar="ROWS", help="batch sizes (default: 1)")
    parser.add_argument(
        "--output", type=Path, required=True, help="table to write: batch,exit,milliseconds,check_milliseconds; medians"
    )
    parser.add_argument(
        "--timings", type=Path, help="table to write besides: a row for each run at the first batch size, with columns "
        "ms_0, ms_1, ...: milliseconds a row of the batch from the start to each exit"
    )  # fmt: skip
    parser.add_argument("--pooling", choices=POOLINGS, default="mean", help="as features were extracted")
    parser.add_argument(
        "--layers", type=int, nargs="+", metavar="LAYER", help="after which layer, from 1, each exit sits (default: as "
        "the policy's exits are named, or one after each)"
    )  # fmt: skip
    parser.add_argument("--max-length", type=int, help="cut texts to so many tokens (default: the encoder's limit)")
    parser.add_argument("--repeats", type=int, default=50, help="measured batches of each size (default: 50)")
    parser.add_argument("--warm-up", type=int, default=5, help="batches before that, not counted (default: 5)")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's)")
    parser.add_argument("--device", default="cpu", help="a torch device, such as cuda (default: cpu)")
    parser.set_defaults(run=run)


# --- measuring ------------------------------------------------------------------------------------------------------


def measure(
    encoder: Any, batches: Mapping[int, Sequence[Mapping[str, Any]]], repeats: int, warm_up: int
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Milliseconds from the start of a batch to each exit, and of its check alone, by batch size: [repeats, exits] each.

    - encoder: what `clocked` makes, with a policy that lets nobody leave early.
    - batches: tokenised batches of each size, taken in turn.
    - Sizes take turns too, so that whatever else the machine does meets all of them alike.
    """
    times = {size: np.empty((repeats, len(encoder.layers))) for size in batches}
    checks = {size: np.empty((repeats, len(encoder.layers))) for size in batches}
    for repeat in range(-warm_up, repeats):
        for size, choices in batches.items():
            clock: list[float] = []
            inputs = choices[repeat % len(choices)]
            encoder.before_checks.clear()
            start = time.perf_counter()
            encoder(inputs, on_exit=lambda *_, clock=clock: clock.append(time.perf_counter()))
            if repeat >= 0:
                times[size][repeat] = (np.array(clock) - start) * 1e3
                checks[size][repeat] = (np.array(clock) - encoder.before_checks) * 1e3
    return times, checks


def clocked(*arguments: Any, **options: Any) -> EarlyExitEncoder:
    """An `EarlyExitEncoder` that keeps when each check began, in `before_checks`."""
    import torch

    from .torch_encoder import EarlyExitEncoder

    class Clocked(EarlyExitEncoder):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.before_checks: list[float] = []

        def _logits(self, exit_index: int, batches: Sequence[Any]) -> np.ndarray:
            if self.model.device.type == "cuda":
                torch.cuda.synchronize(self.model.device)  # layers are still at work when their calls have returned
            self.before_checks.append(time.perf_counter())
            return super()._logits(exit_index, batches)

    return Clocked(*arguments, **options)


def increments(cumulative: np.ndarray) -> np.ndarray:
    """[exits]: the median time from the exit before, of [repeats, exits] from the start."""
    return np.median(np.diff(cumulative, axis=1, prepend=0.0), axis=0)


def never_leaving(policy: Policy | None, heads: Heads) -> Policy:
    """A policy of as many exits as there are heads at which nobody leaves early; the rule and all else from `policy`."""
    if policy is not None:
        exits = tuple(dataclasses.replace(exit_, threshold=None) for exit_ in policy.exits)
        return dataclasses.replace(policy, exits=exits, certificate=None, test=None)
    return Policy(
        name="timing",
        classes=tuple(f"class {index}" for index in range(heads[0].class_count)),
        rule=Rule(kind="beem", confidence="max-probability"),
        exits=tuple(
            Exit(index, f"exit {index}", cost=index + 1.0, weight=1.0, temperature=1.0, threshold=None)
            for index in range(len(heads))
        ),
        heads=None,
        certificate=None,
        test=None,
        provenance=Provenance(recipe="", features_sha256="", seed=0, tool="beem-policy time"),
        file="the policy of `beem-policy time`",
    )


# --- files ----------------------------------------------------------------------------------------------------------


def read_texts(path: Path, column: str) -> list[str]:
    """The texts of a file: one a line, or of a .jsonl file the member `column` of each line. Blank lines are none."""
    file = os.fspath(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise InputError("malformed", file, seen="not UTF-8", expected="texts in UTF-8", advice="Convert it.") from None
    except OSError as error:
        raise InputError(
            "unreadable", file, seen=f"cannot be read ({error.strerror or error})", expected="texts, one a line",
            advice="Check the path.",
        ) from None  # fmt: skip
    texts = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if path.suffix != ".jsonl":
            texts.append(line.strip())
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        text = value.get(column) if isinstance(value, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                "malformed", file, f"line {number}", seen=f"{line[:60]!r}", expected=f"an object with a text in {column!r}",
                advice="Name its member with --text-column.",
            )  # fmt: skip
        texts.append(text)
    if not texts:
        raise InputError(
            "missing", file, seen="no text", expected="a text on each line", advice="Take texts as served."
        )
    return texts


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Writes a CSV; whoever reads `path` sees the old file or the whole new one."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


# --- the command ----------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Measures, writes, and prints a table; returns the exit code."""
    for name, least in (("repeats", 1), ("warm_up", 0), ("threads", 1), ("max_length", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            print(
                f"beem-policy: error: --{name.replace('_', '-')}: saw {value}, expected a number from {least}",
                file=sys.stderr,
            )
            return 2
    if any(size < 1 for size in options.batch) or len(set(options.batch)) < len(options.batch):
        print(f"beem-policy: error: --batch: saw {options.batch}, expected different numbers from 1", file=sys.stderr)
        return 2
    try:
        import torch
        import transformers
    except ImportError as error:
        print(
            f"beem-policy: error: time: {error}; expected torch and transformers. Install them: pip install 'beem-policy[torch]'",
            file=sys.stderr,
        )
        return 2
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    notes: Any = transformers.utils.logging
    notes.set_verbosity_error()
    notes.disable_progress_bar()
    try:
        texts = read_texts(options.texts, options.text_column)
        policy = None if options.policy is None else Policy.load(options.policy)
        heads = Heads.load(options.heads) if policy is None else policy.load_heads()
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(options.model, revision=options.revision)
            model = transformers.AutoModel.from_pretrained(
                options.model, revision=options.revision, dtype=torch.float32
            ).to(options.device)
        except (OSError, ValueError) as error:
            raise InputError(
                "unreadable", options.model, seen=f"transformers cannot load it ({str(error).splitlines()[0]})",
                expected="an encoder and its tokenizer", advice="Check the path, or the id.",
            ) from None  # fmt: skip
        if len(texts) < max(options.batch):
            raise InputError(
                "mismatch", os.fspath(options.texts), seen=f"{len(texts)} texts",
                expected=f"{max(options.batch)} or more, the largest batch", advice="Give more texts, or smaller batches.",
            )  # fmt: skip
        encoder = clocked(model, never_leaving(policy, heads), heads, pooling=options.pooling, layers=options.layers)
        limit = options.max_length or min(
            tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512)
        )
        batches = {}
        for size in options.batch:
            starts = range(0, len(texts) - size + 1, size)[: options.repeats]
            batches[size] = [
                {
                    name: values.to(options.device)
                    for name, values in tokenizer(
                        texts[start : start + size],
                        padding=True,
                        truncation=True,
                        max_length=limit,
                        return_tensors="pt",
                    ).items()
                }
                for start in starts
            ]
        times, checks = measure(encoder, batches, options.repeats, options.warm_up)
        stages = {size: increments(values) for size, values in times.items()}
        own = {size: np.median(values, axis=0) for size, values in checks.items()}
        write_table(
            options.output,
            ("batch", "exit", "milliseconds", "check_milliseconds"),
            [
                (size, index, f"{ms:.6g}", f"{own[size][index]:.6g}")
                for size, row in stages.items()
                for index, ms in enumerate(row)
            ],
        )
        if options.timings is not None:
            size = options.batch[0]
            write_table(
                options.timings,
                [f"{name}_{index}" for name in ("ms", "check") for index in range(len(heads))],
                [[f"{ms / size:.6g}" for ms in (*row, *check)] for row, check in zip(times[size], checks[size])],
            )
    except (InputError, ValueError) as error:
        print(f"beem-policy: error: {error}", file=sys.stderr)
        return 2
    _report(stages, own, options, torch.get_num_threads())
    return 0


def _report(
    stages: Mapping[int, np.ndarray], checks: Mapping[int, np.ndarray], options: argparse.Namespace, threads: int
) -> None:
    print(f"Median milliseconds from exit to exit, heads and decisions included; {options.repeats} batches of each size, "
          f"{threads} threads, {options.device}")  # fmt: skip
    print(
        "  batch  "
        + "  ".join(f"exit {index:>2}" for index in range(len(next(iter(stages.values())))))
        + "     sum  a row"
    )
    for size, row in stages.items():
        print(f"  {size:>5}  " + "  ".join(f"{ms:7.3f}" for ms in row) + f"  {row.sum():6.2f}  {row.sum() / size:5.3f}")
        print(" checks  " + "  ".join(f"{ms:7.3f}" for ms in checks[size]) + f"  {checks[size].sum():6.2f}")
    print(
        f"{options.output}: for a recipe, cost: {{ batches: {{ file: {options.output}, size: {options.batch[0]} }} }}"
    )
    if options.timings is not None:
        print(
            f'{options.timings}: for a recipe, cost: {{ timings: {{ file: {options.timings}, column: "ms_{{exit}}" }} }}'
        )
    elif len(stages) == 1:
        print(f"  or cost: {{ timings: {{ file: {options.output}, column: milliseconds, increments: true }} }}")
