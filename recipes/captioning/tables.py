"""The tables of the README from results: python tables.py results.json [timing.json]"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from captions import CaptionError, decoded

SCORES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr")
SPEED_UPS = {
    "layersPerTokenSpeedUp": "layers",
    "tokenMultiplyAddsPerCaptionSpeedUp": "multiply-adds, layers and heads",
    "multiplyAddsPerCaptionSpeedUp": "multiply-adds, with the image's",
}


def percent(value: float) -> str:
    return f"{100 * value:+.1f} %"


def policy_row(name: str, entry: Mapping[str, Any], final: Mapping[str, Any], clock: float | None) -> list[str]:
    """A policy on held-out images: scores, what of BLEU-4 and CIDEr is lost or won, with paired errors, speed-ups."""
    cells = [name, *(f"{entry[score]:.3f}".lstrip("0") for score in SCORES)]
    for score in ("BLEU-4", "CIDEr"):
        if "difference" in entry:
            difference = entry["difference"][score]
            relative = percent(difference["difference"] / final[score])
            cells.append(f"{relative} ± {100 * difference['standardError'] / final[score]:.1f}")
        else:
            cells.append("")
    cells.append(f"{entry['layersPerToken']:.2f}")
    cells += [f"{entry.get(key, 1):.2f}x" for key in SPEED_UPS]
    cells.append("" if clock is None else f"{clock:.2f}x")
    return cells


def policy_table(results: Mapping[str, Any], timing: Mapping[str, Any], split: str) -> str:
    """Markdown: the full decoder, then what was generated on held-out images, by rule."""
    header = ["policy", *SCORES, "BLEU-4 ±", "CIDEr ±", "layers a token", *SPEED_UPS.values(), "clock"]
    final = results["final"][split]
    rows = [policy_row("full decoder", final, final, 1.0 if timing else None)]
    for name, splits in results["heldOut"].items():
        clock = timing.get(name, {}).get("speedUp")
        rows.append(policy_row(name, splits[split], final, clock))
    return markdown(header, rows)


def search_table(results: Mapping[str, Any]) -> str:
    """Markdown: every candidate on the tune half."""
    final = results["final"]["tune"]
    rows = []
    for name, entry in results["tune"].items():
        lost = [percent(entry[score] / final[score] - 1) for score in ("BLEU-4", "CIDEr")]
        speed = [f"{entry[key]:.2f}x" for key in SPEED_UPS]
        rows.append([name, *lost, *speed])
    return markdown(["candidate", "BLEU-4", "CIDEr", *SPEED_UPS.values()], rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(decoded(path))
    except json.JSONDecodeError as error:
        raise CaptionError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(content, dict):
        raise CaptionError(f"{path}: expected an object, as compare.py writes it")
    return content


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The tables of the README from results.")
    parser.add_argument("results", type=Path, help="what compare.py wrote")
    parser.add_argument("timing", type=Path, nargs="?", help="what generate.py --time wrote")
    parser.add_argument("--split", choices=("certify", "test"), default="test")
    options = parser.parse_args(arguments)
    try:
        results = read_json(options.results)
        timing = read_json(options.timing) if options.timing else {}
        print(policy_table(results, timing, options.split))
        print("\nOn the tune half:\n")
        print(search_table(results))
    except CaptionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"error: {options.results}: no {error}; expected what compare.py writes", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
