"""From GLUE's files to one JSON Lines file per task, with all four splits drawn before anything is trained.

    python prepare.py --data GLUE-FOLDER --output FOLDER [sst2] [rte] [mrpc] [cola] [qnli]

`GLUE-FOLDER` holds the folders SST-2, RTE, MRPC, CoLA, QNLI with the files that `tables.py` lists. Written are, for
each task, `<task>.jsonl` with a row `{"text", "pair", "label", "split", "group"}` per sample (`pair` where the task has
pairs) and `<task>.json`, which counts what was kept and what was left out. The same files and seed give the same bytes.

A group is what shares a sentence (or a question). It never crosses splits. In tune, certify and test one row of each
group is kept, drawn: rows there are then independent as far as the files tell, and the exact tests apply.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from draw import connected, divide, draw_key, majority, words
from sentences import TELLING, SpanIndex, Tokens, fold, found_within, maximal, origins
from tables import (
    Row,
    TableError,
    first_there,
    read_cola,
    read_mrpc,
    read_qnli,
    read_rte,
    sentiment,
    unlabelled_sentences,
)

SPLITS = ("train", "tune", "certify", "test")
HELD_OUT = SPLITS[1:]


@dataclass(frozen=True)
class Sample:
    """A row of the result."""

    text: str
    label: str
    split: str
    group: int
    pair: str | None = None

    def json(self) -> str:
        value = {"text": self.text, "pair": self.pair, "label": self.label, "split": self.split, "group": self.group}
        return json.dumps({name: part for name, part in value.items() if part is not None}, ensure_ascii=False)


@dataclass
class Prepared:
    """The samples of a task, what was counted on the way, and samples of another source, if there are any."""

    samples: list[Sample]
    counts: dict[str, int]
    notes: list[str] = field(default_factory=list)
    elsewhere: list[Sample] = field(default_factory=list)


# --- tasks whose rows stand for themselves --------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """How a task's rows are read, told apart, and divided.

    `fractions` are of the groups that are divided; where the files bring a test or a train split, without that.
    """

    folder: str
    read: Callable[[Path], list[Row]]
    fractions: Mapping[str, float]
    with_train_file: Mapping[str, float] = field(default_factory=dict)


TASKS = {
    "rte": Task("RTE", read_rte, {"train": 0.5, "tune": 0.2, "certify": 0.3}),
    "mrpc": Task("MRPC", read_mrpc, {"train": 0.55, "tune": 0.15, "certify": 0.3}),
    "cola": Task("CoLA", read_cola, {"train": 0.55, "tune": 0.15, "certify": 0.3}),
    "qnli": Task(
        "QNLI",
        read_qnli,
        {"train": 0.5, "tune": 0.15, "certify": 0.2, "test": 0.15},
        {"tune": 0.3, "certify": 0.4, "test": 0.3},
    ),
}
# Of SST-2's train sentences. The dev file's sentences are added to certify, where samples are scarcest.
SST2_FRACTIONS = {"train": 0.55, "tune": 0.15, "certify": 0.3}

# Of a group with rows of several parts, those of the first part in this order stay.
PRECEDENCE = ("test", "elsewhere", "pool", "train")


def identity(row: Row) -> tuple[str, ...]:
    """Rows with the same identity are one sample. Of CoLA, where commas decide, the text; else the words of both texts."""
    if row.source:
        return (" ".join(row.text.split()),)
    texts = [row.text] if row.pair is None else [row.text, row.pair]
    return tuple(" ".join(words(text)) for text in texts)


def units(row: Row, task: str) -> list[tuple[str, ...]]:
    """What ties a row to others: its sentences. A sentence of MRPC may stand first or second."""
    sides = ("", "") if task == "mrpc" else ("first", "second")
    texts = [row.text] if row.pair is None else [row.text, row.pair]
    return [(side, *words(text)) for side, text in zip(sides, texts, strict=False)]


def distinct(rows: Sequence[Row], counts: dict[str, int]) -> list[Row]:
    """One row of each text, that of the part that goes first; none of a text that occurs with both labels."""
    labels: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in rows:
        labels[identity(row)].add(row.label)
    kept: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: PRECEDENCE.index(row.part)):
        if len(labels[identity(row)]) == 1:
            kept.setdefault(identity(row), row)
    counts["rows read"] = len(rows)
    contradictory = sum(len(labels[identity(row)]) > 1 for row in rows)
    counts["left out: the same text with both labels"] = contradictory
    counts["left out: duplicates"] = len(rows) - contradictory - len(kept)
    return list(kept.values())


def prepare_rows(name: str, rows: Sequence[Row], seed: int) -> Prepared:
    """Remove duplicates, group, divide, and keep one row per group where it is held out."""
    task = TASKS[name]
    counts: dict[str, int] = {}
    rows = distinct(rows, counts)
    groups = connected([units(row, name) for row in rows])
    part_of: dict[int, str] = {}
    for row, group in zip(rows, groups, strict=True):
        part_of[group] = min(row.part, part_of.get(group, row.part), key=PRECEDENCE.index)
    members: dict[int, list[Row]] = defaultdict(list)
    for row, group in zip(rows, groups, strict=True):
        if row.part == part_of[group]:
            members[group].append(row)
    counts["left out: they share a sentence with a row of the published test or dev file"] = len(rows) - sum(
        map(len, members.values())
    )

    # A group is called by the first of its rows' texts in the alphabet.
    names = {group: min(" | ".join(identity(row)) for row in rows_) for group, rows_ in members.items()}
    divided = {group: majority([row.label for row in members[group]]) for group in members if part_of[group] == "pool"}
    fractions = task.with_train_file if any(row.part == "train" for row in rows) else task.fractions
    split_of = divide(names, divided, fractions, seed, name)

    result = Prepared([], counts)
    spare = 0
    for number, group in enumerate(sorted(members, key=lambda group: names[group])):
        split = split_of.get(group, part_of[group])
        chosen = sorted(members[group], key=lambda row: draw_key(seed, name, *identity(row)))
        if split != "train":
            spare += len(chosen) - 1
            chosen = chosen[:1]
        place = result.elsewhere if split == "elsewhere" else result.samples
        place += [Sample(row.text, row.label, split.replace("elsewhere", "test"), number, row.pair) for row in chosen]
    counts["left out: further rows of groups in tune, certify and test"] = spare
    return result


# --- SST-2, by sentence ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sentence:
    """A sentence of SST-2, in GLUE's form where GLUE has it."""

    tokens: Tokens
    text: str
    label: str


