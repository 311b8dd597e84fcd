"""A reader of safetensors files on NumPy alone, with the header checks of the Swift library.

The file is eight bytes with the length of the header (little-endian), the header (a JSON object, perhaps followed by
blanks), and the data, which the tensors divide among themselves without a gap, an overlap or a rest. All sizes are
checked before anything of that size is made.
"""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import strict_json
from .errors import InputError, unreadable

LONGEST_HEADER = 100_000_000
"""The longest header that is read; the limit of the format's own library."""

_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "I64": "<i8", "U8": "u1"}
_UNSERVED = frozenset(
    [
        "BOOL",
        "F4",
        "F6_E2M3",
        "F6_E3M2",
        "I8",
        "F8_E5M2",
        "F8_E4M3",
        "F8_E8M0",
        "F8_E5M2FNUZ",
        "F8_E4M3FNUZ",
        "I16",
        "U16",
        "U32",
        "F64",
        "C64",
        "U64",
    ]
)
_FLOATS = ("F32", "F16", "BF16")
_PREFIX = 8
_LARGEST_INT = 2**63 - 1

Buffer = Union[bytes, mmap.mmap]


@dataclass(frozen=True)
class Tensor:
    """What the header says of a tensor."""

    name: str
    type: str
    shape: tuple[int, ...]
    begin: int
    """Where in the file its first byte is."""
    end: int

    @property
    def count(self) -> int:
        """How many elements there are; 1 for a scalar."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class SafetensorsFile:
    """The tensors of a file whose header has been checked.

    `SafetensorsFile.open(path)` maps a file: pages are read when they are touched. If another program shortens the file
    meanwhile, touching the lost pages ends the process; files that are replaced by renaming are safe.
    """

    def __init__(self, data: Buffer, path: str) -> None:
        self.path = path
        self.metadata: dict[str, str] = {}
        self._data = data
        tensors: list[Tensor] = []
        members, start = _header(data, path)
        for name, value in members.items():
            if name == "__metadata__":
                self.metadata = _metadata(value, path)
            else:
                tensors.append(_tensor(name, value, start, len(data) - start, path))
        tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
        _check_that_tensors_fill(tensors, start, len(data), path)
        self.tensors = {tensor.name: tensor for tensor in tensors}

    @staticmethod
    def open(path: str | os.PathLike[str]) -> SafetensorsFile:
        """Maps a file and checks its header."""
        path = os.fspath(path)
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise InputError(
                        "unreadable",
                        path,
                        seen="is not a regular file",
                        expected="a regular file",
                        advice="Give the path of the file itself.",
                    )
                # An empty file cannot be mapped.
                data: Buffer = b""
                if status.st_size > 0:
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise unreadable(path, error, "a file that can be read") from None
        return SafetensorsFile(data, path)

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def tensor(self, name: str) -> Tensor:
        """What the header says of a tensor; an error where it is not there."""
        if name not in self.tensors:
            names = list(self.tensors)
            raise InputError(
                "missing",
                self.path,
                name,
                seen=f"no tensor of this name among {len(names)}",
                expected=f"the tensor '{name}'",
                advice=f"The file holds {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}."
                if names
                else "The file holds no tensors.",
            )
        return self.tensors[name]

    def numbered(self, prefix: str) -> list[Tensor]:
        """The tensors `prefix.0`, `prefix.1`, ..., none left out."""
        found: list[Tensor] = []
        while f"{prefix}.{len(found)}" in self.tensors:
            found.append(self.tensors[f"{prefix}.{len(found)}"])
        known = {tensor.name for tensor in found}
        strangers = sorted(name for name in self.tensors if name.startswith(f"{prefix}.") and name not in known)
        if strangers:
            raise InputError(
                "missing",
                self.path,
                f"{prefix}.{len(found)}",
                seen=f"no such tensor, but '{strangers[0]}'",
                expected=f"{prefix}.0, {prefix}.1, ..., one for each exit, none left out",
                advice="There is one tensor of this name for each exit.",
            )
        return found

    def floats(self, name: str, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.float32]:
        """The elements of a floating-point tensor, or of some of its rows; a copy. F16 and BF16 widen exactly."""
        tensor = self.tensor(name)
        if tensor.type not in _FLOATS:
            raise self._wrong_type(tensor, "F32, F16 or BF16")
        elements = self._elements(tensor)
        chosen = elements if rows is None else elements[rows]
        if tensor.type == "BF16":
            widened: npt.NDArray[np.float32] = (chosen.astype(np.uint32) << np.uint32(16)).view(np.float32)
            return widened
        return chosen.astype(np.float32)

    def integers(self, name: str) -> npt.NDArray[np.int64]:
        """The elements of a tensor of I32 or I64; a copy."""
        tensor = self.tensor(name)
        if tensor.type not in ("I32", "I64"):
            raise self._wrong_type(tensor, "I32 or I64")
        return self._elements(tensor).astype(np.int64)

    def _elements(self, tensor: Tensor) -> npt.NDArray[Any]:
        elements = np.frombuffer(self._data, dtype=_TYPES[tensor.type], count=tensor.count, offset=tensor.begin)
        return elements.reshape(tensor.shape)

    def _wrong_type(self, tensor: Tensor, expected: str) -> InputError:
        return InputError(
            "mismatch",
            self.path,
            tensor.name,
            seen=f"elements of type {tensor.type}",
            expected=expected,
            advice="Convert the tensor to that type.",
        )


def _header(data: Buffer, path: str) -> tuple[dict[str, Any], int]:
    """The members of the header, and where the data begins."""
    advice = "The file is truncated, or no safetensors file."
    if len(data) < _PREFIX:
        raise InputError(
            "malformed",
            path,
            "header length",
            seen=f"the file has only {len(data)} bytes",
            expected=f"at least {_PREFIX} bytes",
            advice=advice,
        )
    length = int.from_bytes(data[:_PREFIX], "little")
    if length > LONGEST_HEADER:
        raise InputError(
            "malformed",
            path,
            "header length",
            seen=f"{length} bytes",
            expected=f"at most {LONGEST_HEADER} bytes",
            advice="This is no safetensors file.",
        )
    if length > len(data) - _PREFIX:
        raise InputError(
            "malformed",
            path,
            "header length",
            seen=f"{length} bytes, of which the file holds {len(data) - _PREFIX}",
            expected="a header inside the file",
            advice=advice,
        )
    text = data[_PREFIX : _PREFIX + length]
    if text[:1] != b"{":
        raise InputError(
            "malformed",
            path,
            "header",
            seen=f"it begins with the byte {text[0]}" if text else "it is empty",
            expected="a JSON object, beginning with '{'",
            advice="This is no safetensors file.",
        )
    try:
        members = strict_json.parse(text)
    except strict_json.JSONProblem as problem:
        raise InputError(
            "malformed", path, "header", seen=str(problem), expected="a JSON object", advice="Write the file again."
        ) from None
    # What begins with a brace and parses is an object.
    assert isinstance(members, dict)
    return members, _PREFIX + length


def _metadata(value: Any, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InputError(
            "malformed",
            path,
            "__metadata__",
            seen=strict_json.type_name(value),
            expected="an object of strings",
            advice="Write the file again.",
        )
    for name, text in value.items():
        if not isinstance(text, str):
            raise InputError(
                "malformed",
                path,
                f"__metadata__.{name}",
                seen=strict_json.type_name(text),
                expected="a string",
                advice="The format allows only strings here; encode lists as JSON text.",
            )
    return value


def _is_integer(value: Any) -> bool:
    # True is an int in Python.
    return type(value) is int and abs(value) <= _LARGEST_INT


def _tensor(name: str, value: Any, start: int, count: int, path: str) -> Tensor:
    """One tensor; `start` and `count` say where in the file the offsets count from, and how far they may go."""

    def malformed(part: str, seen: str, expected: str) -> InputError:
        item = f"{name}: {part}" if part else name
        return InputError("malformed", path, item, seen=seen, expected=expected, advice="Write the file again.")

    if not isinstance(value, dict):
        raise malformed("", strict_json.type_name(value), "an object with dtype, shape and data_offsets")
    for part, expected in (("dtype", "an element type"), ("shape", "an array"), ("data_offsets", "an array")):
        if part not in value:
            raise malformed(part, "nothing", expected)
    type_, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(type_, str) or type_ not in _TYPES:
        raise InputError(
            "unsupported" if isinstance(type_, str) and type_ in _UNSERVED else "malformed",
            path,
            f"{name}: dtype",
            seen=f"'{type_}'" if isinstance(type_, str) else strict_json.type_name(type_),
            expected=f"one of {', '.join(_TYPES)}",
            advice="Convert the tensor to one of these types.",
        )
    if not isinstance(shape, list):
        raise malformed("shape", strict_json.type_name(shape), "an array of integers")
    size = np.dtype(_TYPES[type_]).itemsize
    for extent in shape:
        if not _is_integer(extent) or extent < 0:
            raise malformed("shape", strict_json.type_name(extent), f"integers from 0 to {_LARGEST_INT}")
        size *= extent
        if size > _LARGEST_INT:
            raise malformed("shape", f"{shape}", "a size in bytes below 2^63")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_integer, offsets)):
        raise malformed("data_offsets", strict_json.type_name(offsets), "an array of two integers")
    begin, end = offsets
    if not 0 <= begin <= end <= count:
        raise malformed(
            "data_offsets",
            f"[{begin}, {end}]",
            f"begin <= end, inside the {count} bytes of data (a truncated file looks like this too)",
        )
    if end - begin != size:
        raise malformed("data_offsets", f"{end - begin} bytes", f"{size} bytes for {type_} {shape}")
    return Tensor(name, type_, tuple(shape), start + begin, start + end)


def _check_that_tensors_fill(tensors: list[Tensor], start: int, end: int, path: str) -> None:
    """Tensors, in the order of their bytes, follow one another from the first byte of data to the last."""
    position, before = start, "the start of the data"
    for tensor in tensors:
        item = f"{tensor.name}: data_offsets"
        if tensor.begin < position:
            raise InputError(
                "malformed",
                path,
                item,
                seen=f"{position - tensor.begin} of its bytes belong to '{before}' too",
                expected="tensors that do not overlap",
                advice="Write the file again.",
            )
        if tensor.begin > position:
            raise InputError(
                "malformed",
                path,
                item,
                seen=f"{tensor.begin - position} bytes between {before} and this tensor belong to none",
                expected="tensors without gaps between them",
                advice="Write the file again.",
            )
        position, before = tensor.end, tensor.name
    if position != end:
        raise InputError(
            "malformed",
            path,
            "data",
            seen=f"{end - position} bytes after the last tensor",
            expected="a file that ends with its last tensor",
            advice="Write the file again.",
        )
