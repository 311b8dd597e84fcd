"""GLUE's files as rows: the usual names and columns, and the forms in which the sets were first published.

| task | usual files of GLUE | also read |
|---|---|---|
| SST-2 | `train.tsv`, `dev.tsv`, `test.tsv` | `sentlevel_train.tsv`, `sentlevel_dev.tsv`, `sentlevel_test.tsv`, no header |
| RTE | `train.tsv`, `dev.tsv` | JSON Lines as in SuperGLUE: `superglue_train.jsonl` or `train.jsonl`, `..._val.jsonl` |
| MRPC | `train.tsv`, `dev.tsv` | MSR's `msr_paraphrase_train.txt`, `msr_paraphrase_test.txt` |
| CoLA | `train.tsv`, `dev.tsv`, no header | the raw `in_domain_train.tsv`, `in_domain_dev.tsv`, `out_of_domain_dev.tsv` |
| QNLI | `dev.tsv`, and `train.tsv` where it is there | |

A file that does not hold what it should is a `TableError` that names file, line, what was seen and what was expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class TableError(Exception):
    """A file of GLUE is missing, or does not hold what was expected."""


@dataclass(frozen=True)
class Row:
    """A text or a pair of texts with its class.

    `part` says what the row may become: `pool` rows are divided into splits, `train` rows only train, `test` rows
    only test. `source` is the article a sentence of CoLA is from, else empty.
    """

    text: str
    label: str
    part: str
    pair: str | None = None
    source: str = ""


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{path}:{line}: expected UTF-8, saw byte 0x{content[error.start]:02x}; convert the file"
        ) from None
    # Not `splitlines`: it would divide at characters that stand inside sentences, such as U+0085.
    for place, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            yield place, row.rstrip("\r")


def fields_of(path: Path, columns: Sequence[str], has_header: bool) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The named columns of a table with tabs and without quoting, as in GLUE, with the lines they are from.

    Without a header `columns` are all columns in their order.
    """
    places: list[int] | None = None if has_header else list(range(len(columns)))
    width = len(columns)
    for number, line in lines_of(path):
        fields = line.split("\t")
        if places is None:
            names = [name.strip() for name in fields]
            missing = [name for name in columns if name not in names]
            if missing:
                raise TableError(
                    f"{path}:{number}: expected the columns {', '.join(columns)} in the header, saw {', '.join(names)}"
                )
            places, width = [names.index(name) for name in columns], len(names)
            continue
        if len(fields) != width:
            raise TableError(f"{path}:{number}: expected {width} fields divided by tabs, saw {len(fields)}")
        yield number, tuple(fields[place].strip() for place in places)


def class_of(value: str, classes: Mapping[str, str], path: Path, number: int) -> str:
    """The class that a label of the file stands for."""
    if value not in classes:
        raise TableError(f"{path}:{number}: expected one of {', '.join(classes)} as the label, saw {value[:40]!r}")
    return classes[value]


def filled(value: object, what: str, path: Path, number: int) -> str:
    """A text that is there."""
    if not isinstance(value, str) or not value.strip():
        raise TableError(f"{path}:{number}: expected a text as {what}, saw {json.dumps(value)[:40]}")
    return value.strip()


def first_there(folder: Path, names: Sequence[str]) -> Path:
    """The first of the files that exists."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise TableError(
        f"{folder}: expected one of the files {', '.join(names)}, saw none; get the task's files as in README.md"
    )


SENTIMENT = {"0": "negative", "1": "positive"}
ACCEPTABILITY = {"0": "unacceptable", "1": "acceptable"}
PARAPHRASE = {"0": "not_equivalent", "1": "equivalent"}
ENTAILMENT = {"entailment": "entailment", "not_entailment": "not_entailment"}


def sentiment(path: Path, part: str, has_header: bool) -> list[Row]:
    """A labelled table of SST-2."""
    return [
        Row(filled(text, "sentence", path, number), class_of(label, SENTIMENT, path, number), part)
        for number, (text, label) in fields_of(path, ("sentence", "label"), has_header)
    ]


def unlabelled_sentences(path: Path) -> list[str]:
    """The sentences of SST-2's `test.tsv`, which has no labels."""
    return [text for _, (text,) in fields_of(path, ("sentence",), has_header=True)]