def sentences_of(rows: Iterable[Row], glue_form: Mapping[Tokens, str]) -> list[Sentence]:
    return [Sentence(tokens, glue_form.get(tokens, row.text), row.label) for row in rows if (tokens := fold(row.text))]


def prepare_sst2(folder: Path, seed: int) -> Prepared:
    """Divide sentences, then train on phrases that lie in train sentences alone."""
    phrases = sentiment(first_there(folder, ("train.tsv",)), "pool", has_header=True)
    dev = sentiment(first_there(folder, ("dev.tsv",)), "pool", has_header=True)
    counts = {"phrases read": len(phrases)}
    notes = []
    glue_form: dict[Tokens, str] = {}
    for text in [row.text for row in phrases + dev]:
        glue_form.setdefault(fold(text), text)

    if (folder / "sentlevel_train.tsv").is_file() and (folder / "sentlevel_test.tsv").is_file():
        if (folder / "test.tsv").is_file():
            for text in unlabelled_sentences(folder / "test.tsv"):
                glue_form.setdefault(fold(text), text)
        published = {
            "pool": sentences_of(sentiment(folder / "sentlevel_train.tsv", "pool", has_header=False), glue_form),
            "certify": sentences_of(dev, glue_form),
            "test": sentences_of(sentiment(folder / "sentlevel_test.tsv", "test", has_header=False), glue_form),
        }
    else:
        phrase_tokens = [fold(row.text) for row in phrases]
        rows = [phrases[place] for place in maximal(phrase_tokens)]
        published = {"pool": sentences_of(rows, glue_form), "test": sentences_of(dev, glue_form)}
        notes.append(
            "No sentlevel_train.tsv and sentlevel_test.tsv: sentences are the rows of train.tsv that lie in no other "
            "row, and dev.tsv is the test split. The 1,821 labelled test sentences are lost, certify is smaller by "
            "dev's 872, and a sentence that was rated neutral counts by its longest phrases."
        )
    counts |= {f"sentences read, {part}": len(sentences) for part, sentences in published.items()}
    counts["sentences not in GLUE's form"] = sum(
        sentence.tokens not in glue_form for sentences in published.values() for sentence in sentences
    )

    split_of = divide_sentences(published, seed, counts)
    held = {tokens for tokens, split in split_of.items() if split != "train"}
    sentences = {sentence.tokens: sentence for part in published.values() for sentence in part}
    training = training_phrases(phrases, split_of, held, counts)
    check = found_within([sample.tokens for sample in training], sorted(held))
    if check:
        raise AssertionError(f"{check} phrases to train lie in held-out sentences")
    counts["phrases to train that lie in a sentence of tune, certify or test (searched again as strings)"] = check

    # A phrase's group is its sentence; of several, the first in the draw.
    result = Prepared([], counts, notes)
    drawn = sorted(split_of, key=lambda tokens: (SPLITS.index(split_of[tokens]), draw_key(seed, "sst2", *tokens)))
    group_of = origins(drawn, {sentence.tokens for sentence in training})
    training.sort(key=lambda sentence: (group_of[sentence.tokens], sentence.tokens))
    for sentence in training:
        result.samples.append(Sample(sentence.text, sentence.label, "train", group_of[sentence.tokens]))
    for group, tokens in enumerate(drawn):
        if split_of[tokens] != "train":
            result.samples.append(Sample(sentences[tokens].text, sentences[tokens].label, split_of[tokens], group))
    return result


