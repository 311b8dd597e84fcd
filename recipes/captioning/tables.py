"""The tables of the README from results: python tables.py results.json [timing.json]"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from captions import CaptionError, decoded
from script import run

SCORES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr")
SPEED_UPS = {
    "layersPerTokenSpeedUp": "layers",
    "tokenMultiplyAddsPerCaptionSpeedUp": "multiply-adds, layers and heads",
    "multiplyAddsPerCaptionSpeedUp": "multiply-adds, with the image's",
}


ROWS = {
    "static": "static",
    "beem-accuracy": "BEEM-A",
    "beem-cost": "BEEM-C",
    "max-probability": "maximum probability",
    "patience": "patience",
}
"""Titles of the rules."""


def table_rows(results: Mapping[str, Any], certified: str | None) -> dict[str, str]:
    """Row titles and the candidates they show: truncated decoders, the chosen of every rule, the certified one."""
    rows = {f"truncated after layer {name.rpartition('-')[2]}": name for name in results["truncated"]}
    rows |= {title: results["chosen"][rule] for rule, title in ROWS.items() if rule in results["chosen"]}
    if certified is not None:
        rows["certified"] = certified
    return rows


def percent(value: float) -> str:
    return f"{100 * value:+.1f} %"


def policy_row(name: str, entry: Mapping[str, Any], final: Mapping[str, Any], clock: float | None) -> list[str]:
    """A policy on the test images: scores, what of BLEU-4 and CIDEr is lost or won, with paired errors, speed-ups."""
    cells = [name, *(f"{entry[score]:.3f}".lstrip("0") for score in SCORES)]
    for score in ("BLEU-4", "CIDEr"):
        if "difference" in entry:
            difference = entry["difference"][score]
            relative = percent(difference["difference"] / final[score])
            cells.append(f"{relative} ± {100 * difference['standardError'] / final[score]:.1f}")
        else:
            cells.append("")
    cells += [f"{entry.get(key, 1):.2f}x" for key in SPEED_UPS]
    cells.append("" if clock is None else f"{clock:.2f}x")
    return cells


def policy_table(results: Mapping[str, Any], timing: Mapping[str, Any], rows: Mapping[str, str]) -> str:
    """Markdown: the full decoder, then the candidates of `rows` (by title) on the test images."""
    header = ["policy", *SCORES, "BLEU-4 against full", "CIDEr against full", *SPEED_UPS.values(), "clock"]
    final = results["final"]["test"]
    lines = [policy_row("full decoder", final, final, 1.0 if timing else None)]
    for title, name in rows.items():
        clock = timing.get(name, {}).get("speedUp")
        lines.append(policy_row(title, results["test"][name], final, clock))
    return markdown(header, lines)


def chosen_table(results: Mapping[str, Any], certified: str | None) -> str:
    """Markdown: what was chosen, and on the tune half what it lost and how fast it was."""
    final = results["final"]["tune"]
    rows = []
    for title, name in table_rows(results, certified).items():
        if name in results["truncated"] and title.startswith("truncated"):
            continue
        row, entry = results["candidates"][name], results["tune"][name]
        layers = " ".join(map(str, row["layers"]))
        end = "" if row["deepest"] is None else f", no token deeper than {row['deepest']}"
        heads = "full" if row["rank"] is None else f"rank {row['rank']}"
        threshold = "" if row["rule"] == "static" else f"{row['threshold']:g}"
        lost = [percent(entry[score] / final[score] - 1) for score in ("BLEU-4", "CIDEr")]
        rows.append(
            [title, ROWS[row["rule"]], layers + end, heads, threshold, *lost, f"{entry['layersPerTokenSpeedUp']:.2f}x"]
        )
    return markdown(
        ["row", "rule", "exits after layers", "heads", "threshold", "BLEU-4 on tune", "CIDEr on tune", "layers"], rows
    )


def certificate_text(report: Mapping[str, Any] | None) -> str:
    """What `beem certify --losses` said, in a sentence or two."""
    if report is None:
        return "Nothing was certified."
    tested = sum(candidate["isTested"] for candidate in report["candidates"])
    if report["certificate"] is None:
        return f"Nothing could be certified; {tested} candidates were tested."
    certificate, seen = report["certificate"], report["certify"]
    return (
        f"Certified: {report['candidate']}. Over images like the {certificate['samples']} certify images the mean of "
        f"{certificate['measuredLoss']['name']} is at most {certificate['allowedGap']:g} above the full decoder's (failure "
        f"probability {certificate['failureProbability']:g}, p = {certificate['pValue']:.2g}, {tested} candidates tested in the "
        f"order of tune). Seen on certify: {seen['loss']:.4f} against {seen['referenceLoss']:.4f}, {seen['worse']} images worse "
        f"and {seen['better']} better, {seen['speedUp']:.2f}x in multiply-adds with the image's."
    )


def clock_text(timing: Mapping[str, Any]) -> str:
    """Under which conditions the clock was read."""
    images, load = timing["inputs"]["images"], timing["loadAverage"]
    busy = "" if None in load else f" Load average of the machine: {load[0]:g} before, {load[1]:g} after."
    return (
        f"The clock: {images} test images one at a time, two threads; {1000 * timing['final']['secondsPerCaption']:.0f} ms a "
        f"caption for the full decoder, without the image network. Policies take turns image by image, and the best of three "
        f"rounds counts.{busy}"
    )


def search_table(results: Mapping[str, Any]) -> str:
    """Markdown: every candidate on the tune half."""
    final = results["final"]["tune"]
    rows = []
    for name, entry in results["tune"].items():
        lost = []
        for score in ("BLEU-4", "CIDEr"):
            error = entry["difference"][score]["standardError"] / final[score]
            lost.append(f"{percent(entry[score] / final[score] - 1)} ± {100 * error:.1f}")
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
    options = parser.parse_args(arguments)

    def work() -> None:
        results = read_json(options.results)
        timing = read_json(options.timing) if options.timing else {}
        try:
            print(policy_table(results, timing, table_rows(results, None)))
            print(f"\nChosen on the tune half:\n\n{chosen_table(results, None)}")
            print(f"\nAll candidates on the tune half:\n\n{search_table(results)}")
        except KeyError as error:
            raise CaptionError(f"{options.results}: no {error}; expected what compare.py writes") from None

    return run(work)


if __name__ == "__main__":
    sys.exit(main())
