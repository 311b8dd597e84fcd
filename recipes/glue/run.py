"""From GLUE's files to the tables of the README, in one command.

    python run.py --data GLUE-FOLDER --model FOLDER-OR-HUB-ID --work FOLDER [sst2] [rte] [mrpc] [cola] [qnli]
    python run.py --variant mpnet --limit 2000 --data ... --model all-mpnet-base-v2 --work ... sst2

For each task: draw the splits (`prepare.py`), fine-tune (`finetune.py`), extract features (`beem-policy extract`), train
heads, certify one policy, tune the rules that are compared with it on tune alone, and measure all of them on test. The
samples and encoders go to `--work`, which lies outside the repository; features to the task's folder, where git ignores
them; heads, policy and error rates to `checkpoints/glue/<task>`; results to `<task>/results.json` and `README.md`.

A second encoder is a variant: `--variant mpnet` takes the recipe of `<task>-mpnet` and leaves its heads, results and
features under that name. `--limit` draws so many train rows, for fine-tuning and heads alike.

What was done before from the same inputs is not done again: samples, encoders and features. If an encoder was made with
other settings, the run stops and says so.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from limit import LimitError, limit_train, limited_file
from policies import (
    BEEM_A,
    CANDIDATES,
    COMPARED,
    CommandError,
    Point,
    Tuning,
    call,
    certify_in_order,
    digest,
    fastest_without_loss,
    slowest_at,
)
from prepare import HELD_OUT, digests
from results import Decisions, Labels, certificate_line, exits_line, measure, table, tables_by_backbone

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CODE = {name: place for place, name in enumerate(("train", *HELD_OUT))}

# The gaps of SST-2's one policy, in this order, and how fast it has to be on tune.
GAPS = (0.02, 0.01, 0.005, 0.0)
SPEED_UP = 1.5


@dataclass(frozen=True)
class Task:
    """A task's name in tables, its folder in GLUE, epochs of fine-tuning, classes (the last is the one F1 is of)."""

    title: str
    folder: str
    epochs: int
    classes: tuple[str, str]
    has_pairs: bool = False


TASKS = {
    "sst2": Task("SST-2", "SST-2", 3, ("negative", "positive")),
    "rte": Task("RTE", "RTE", 6, ("not_entailment", "entailment"), has_pairs=True),
    "mrpc": Task("MRPC", "MRPC", 5, ("not_equivalent", "equivalent"), has_pairs=True),
    "cola": Task("CoLA", "CoLA", 5, ("unacceptable", "acceptable")),
    "qnli": Task("QNLI", "QNLI", 4, ("not_entailment", "entailment"), has_pairs=True),
}


class StepError(Exception):
    """A step cannot go on from what it found."""