def divide_sentences(
    published: Mapping[str, Sequence[Sentence]], seed: int, counts: dict[str, int]
) -> dict[Tokens, str]:
    """The split of every sentence that is kept. None of at least `TELLING` tokens lies in one of another held-out split."""
    labels: dict[Tokens, set[str]] = defaultdict(set)
    part_of: dict[Tokens, str] = {}
    for part, sentences in published.items():  # a later part takes a sentence from an earlier one
        for sentence in sentences:
            labels[sentence.tokens].add(sentence.label)
            part_of[sentence.tokens] = part
    read = sum(map(len, published.values()))
    contradictory = {tokens for tokens, kinds in labels.items() if len(kinds) > 1}
    counts["sentences left out: with both labels"] = len(contradictory)
    counts["sentences left out: duplicates"] = read - len(labels)
    pool = {
        number: tokens
        for number, (tokens, part) in enumerate(part_of.items())
        if part == "pool" and tokens not in contradictory
    }
    names = {number: " ".join(tokens) for number, tokens in pool.items()}
    kinds = {number: next(iter(labels[tokens])) for number, tokens in pool.items()}
    split_of = {pool[number]: split for number, split in divide(names, kinds, SST2_FRACTIONS, seed, "sst2").items()}
    split_of |= {tokens: part for tokens, part in part_of.items() if part != "pool" and tokens not in contradictory}

    dropped = 0
    for split in HELD_OUT[:2]:
        later = HELD_OUT[HELD_OUT.index(split) + 1 :]
        mine = [tokens for tokens, own in split_of.items() if own == split]
        others = [tokens for tokens, own in split_of.items() if own in later]
        index = SpanIndex(others, mine)
        for tokens in mine:
            if (len(tokens) >= TELLING and index.has(tokens)) or index.is_within(tokens):
                del split_of[tokens]
                dropped += 1
    counts["sentences left out: one lies in the other, of two held-out splits"] = dropped
    return split_of


