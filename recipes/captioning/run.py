"""From a data set's files to the tables of the README, in one command.

    python run.py --data FLICKR8K-FOLDER --work FOLDER

Grid features, the captioner, low-rank heads, all candidates on tune, the chosen ones on the test images, one use of the
certify half, time on the clock, a page of samples, and the tables between the marks of README.md. Results go to
`results.json` and `timing.json` beside this file, what was certified to `checkpoints/captioning/<name>`; everything that holds
words or images of the data set stays in `--work`, which lies outside the repository.

What was done before from the same inputs is not done again; a training or a comparison that was interrupted goes on. A
second certificate from the same certify half would not be worth the name: where there is one of other losses, the run stops.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy.safetensors_file import SafetensorsFile
from beem_policy.whole_file import write_text
from captions import CaptionError, read_captions
from script import run
from tables import certificate_text, chosen_table, clock_text, policy_table, read_json, search_table, table_rows

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
STEPS = ("features", "captioner", "heads", "comparison", "certificate", "timing", "page", "tables")

# Fixed before anything was certified.
ALLOWED_GAP = 0.02
LOSS = "1 - smoothed sentence BLEU-4"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_average() -> float | None:
    """How many processes wanted a core in the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def digest_of_captions(data: Path) -> str:
    """Of names, splits and captions, whatever files they come from."""
    text = json.dumps([[image.name, image.split, image.captions] for image in read_captions(data)])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """Where everything lies, and the steps, in order."""

    options: argparse.Namespace

    @property
    def work(self) -> Path:
        return Path(self.options.work)

    @property
    def features(self) -> Path:
        return self.work / "grid.safetensors"

    @property
    def captioner(self) -> Path:
        return self.work / "run" / "captioner.safetensors"

    @property
    def heads(self) -> Path:
        return self.work / f"heads-{self.options.rank}.safetensors"

    @property
    def results(self) -> Path:
        return Path(self.options.results)

    @property
    def timing_file(self) -> Path:
        return self.results.with_name("timing.json")

    @property
    def checkpoint(self) -> Path:
        return Path(self.options.checkpoints) / str(self.options.name)

    @property
    def losses(self) -> Path:
        return self.checkpoint / "losses.csv"

    @property
    def policies(self) -> Path:
        return self.work / "policies"

    # --- steps

    def make_features(self) -> None:
        """Grid features, unless those of the same images are there."""
        if self.features.is_file():
            names = json.loads(SafetensorsFile.open(str(self.features)).metadata["images"])
            if names == [image.name for image in read_captions(self.options.data)]:
                return self.say("features are there")
        images = ["--images", *self.options.images] if self.options.images else []
        return self.python("features.py", "--captions", self.options.data, *images, "--output", self.features)

    def make_captioner(self) -> None:
        """The captioner: `train.py` goes on where it was, and has nothing to do where it was done."""
        self.python(
            "train.py", "--captions", self.options.data, "--features", self.features,
            "--output", self.captioner.parent, "--epochs", self.options.epochs,
        )  # fmt: skip

    def make_heads(self) -> None:
        inputs = {"captioner": digest(self.captioner), "rank": self.options.rank, "layers": self.options.layers}
        if self.is_there(self.heads, inputs):
            return self.say("heads are there")
        self.python(
            "heads.py", *self.inputs(), "--layers", *self.options.layers, "--rank", self.options.rank,
            "--output", self.heads,
        )  # fmt: skip
        return self.stamp(self.heads, inputs)

    def compare(self) -> None:
        """All candidates; captions that are there are not made again, nor results of the same candidates."""
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        losses = self.work / "losses.csv"
        inputs = {"captioner": digest(self.captioner), "heads": digest(self.heads)}
        inputs |= {"candidates": digest(self.options.candidates), "captions": digest_of_captions(self.options.data)}
        if self.results.is_file() and self.is_there(losses, {**inputs, "results": digest(self.results)}):
            return self.say("results are there")
        self.python(
            "compare.py", *self.inputs(), "--heads", self.heads, "--candidates", self.options.candidates,
            "--work", self.work / "captions", "--results", self.results, "--losses", losses,
            "--policies", self.policies,
        )  # fmt: skip
        return self.stamp(losses, {**inputs, "results": digest(self.results)})

    def certify(self) -> None:
        """One use of the certify half."""
        table, report = self.work / "losses.csv", self.checkpoint / "certificate.json"
        if report.is_file():
            known = read_json(report)["losses"]
            if known == digest(table):
                return self.say("certificate is there")
            raise CaptionError(
                f"{report}: speaks of other losses (SHA-256 {known}, expected {digest(table)}); another certificate from the "
                "same images would not hold its level: take new images, or say --until comparison. For a captioner of your "
                "own, beside the repository's, name another folder with --checkpoints"
            )
        # The table stands beside the policy, so that the certificate can be repeated without the data set.
        write_text(self.losses, table.read_text(encoding="utf-8"))
        policy = self.checkpoint / "policy.json"
        found = self.beem(
            "certify", "--losses", self.losses, "--loss-name", LOSS, "--unit", "image", "--sequences", "--full-cost", 1,
            "--allowed-gap", ALLOWED_GAP, "--policies", self.policies / "{candidate}.json", "--output", policy, "--json",
        )  # fmt: skip
        return write_text(report, json.dumps({"losses": digest(table), **found}, indent=1) + "\n")

    def time(self) -> None:
        """The table's policies one image at a time, in turns."""
        names = table_names(read_json(self.results), certified_candidate(self.checkpoint))
        files = [self.policies / f"{name}.json" for name in names]
        inputs = {"heads": digest(self.heads), "policies": {path.name: digest(path) for path in files}}
        inputs |= {"captioner": digest(self.captioner), "images": self.options.timed_images}
        if self.timing_file.is_file() and read_json(self.timing_file).get("inputs") == inputs:
            return self.say("timing is there")
        raw, load = self.work / "timing.json", load_average()
        self.python(
            "generate.py", "--captioner", self.captioner, "--features", self.features, "--heads", self.heads,
            "--policy", *files, "--time", self.options.timed_images, "--output", raw,
        )  # fmt: skip
        content = {**read_json(raw), "loadAverage": [load, load_average()], "inputs": inputs}
        return write_text(self.timing_file, json.dumps(content, indent=1) + "\n")

    def show(self) -> None:
        """The page of samples, with the certified policy, or the best one on tune where none was certified."""
        name = certified_candidate(self.checkpoint) or best_of(read_json(self.results))
        policy = self.checkpoint / "policy.json"
        if not policy.is_file():
            policy = self.policies / f"{name}.json"
        images = ["--images", *self.options.images] if self.options.images else []
        self.python("page.py", *self.inputs(), *images, "--heads", self.heads, "--policy", policy,
                    "--output", self.work / "page.html")  # fmt: skip
        self.say(f"{self.work / 'page.html'} shows samples")

    def tabulate(self) -> None:
        """The tables between the marks of the README."""
        results, timing = read_json(self.results), read_json(self.timing_file)
        report = self.checkpoint / "certificate.json"
        certificate = read_json(report) if report.is_file() else None
        name = certified_candidate(self.checkpoint)
        body = "\n\n".join(
            [
                policy_table(results, timing, table_rows(results, name)),
                clock_text(timing),
                chosen_table(results, name),
                certificate_text(certificate),
            ]
        )
        readme = Path(self.options.readme)
        text = replaced(readme.read_text(encoding="utf-8"), "results", body)
        text = replaced(text, "search", search_table(results))
        write_text(readme, text)

    # --- help

    def inputs(self) -> list[object]:
        return ["--captioner", self.captioner, "--captions", self.options.data, "--features", self.features]

    @staticmethod
    def is_there(path: Path, inputs: Mapping[str, object]) -> bool:
        stamp = path.with_suffix(".inputs.json")
        return path.is_file() and stamp.is_file() and read_json(stamp) == inputs

    @staticmethod
    def stamp(path: Path, inputs: Mapping[str, object]) -> None:
        write_text(path.with_suffix(".inputs.json"), json.dumps(inputs) + "\n")

    @staticmethod
    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    def python(self, script: str, *arguments: object) -> None:
        self.say(script)
        command = [sys.executable, str(HERE / script), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise CaptionError(f"{script}: ended with exit code {done.returncode}")

    def beem(self, *arguments: object) -> dict[str, Any]:
        self.say(f"beem {arguments[0]}")
        command = [str(self.options.beem), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise CaptionError(f"beem {arguments[0]}: ended with exit code {done.returncode}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


# --- what the tables show ------------------------------------------------------------------------------------------


def certified_candidate(checkpoint: Path) -> str | None:
    """The candidate of the certificate, where there is one."""
    report = checkpoint / "certificate.json"
    if not report.is_file():
        return None
    name = read_json(report).get("candidate")
    return None if name is None else str(name)


def best_of(results: Mapping[str, Any]) -> str:
    """Of the chosen ones the one with the smallest loss of BLEU-4 and CIDEr on tune."""
    final = results["final"]["tune"]

    def loss(name: str) -> float:
        entry = results["tune"][name]
        return float(max(1 - entry[metric] / final[metric] for metric in ("BLEU-4", "CIDEr")))

    names = list(results["chosen"].values())
    if not names:
        raise CaptionError("nothing was fast enough on tune")
    return str(min(names, key=loss))


def table_names(results: Mapping[str, Any], certified: str | None) -> list[str]:
    return list(dict.fromkeys(table_rows(results, certified).values()))


def replaced(text: str, mark: str, body: str) -> str:
    """The text with `body` between the marks of that name."""
    begin, end = f"<!-- {mark}: written by run.py -->\n", f"<!-- end of {mark} -->"
    if begin not in text or end not in text:
        raise CaptionError(f"README.md: no lines {begin.strip()!r} and {end!r}; expected both, tables go between them")
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: f"{begin}{body}\n{end}", text, flags=re.DOTALL)


# --- the command ---------------------------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Reproduce the tables of recipes/captioning from a data set's files.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="Flickr8k's folder, or COCO's JSON or folder of it")
    parser.add_argument("--images", type=Path, nargs="+", help="folders or tar archives; where not beside the captions")
    parser.add_argument(
        "--work", type=Path, required=True, help="for features, captioner, captions; outside the repository"
    )
    parser.add_argument("--name", default="flickr8k", help="of the data set: the folder of what is certified")
    parser.add_argument("--beem", type=Path, default=REPOSITORY / ".build" / "release" / "beem", help="the command")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 7], help="with low-rank heads")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--candidates", type=Path, default=HERE / "candidates.json")
    parser.add_argument("--timed-images", type=int, default=100)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    parser.add_argument("--checkpoints", type=Path, default=REPOSITORY / "checkpoints" / "captioning")
    parser.add_argument("--readme", type=Path, default=HERE / "README.md")
    parser.add_argument("--until", choices=STEPS, default=STEPS[-1])
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    this = Run(options)
    steps = (
        this.make_features, this.make_captioner, this.make_heads, this.compare, this.certify, this.time, this.show,
        this.tabulate,
    )  # fmt: skip
    for step in steps[: STEPS.index(options.until) + 1]:
        step()


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        return run(lambda: work(options))
    except KeyboardInterrupt:
        print("run.py: interrupted; what was finished is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
