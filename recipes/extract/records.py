"""Texts and labels from JSON Lines, CSV or TSV; what is wrong with a file is said with its name and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FORMATS = ("jsonl", "csv", "tsv")

INT32_RANGE = range(-(1 << 31), 1 << 31)

# A field is a whole text: the 128 KiB that the csv module allows by default is less than some documents have.
LONGEST_FIELD = 1 << 27


class RecordError(Exception):
    """The data file does not hold what was asked for."""


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read. In a table without a header line they are numbers, from 1."""

    text: str = "text"
    label: str = "label"
    pair: str | None = None
    group: str | None = None

    def names(self) -> list[str]:
        return [name for name in (self.text, self.label, self.pair, self.group) if name is not None]


@dataclass(frozen=True)
class Record:
    """One row of the data file: a text, or a pair of texts, with its label."""

    line: int
    text: str
    label: str
    pair: str | None = None
    group: str | None = None


def read_records(path: Path, columns: Columns, has_header: bool = True, file_format: str | None = None) -> list[Record]:
    """Read `path`, whose format is `file_format` or else told by its suffix, one of `FORMATS`.

    CSV follows RFC 4180, quotes and all. TSV has no quoting: a `"` is a character like any other, as in GLUE's files.
    """
    file_format = file_format or path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        raise RecordError(f"{path}: the name does not end in .{', .'.join(FORMATS)}; say --format")
    content = decode_utf8(path)
    if file_format == "jsonl":
        if not has_header:
            raise RecordError(f"{path}: JSON Lines names its columns in every row; --no-header is for CSV and TSV")
        rows = json_rows(content, path)
    else:
        rows = table_rows(content, path, file_format == "csv", has_header)
    records = [record_of(row, line, path, columns) for line, row in rows]
    if not records:
        raise RecordError(f"{path}: no rows")
    return records


def decode_utf8(path: Path) -> str:
    """The file as text, without a byte-order mark; a byte that is not UTF-8 is reported with its line."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecordError(f"{path}:{line}: not UTF-8 (byte 0x{content[error.start]:02x})") from None


def json_rows(content: str, path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a JSON Lines file with their lines; blank lines are passed over."""
    # Not `splitlines`: U+2028 and its like may stand inside a JSON string.
    for line, source in enumerate(content.split("\n"), start=1):
        if not source.strip():
            continue
        try:
            row = json.loads(source)
        except json.JSONDecodeError as error:
            raise RecordError(f"{path}:{line}: not JSON: {error.msg} at column {error.colno}") from None
        if not isinstance(row, dict):
            raise RecordError(f"{path}:{line}: expected a JSON object, saw {source.strip()[:40]!r}")
        yield line, row


def table_rows(content: str, path: Path, is_csv: bool, has_header: bool) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows of a CSV or TSV file by column name, with the line each of them ends on; blank lines are passed over."""
    csv.field_size_limit(LONGEST_FIELD)
    # `newline=""` leaves line ends inside quotes as they are, as the csv module asks.
    source = io.StringIO(content, newline="")
    if is_csv:
        reader = csv.reader(source, strict=True)
    else:
        reader = csv.reader(source, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    header: list[str] | None = None
    try:
        for fields in reader:
            if not fields:
                continue
            if header is None:
                header = fields if has_header else [str(number) for number in range(1, len(fields) + 1)]
                if len(set(header)) != len(header):
                    raise RecordError(f"{path}:{reader.line_num}: a column name occurs twice in the header")
                if has_header:
                    continue
            if len(fields) != len(header):
                raise RecordError(f"{path}:{reader.line_num}: expected {len(header)} fields, saw {len(fields)}")
            yield reader.line_num, dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise RecordError(f"{path}:{reader.line_num}: {error}") from None


def record_of(row: dict[str, object], line: int, path: Path, columns: Columns) -> Record:
    """Pick the wanted columns out of a row and check that each holds something."""
    for name in columns.names():
        if name not in row:
            raise RecordError(f"{path}:{line}: no column {name!r}; there are {', '.join(map(repr, row))}")
    return Record(
        line=line,
        text=text_value(row[columns.text], columns.text, path, line),
        label=name_value(row[columns.label], columns.label, path, line),
        pair=None if columns.pair is None else text_value(row[columns.pair], columns.pair, path, line),
        group=None if columns.group is None else name_value(row[columns.group], columns.group, path, line),
    )


def text_value(value: object, column: str, path: Path, line: int) -> str:
    if not isinstance(value, str):
        raise RecordError(f"{path}:{line}: expected a text in {column!r}, saw {json.dumps(value)[:40]}")
    if not value.strip():
        raise RecordError(f"{path}:{line}: {column!r} is empty")
    return value


def name_value(value: object, column: str, path: Path, line: int) -> str:
    """A label or a group: a text, a whole number, or true or false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise RecordError(
            f"{path}:{line}: expected a text or a whole number in {column!r}, saw {json.dumps(value)[:40]}"
        )
    if not value.strip():
        raise RecordError(f"{path}:{line}: {column!r} is empty")
    return value.strip()


def whole_number(text: str) -> int | None:
    """The number that `text` spells, or None for any spelling but the usual one (`07`, `1_000` and `+1` are names)."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    return int(text) if str(int(text)) == text else None


def class_names(records: Sequence[Record], wanted: Sequence[str] | None, path: Path) -> list[str]:
    """The classes in the order of their numbers: as `wanted`, else sorted (by value where all are whole numbers)."""
    if wanted is not None:
        if len(set(wanted)) != len(wanted):
            raise RecordError("a class is named twice in --classes")
        for record in records:
            if record.label not in wanted:
                raise RecordError(
                    f"{path}:{record.line}: label {record.label!r} is not among --classes {' '.join(wanted)}"
                )
        return list(wanted)
    labels = {record.label for record in records}
    if any(whole_number(label) is None for label in labels):
        return sorted(labels)
    return sorted(labels, key=int)


def group_numbers(records: Sequence[Record]) -> list[int] | None:
    """The group of every row: as it stands where all are whole numbers of 32 bits, else numbered as they appear."""
    groups = [record.group for record in records if record.group is not None]
    if not groups:
        return None
    numbers = [whole_number(group) for group in groups]
    if all(number is not None and number in INT32_RANGE for number in numbers):
        return [number for number in numbers if number is not None]
    order: dict[str, int] = {}
    return [order.setdefault(group, len(order)) for group in groups]