def training_phrases(
    phrases: Sequence[Row], split_of: Mapping[Tokens, str], held: set[Tokens], counts: dict[str, int]
) -> list[Sentence]:
    """The phrases that come from train sentences and touch no held-out one; one of each text."""
    folded = [fold(row.text) for row in phrases]
    own = SpanIndex((tokens for tokens, split in split_of.items() if split == "train"), folded)
    other = SpanIndex(held, folded)
    reasons: Counter[str] = Counter()
    labels: dict[Tokens, set[str]] = defaultdict(set)
    first: dict[Tokens, Row] = {}
    for row, tokens in zip(phrases, folded, strict=True):
        if not tokens:
            reasons["punctuation alone"] += 1
        elif other.has(tokens):
            reasons["in a sentence of tune, certify or test"] += 1
        elif other.is_within(tokens):
            reasons["with such a sentence within"] += 1
        elif not own.has(tokens):
            reasons["in no train sentence, so of unknown origin"] += 1
        else:
            labels[tokens].add(row.label)
            first.setdefault(tokens, row)
            reasons["passed"] += 1
    kept = [Sentence(tokens, row.text, row.label) for tokens, row in first.items() if len(labels[tokens]) == 1]
    passed = reasons.pop("passed", 0)
    for reason in sorted(reasons):
        counts[f"phrases left out: {reason}"] = reasons[reason]
    counts["phrase texts left out: with both labels"] = len(first) - len(kept)
    counts["phrases left out: duplicates"] = passed - len(first)
    counts["phrases to train"] = len(kept)
    return kept


# --- the command ----------------------------------------------------------------------------------------------------


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a task's folder: what the result was made from."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()
    }


def write_whole(path: Path, content: str) -> None:
    """Write the file completely or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def split_counts(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for sample in samples:
        counts[sample.split][sample.label] += 1
    return {split: {"rows": counts[split].total(), **dict(sorted(counts[split].items()))} for split in SPLITS}


def prepare(name: str, data: Path, output: Path, seed: int) -> dict[str, object]:
    """Prepare one task; returns the report that is written beside the samples."""
    folder = data / ("SST-2" if name == "sst2" else TASKS[name].folder)
    if not folder.is_dir():
        raise TableError(f"{folder}: expected a folder with the task's files; --data is the folder above it")
    prepared = prepare_sst2(folder, seed) if name == "sst2" else prepare_rows(name, TASKS[name].read(folder), seed)
    report: dict[str, object] = {
        "task": name,
        "seed": seed,
        "splits": split_counts(prepared.samples),
        "counts": prepared.counts,
        "notes": prepared.notes,
        "files": digests(folder),
    }
    if prepared.elsewhere:
        report["elsewhere"] = {"rows": len(prepared.elsewhere), **Counter(row.label for row in prepared.elsewhere)}
        write_whole(output / f"{name}-elsewhere.jsonl", "".join(row.json() + "\n" for row in prepared.elsewhere))
    write_whole(output / f"{name}.jsonl", "".join(sample.json() + "\n" for sample in prepared.samples))
    write_whole(output / f"{name}.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return report


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the four splits of GLUE's tasks, before anything is trained.")
    names = ("sst2", *TASKS)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(names)}; all where none is named")
    parser.add_argument("--data", type=Path, required=True, help="the folder with GLUE's folders")
    parser.add_argument("--output", type=Path, required=True, help="where the samples go; outside the repository")
    parser.add_argument("--seed", type=int, default=7, help="what splits are drawn with")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.tasks if name not in names]
    if unknown:
        parser.error(f"unknown task {unknown[0]!r}; expected {', '.join(names)}")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for name in options.tasks or names:
            report = prepare(name, options.data, options.output, options.seed)
            print(json.dumps({key: report[key] for key in ("task", "splits", "counts", "notes")}, indent=2))
    except (TableError, OSError) as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
