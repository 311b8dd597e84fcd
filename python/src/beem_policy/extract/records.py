"""Labelled rows from JSON Lines, CSV or TSV; what is wrong with a file is said with its name and line."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, unreadable

FORMATS = ("jsonl", "csv", "tsv")

INT32_RANGE = range(-(1 << 31), 1 << 31)

SPLITS = ("train", "tune", "certify", "test")
"""By their numbers in a cache, 0 to 3."""
NOT_ASSIGNED = 255

# A field is a whole text: the 128 KiB that the csv module allows by default is less than some documents have.
LONGEST_FIELD = 1 << 27


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read. In a table without a header line they are numbers, from 1.

    - content: the text, or the path of the image.
    - pair: the second text of a pair.
    """

    content: str = "text"
    label: str = "label"
    pair: str | None = None
    group: str | None = None
    split: str | None = None

    def names(self) -> list[str]:
        return [name for name in (self.content, self.label, self.pair, self.group, self.split) if name is not None]


@dataclass(frozen=True)
class Record:
    """One row of the data: a text, a pair of texts or the path of an image, with its label.

    `line` is None where rows are files of a folder.
    """

    line: int | None
    content: str
    label: str
    pair: str | None = None
    group: str | None = None
    split: int | None = None

    def place(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"row {row} ({self.content if self.line is None else f'line {self.line}'})"


def fault(path: Path, line: int | None, seen: str, expected: str, advice: str | None = None) -> InputError:
    """The error for what a data file holds."""
    item = None if line is None else f"line {line}"
    return InputError("malformed", os.fspath(path), item, seen=seen, expected=expected, advice=advice)


def read_records(path: Path, columns: Columns, has_header: bool = True, file_format: str | None = None) -> list[Record]:
    """Read `path`, whose format is `file_format` or else told by its suffix, one of `FORMATS`.

    CSV follows RFC 4180, quotes and all. TSV has no quoting: a `"` is a character like any other, as in GLUE's files.
    """
    file_format = file_format or path.suffix.lower().removeprefix(".")
    if file_format not in FORMATS:
        raise fault(
            path, None, "a name that does not tell the format", f"one ending in .{', .'.join(FORMATS)}", "Say --format."
        )
    content = decode_utf8(path)
    if file_format == "jsonl":
        if not has_header:
            raise fault(
                path, None, "--no-header with JSON Lines", "CSV or TSV", "JSON Lines names its columns in every row."
            )
        rows = json_rows(content, path)
    else:
        rows = table_rows(content, path, file_format == "csv", has_header)
    records = [record_of(row, line, path, columns) for line, row in rows]
    if not records:
        raise fault(path, None, "no rows", "labelled rows")
    return records


def decode_utf8(path: Path) -> str:
    """The file as text, without a byte-order mark; a byte that is not UTF-8 is reported with its line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(os.fspath(path), error, "labelled rows") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fault(path, line, f"the byte 0x{content[error.start]:02x}", "UTF-8", "Convert the file.") from None


def json_rows(content: str, path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a JSON Lines file with their lines; blank lines are passed over."""
    # Not `splitlines`: U+2028 and its like may stand inside a JSON string.
    for line, source in enumerate(content.split("\n"), start=1):
        if not source.strip():
            continue
        try:
            row = json.loads(source)
        except json.JSONDecodeError as error:
            raise fault(path, line, f"{error.msg} at column {error.colno}", "a JSON object") from None
        if not isinstance(row, dict):
            raise fault(path, line, repr(source.strip()[:40]), "a JSON object")
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
                    raise fault(path, reader.line_num, "a column name that stands twice", "a header of different names")
                if has_header:
                    continue
            if len(fields) != len(header):
                raise fault(path, reader.line_num, f"{len(fields)} fields", f"{len(header)}, as many as the header has")
            yield reader.line_num, dict(zip(header, fields))
    except csv.Error as error:
        raise fault(path, reader.line_num, str(error), "CSV as in RFC 4180" if is_csv else "TSV") from None


def record_of(row: dict[str, object], line: int, path: Path, columns: Columns) -> Record:
    """Pick the wanted columns out of a row and check that each holds something."""
    for name in columns.names():
        if name not in row:
            raise fault(
                path,
                line,
                f"the columns {', '.join(map(repr, row))}",
                f"a column {name!r}",
                "Name columns with --...-column.",
            )
    return Record(
        line=line,
        content=text_value(row[columns.content], columns.content, path, line),
        label=name_value(row[columns.label], columns.label, path, line),
        pair=None if columns.pair is None else text_value(row[columns.pair], columns.pair, path, line),
        group=None if columns.group is None else name_value(row[columns.group], columns.group, path, line),
        split=None if columns.split is None else split_value(row[columns.split], columns.split, path, line),
    )


def text_value(value: object, column: str, path: Path, line: int) -> str:
    if not isinstance(value, str):
        raise fault(path, line, f"{json.dumps(value)[:40]} in {column!r}", "a text")
    if not value.strip():
        raise fault(path, line, f"nothing in {column!r}", "a text")
    return value


def name_value(value: object, column: str, path: Path, line: int) -> str:
    """A label or a group: a text, a whole number, or true or false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        raise fault(path, line, f"{json.dumps(value)[:40]} in {column!r}", "a text or a whole number")
    if not value.strip():
        raise fault(path, line, f"nothing in {column!r}", "a text or a whole number")
    return value.strip()


def split_value(value: object, column: str, path: Path, line: int) -> int:
    """The number of a split: from its name or number; 255, nothing and null are rows without one."""
    text = "" if value is None else str(value).strip()
    if isinstance(value, (str, int, type(None))) and not isinstance(value, bool):
        if text in ("", str(NOT_ASSIGNED)):
            return NOT_ASSIGNED
        if text in SPLITS:
            return SPLITS.index(text)
        if text in ("0", "1", "2", "3"):
            return int(text)
    raise fault(
        path,
        line,
        f"{json.dumps(value, ensure_ascii=False)[:40]} in {column!r}",
        f"{', '.join(SPLITS)} or their numbers 0 to 3; nothing, or {NOT_ASSIGNED}, for a row without a split",
    )


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
            raise fault(path, None, f"--classes {' '.join(wanted)}", "each class once")
        for record in records:
            if record.label not in wanted:
                raise fault(path, record.line, f"the label {record.label!r}", f"one of --classes {' '.join(wanted)}")
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