def entailment_json(path: Path, part: str) -> list[Row]:
    """RTE as JSON Lines: `premise`, `hypothesis`, `label`."""
    rows = []
    for number, line in lines_of(path):
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise TableError(
                f"{path}:{number}: expected a JSON object, saw {error.msg} at column {error.colno}"
            ) from None
        if not isinstance(value, dict):
            raise TableError(f"{path}:{number}: expected a JSON object, saw {line[:40]!r}")
        texts = [filled(value.get(name), name, path, number) for name in ("premise", "hypothesis", "label")]
        rows.append(Row(texts[0], class_of(texts[2], ENTAILMENT, path, number), part, pair=texts[1]))
    return rows


def entailment_table(path: Path, part: str, columns: tuple[str, str, str]) -> list[Row]:
    """A table with a header; `columns` are the two texts and the label."""
    return [
        Row(
            filled(first, columns[0], path, number),
            class_of(label, ENTAILMENT, path, number),
            part,
            pair=filled(second, columns[1], path, number),
        )
        for number, (first, second, label) in fields_of(path, columns, has_header=True)
    ]


def read_rte(folder: Path) -> list[Row]:
    """The train file is divided; the published dev file is the test split, for RTE's test file has no labels."""
    rows = []
    for part, names in (
        ("pool", ("train.tsv", "superglue_train.jsonl", "train.jsonl")),
        ("test", ("dev.tsv", "superglue_val.jsonl", "val.jsonl")),
    ):
        path = first_there(folder, names)
        if path.suffix == ".jsonl":
            rows += entailment_json(path, part)
        else:
            rows += entailment_table(path, part, ("sentence1", "sentence2", "label"))
    return rows


def read_mrpc(folder: Path) -> list[Row]:
    """MSR's test file is the test split; where only GLUE's files are there, its dev file (a part of MSR's train file)."""
    columns = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
    rows = []
    for part, names in (
        ("pool", ("msr_paraphrase_train.txt", "train.tsv")),
        ("test", ("msr_paraphrase_test.txt", "dev.tsv")),
    ):
        path = first_there(folder, names)
        # Copies are about with and without the header.
        has_header = next((line.startswith("Quality") for _, line in lines_of(path)), False)
        for number, (label, _, _, first, second) in fields_of(path, columns, has_header):
            kind = class_of(label, PARAPHRASE, path, number)
            rows.append(
                Row(filled(first, columns[3], path, number), kind, part, pair=filled(second, columns[4], path, number))
            )
    return rows


def read_cola(folder: Path) -> list[Row]:
    """The in-domain train file is divided, the in-domain dev file is the test split.

    Rows from articles that are not in the train file get the part `elsewhere`: GLUE's `dev.tsv` mixes both kinds.
    """
    columns = ("source", "label", "mark", "sentence")

    def read(path: Path, part: str) -> list[Row]:
        rows = []
        # The third field, the author's mark, is empty more often than not.
        for number, (source, label, _, text) in fields_of(path, columns, has_header=False):
            kind = class_of(label, ACCEPTABILITY, path, number)
            rows.append(Row(filled(text, "sentence", path, number), kind, part, source=source))
        return rows

    rows = read(first_there(folder, ("in_domain_train.tsv", "train.tsv")), "pool")
    known = {row.source for row in rows}
    held = read(first_there(folder, ("in_domain_dev.tsv", "dev.tsv")), "test")
    if (folder / "out_of_domain_dev.tsv").is_file():
        held += read(folder / "out_of_domain_dev.tsv", "test")
    for row in held:
        rows.append(row if row.source in known else Row(row.text, row.label, "elsewhere", source=row.source))
    return rows


def read_qnli(folder: Path) -> list[Row]:
    """With a train file that one trains and dev is divided into the other three splits; without, dev is divided in four."""
    columns = ("question", "sentence", "label")
    rows = entailment_table(first_there(folder, ("dev.tsv",)), "pool", columns)
    if (folder / "train.tsv").is_file():
        rows += entailment_table(folder / "train.tsv", "train", columns)
    return rows