@dataclass(frozen=True)
class Steps:
    """Where everything of one task lies, and the steps, in order."""

    name: str
    options: argparse.Namespace

    @property
    def task(self) -> Task:
        return TASKS[self.name]

    @property
    def place(self) -> str:
        """What the folders of the task are called: its name, and the variant's, if it is one."""
        return self.name if self.options.variant is None else f"{self.name}-{self.options.variant}"

    @property
    def folder(self) -> Path:
        return HERE / self.place

    @property
    def all_samples(self) -> Path:
        return Path(self.options.work) / "samples" / f"{self.name}.jsonl"

    @property
    def samples(self) -> Path:
        """What is learned and measured from: all samples, or those with the train rows of `--limit`."""
        limit = self.options.limit
        return self.all_samples if limit is None else limited_file(self.all_samples, limit)

    @property
    def encoder(self) -> Path:
        return Path(self.options.work) / "encoders" / self.place

    @property
    def features(self) -> Path:
        return self.folder / "features.safetensors"

    @property
    def checkpoint(self) -> Path:
        return REPOSITORY / "checkpoints" / "glue" / self.place

    def prepare(self) -> None:
        """Draw the splits, unless they were drawn from the same files; then the train rows of `--limit`."""
        self.draw()
        if self.options.limit is not None:
            limit_train(self.all_samples, self.options.limit, self.options.seed)

    def draw(self) -> None:
        report = self.all_samples.with_suffix(".json")
        if self.all_samples.is_file() and report.is_file():
            known = json.loads(report.read_text(encoding="utf-8"))
            if known["files"] == digests(self.options.data / self.task.folder) and known["seed"] == self.options.seed:
                return self.say("samples are there")
        self.say("drawing the splits")
        self.python(
            "prepare.py",
            self.name,
            "--data",
            self.options.data,
            "--output",
            self.all_samples.parent,
            "--seed",
            self.options.seed,
        )
        return None

    def finetune(self) -> None:
        """Fine-tune, unless there is an encoder that was made from the same samples with the same settings."""
        epochs = self.task.epochs
        report = self.encoder / "finetuning.json"
        if report.is_file():
            known = json.loads(report.read_text(encoding="utf-8"))
            saw = (
                known["model"].rpartition("/")[2],
                known["data"]["sha256"],
                known["settings"]["epochs"],
                known["settings"]["seed"],
            )
            expected = (last_part(self.options.model), digest(self.samples), epochs, self.options.seed)
            if saw != expected:
                raise StepError(
                    f"{report}: was made from model, samples, epochs and seed {saw}, expected {expected}; "
                    "remove the folder to train again, or name a --variant"
                )
            return self.say("encoder is there")
        self.say("fine-tuning")
        self.python(
            "finetune.py", "--model", self.options.model, "--data", self.samples, "--output", self.encoder,
            "--epochs", epochs, "--seed", self.options.seed, "--compute", self.options.compute, *self.threads,
        )  # fmt: skip
        return None

    @property
    def threads(self) -> list[str]:
        return [] if self.options.threads is None else ["--threads", str(self.options.threads)]

    def extract(self, samples: Path, features: Path) -> None:
        """Extract features, unless they are there from the same samples and encoder."""
        inputs = {"samples": digest(samples), "encoder": digest(self.encoder / "model.safetensors")}
        if self.options.extract_compute != "f32":
            inputs["compute"] = self.options.extract_compute
        stamp = features.with_suffix(".inputs.json")
        if features.is_file() and stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == inputs:
            return self.say(f"{features.name} is there")
        self.say(f"extracting {features.name}")
        stamp.unlink(missing_ok=True)
        pair = ["--pair-column", "pair"] if self.task.has_pairs else []
        # Without --group-column: every group has one row in tune, certify and test, and train is not tested.
        call(
            [self.options.beem_policy, "extract", "--model", self.encoder, "--data", samples, *pair]
            + ["--split-column", "split", "--classes", *self.task.classes, "--output", features]
            + ["--backbone", f"{self.options.backbone}, fine-tuned on {self.task.title}, mean pooling"]
            + ["--compute", self.options.extract_compute, *self.threads]
        )
        stamp.write_text(json.dumps(inputs) + "\n", encoding="utf-8")
        return None

    def say(self, what: str) -> None:
        print(f"{self.place}: {what}", file=sys.stderr, flush=True)

    def python(self, script: str, *arguments: object) -> None:
        done = subprocess.run(
            [sys.executable, HERE / script, *map(str, arguments)], stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise CommandError(f"{script}: ended with exit code {done.returncode}")


class Cache:
    """The labels, splits and metadata of a feature cache."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="numpy") as file:
            self.labels: Labels = file.get_tensor("labels").astype(np.int64)
            self.split = file.get_tensor("split")
            self.metadata: dict[str, Any] = dict(file.metadata()) | {"sha256": digest(path)}
        self.layers = len(json.loads(self.metadata["exits"]))


@dataclass(frozen=True)
class Measurer:
    """Applies policies to one split of a cache and measures them against the final layer."""

    beem: Path
    cache: Cache
    split: str | None
    never: Path

    def decisions(self, policy: Path) -> Decisions:
        split = [] if self.split is None else ["--split", self.split]
        return Decisions.parse(call([self.beem, "apply", policy, self.cache.path, *split]))

    def of(self, policy: Path) -> dict[str, Any]:
        final, own = self.decisions(self.never), self.decisions(policy)
        return measure(own, final, self.cache.labels[own.samples], self.cache.layers, positive=1).json()


def choose_on_tune(tuning: Tuning, cache: Cache) -> tuple[str, Path]:
    """SST-2's one policy: under each rule the slowest that is fast enough on tune; of these the one with the lowest gap."""
    chosen: list[tuple[float, float, str, Path]] = []
    for rule in CANDIDATES:
        point = slowest_at(tuning.frontier(rule), SPEED_UP)
        if point is not None:
            chosen.append((point.gap, -point.speed_up, rule.name, tuning.write_policy(rule, point, cache.metadata)))
    if not chosen:
        raise StepError(f"no rule reaches {SPEED_UP}x on tune")
    _, _, name, path = min(chosen)
    return name, path


def certified(steps: Steps, tuning: Tuning, cache: Cache) -> tuple[str, Path, dict[str, Any]]:
    """The one policy that looks at certify: its name, its file, and what was tested."""
    if steps.name != "sst2":
        call([tuning.beem, "run", tuning.recipe, "--quiet"])
        path = steps.checkpoint / "policy.json"
        policy = json.loads(path.read_text(encoding="utf-8"))
        return "certified (auto)", path, {"certificate": policy["certificate"], "rule": policy["rule"]}
    name, chosen = choose_on_tune(tuning, cache)
    path = steps.checkpoint / "policy.json"
    shutil.copyfile(chosen, path)  # beside the heads; the log of uses is then that of the checkpoints
    tests = certify_in_order(tuning.beem, path, cache.path, GAPS)
    if tests[0]["isCertified"]:
        path.with_name("certified.json").replace(path)
    verified = json.loads(call([tuning.beem, "verify", path, cache.path, "--split", "test", "--json"], (0, 1)))
    policy = json.loads(path.read_text(encoding="utf-8"))
    notes = {"certificate": policy["certificate"], "rule": policy["rule"], "chosen": name}
    return "certified", path, notes | {"gapsTested": tests, "verify": verified}


def smallest_gap(beem: Path, point: Point, tune: int, samples: int) -> float:
    """The smallest gap that so many certify samples can show with a power of 0.8, at the flip rates seen on tune."""
    rates = ["--harmful", str(point.harmful / tune), "--helpful", str(point.helpful / tune)]
    plan = json.loads(call([beem, "plan", *rates, "--samples", str(samples), "--json"]))
    return float(plan["smallestAllowedGap"])


def results_of(steps: Steps) -> dict[str, Any]:
    """Heads, policies and measurements of a task whose features are there."""
    beem, cache = steps.options.beem, Cache(steps.features)
    recipe = steps.folder / "recipe.yaml"
    steps.checkpoint.mkdir(parents=True, exist_ok=True)
    tuning = Tuning(
        beem, recipe, steps.checkpoint / "heads.safetensors", Path(steps.options.work) / "rules" / steps.place
    )
    if steps.name == "sst2":
        call([beem, "train", recipe, "--quiet"])
        first = None
    else:
        first = certified(steps, tuning, cache)  # trains the heads too

    never = tuning.write_policy(BEEM_A, None, cache.metadata)
    never = never.rename(never.with_name("never.json"))
    test = Measurer(beem, cache, "test", never)
    tune = Measurer(beem, cache, "tune", never)
    other = Cache(steps.folder / "features-elsewhere.safetensors") if steps.name == "cola" else None
    measurers = {"test": test, "tune": tune} | ({"elsewhere": Measurer(beem, other, None, never)} if other else {})

    rules: dict[str, dict[str, Any]] = {"final layer": {key: by.of(never) for key, by in measurers.items()}}
    planned = 0.0
    for rule in COMPARED:
        point = fastest_without_loss(tuning.frontier(rule))
        path = tuning.write_policy(rule, point, cache.metadata)
        rules[rule.name] = {key: by.of(path) for key, by in measurers.items()}
        if rule is BEEM_A and point is not None:
            planned = smallest_gap(
                beem, point, int(np.sum(cache.split == CODE["tune"])), int(np.sum(cache.split == CODE["certify"]))
            )
    name, path, notes = first or certified(steps, tuning, cache)
    rules["certified"] = {key: by.of(path) for key, by in measurers.items()}

    exits = []
    for place in range(cache.layers):
        static = Point(None, place + 1, 0, 0, 0, 0)
        path = tuning.write_policy(COMPARED[0], static, cache.metadata)
        exits.append(test.of(path)["accuracy"])
    report = json.loads(steps.samples.with_suffix(".json").read_text(encoding="utf-8"))
    finetuning = json.loads((steps.encoder / "finetuning.json").read_text(encoding="utf-8"))
    return {
        "task": steps.name,
        "title": steps.task.title,
        "backbone": steps.options.backbone,
        **variant_notes(steps.options),
        "exits": exits,
        "rules": rules,
        **notes,
        "certifiedAs": name,
        "smallestPlannedGap": planned,
        "samples": {key: report[key] for key in report if key != "task"},
        "finetuning": finetuning,
        **({"elsewhere": report["elsewhere"]} if other else {}),
    }


def variant_notes(options: argparse.Namespace) -> dict[str, Any]:
    """What the results of a variant say about themselves; nothing of the encoder without a name."""
    if options.variant is None:
        return {}
    return {"variant": options.variant, "limit": options.limit, "extractCompute": options.extract_compute}


def last_part(model: str) -> str:
    """What an encoder is called: the name of its folder, or the last part of its id on the hub."""
    if Path(model).is_dir():
        return Path(model).resolve().name
    return model.rstrip("/").rpartition("/")[2]


def page(results: dict[str, Any]) -> str:
    """The task's README."""
    splits = ", ".join(f"{name} {part['rows']:,}" for name, part in results["samples"]["splits"].items())
    counts = "\n".join(f"| {what} | {count:,} |" for what, count in results["samples"]["counts"].items())
    tested = "".join(
        f"- {100 * gap['allowedGap']:g} points: {'certified' if gap['isCertified'] else 'not certified'} "
        f"(p = {gap['pValue']:.2g}, {gap['harmfulFlips']} harmful and {gap['helpfulFlips']} helpful flips of {gap['samples']:,})\n"
        for gap in results.get("gapsTested", [])
    )
    # The exits of an encoder in bf16 are not quite those of one in F32, and the certificate is about what was measured.
    computed = " Features are those of the encoder in bf16." if results.get("extractCompute") == "bf16" else ""
    verdict = ""
    if "verify" in results:
        found = results["verify"]
        verdict = (
            f"\nGaps tested in order, each at 0.05, for the one policy chosen on tune ({results['chosen']}):\n\n{tested}\n"
            f"`beem verify` on the {found['samples']:,} test sentences: {found['verdict']}; error {100 * found['error']:.2f} % "
            f"against {100 * found['finalError']:.2f} %, interval of the gap {100 * found['gapInterval'][0]:+.2f} to "
            f"{100 * found['gapInterval'][1]:+.2f} points.\n"
        )
    return (
        f"# {results['title']}{', ' + results['backbone'] if 'variant' in results else ''}\n\nWritten by `recipes/glue/run.py`; how, is in [the folder above](../README.md).\n\n"
        f"{results['backbone']}, fine-tuned on the train split, frozen. {splits}.{computed}\n\n"
        f"{table(results['task'], results)}\n"
        f"{exits_line(results)}\n\n{certificate_line(results)}\n{verdict}\n"
        f"At the flip rates of tuned BEEM-A on tune the certify split can show gaps from "
        f"{100 * results['smallestPlannedGap']:.2f} points (`beem plan`, power 0.8).\n\n"
        f"## Samples\n\n| what | count |\n|---|---|\n{counts}\n"
    )


def everything(folder: Path) -> list[dict[str, Any]]:
    """The results of all tasks, then of all variants, in the order of the tasks."""
    found = [folder / name / "results.json" for name in TASKS]
    found += [path / "results.json" for name in TASKS for path in sorted(folder.glob(f"{name}-*"))]
    return [json.loads(path.read_text(encoding="utf-8")) for path in found if path.is_file()]


def update_readme() -> None:
    """Put the tables of all tasks and variants that have results between the marks of README.md."""
    readme = HERE / "README.md"
    begin, end = "<!-- results: written by run.py -->\n", "<!-- end of results -->"
    text = readme.read_text(encoding="utf-8")
    body = tables_by_backbone(everything(HERE))
    readme.write_text(
        re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + body + end, text, flags=re.DOTALL),
        encoding="utf-8",
    )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Reproduce the tables of recipes/glue from GLUE's files.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; all where none is named")
    parser.add_argument("--data", type=Path, required=True, help="the folder with GLUE's folders")
    parser.add_argument("--model", required=True, help="a folder with the encoder, or its id on the hub")
    parser.add_argument(
        "--work", type=Path, required=True, help="where samples and encoders go; outside the repository"
    )
    parser.add_argument("--backbone", help="what to call the encoder (default: the last part of --model)")
    parser.add_argument("--beem", type=Path, default=REPOSITORY / ".build" / "release" / "beem", help="the command")
    parser.add_argument("--beem-policy", default="beem-policy", help="the command of the Python package")
    parser.add_argument("--seed", type=int, default=7, help="of the splits and of fine-tuning")
    parser.add_argument("--variant", help="of a second encoder: recipe and results are those of <task>-<variant>")
    parser.add_argument("--limit", type=int, help="draw so many train rows; encoder and heads learn from these alone")
    parser.add_argument("--compute", choices=("f32", "bf16"), default="bf16", help="of fine-tuning")
    parser.add_argument("--extract-compute", choices=("f32", "bf16"), default="f32", help="of the features")
    parser.add_argument("--threads", type=int, help="of fine-tuning and extraction on a CPU (default: theirs)")
    parser.add_argument("--until", choices=("samples", "encoders", "features", "results"), default="results")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.tasks if name not in TASKS]
    if unknown:
        parser.error(f"unknown task {unknown[0]!r}; expected {', '.join(TASKS)}")
    if options.backbone is None:
        options.backbone = last_part(options.model)
    if options.variant is not None and not re.fullmatch(r"[a-z0-9]+", options.variant):
        parser.error(f"--variant: expected small letters and digits, saw {options.variant!r}")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit: expected a number from 1, saw {options.limit}")
    return options


def run(options: argparse.Namespace) -> None:
    for name in options.tasks or TASKS:
        steps = Steps(name, options)
        recipe = steps.folder / "recipe.yaml"
        if not recipe.is_file():
            raise StepError(f"{recipe}: is not there; a variant needs a recipe for each task that is named")
        steps.prepare()
        if options.until == "samples":
            continue
        steps.finetune()
        if options.until == "encoders":
            continue
        steps.extract(steps.samples, steps.features)
        if name == "cola":
            elsewhere = steps.samples.with_name("cola-elsewhere.jsonl")
            steps.extract(elsewhere, steps.folder / "features-elsewhere.safetensors")
        if options.until == "features":
            continue
        results = results_of(steps)
        (steps.folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        (steps.folder / "README.md").write_text(page(results), encoding="utf-8")
        print(f"{steps.task.title}\n{table(name, results)}\n{certificate_line(results)}\n")
    if options.until == "results":
        update_readme()


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        run(options)
    except (CommandError, StepError, LimitError, OSError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run.py: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
