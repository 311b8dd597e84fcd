"""A part of a task's train rows, where there is no time for all: the same draw as everything else, by digest.

Tune, certify and test stay whole: what is claimed is about them.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from draw import limited
from prepare import write_whole


class LimitError(Exception):
    """The samples cannot be limited as asked."""


def limited_file(samples: Path, count: int) -> Path:
    """Where the samples with at most `count` train rows lie: beside the whole ones."""
    return samples.with_name(f"{samples.stem}-{count}.jsonl")


def limit_train(samples: Path, count: int, seed: int) -> Path:
    """Write the samples of `prepare.py` with at most `count` train rows, and their report; returns the samples' path.

    The lines that stay are those of the file, byte for byte. Throws `LimitError` where a class has no train row left.
    """
    # Not `splitlines`: U+2028 and its like may stand inside a JSON string.
    lines = [line for line in samples.read_text(encoding="utf-8").split("\n") if line]
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    train = [place for place, row in enumerate(rows) if row["split"] == "train"]
    drawn = limited([(rows[place]["text"], rows[place].get("pair", "")) for place in train], count, seed)
    kept = {train[number] for number in drawn}

    report = json.loads(samples.with_suffix(".json").read_text(encoding="utf-8"))
    labels = Counter(rows[place]["label"] for place in kept)
    missing = sorted({rows[place]["label"] for place in train} - set(labels))
    if missing:
        raise LimitError(f"--limit {count}: leaves no train row of {', '.join(missing)} in {samples.name}; take more")
    report["splits"]["train"] = {"rows": len(kept), **dict(sorted(labels.items()))}
    report["counts"]["train rows left out: more than --limit"] = len(train) - len(kept)

    path = limited_file(samples, count)
    stay = [line for place, line in enumerate(lines) if rows[place]["split"] != "train" or place in kept]
    write_whole(path, "".join(line + "\n" for line in stay))
    write_whole(path.with_suffix(".json"), json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return path
