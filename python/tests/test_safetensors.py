"""The safetensors reader: files that lie are refused before anything of that size is made."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from support import REPOSITORY, safetensors_bytes

from beem_policy import InputError
from beem_policy.safetensors_file import SafetensorsFile

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file_bytes(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_all_types_are_read(tmp_path):
    tensors = {
        "a": np.array([[1, 2], [3, 4]], np.float32),
        "b": np.array([0.5, -0.25], np.float16),
        "c": np.array([-1, 2**31 - 1], np.int32),
        "d": np.array([2**40], np.int64),
        "e": np.array([1, 2, 255], np.uint8),
    }
    (tmp_path / "x.safetensors").write_bytes(safetensors_bytes(tensors, {"note": "text"}))
    file = SafetensorsFile.open(tmp_path / "x.safetensors")
    assert file.metadata == {"note": "text"}
    assert list(file.tensors) == list("abcde")
    assert file.floats("a").tolist() == [[1, 2], [3, 4]]
    assert file.floats("a", np.array([1])).tolist() == [[3, 4]]
    assert file.floats("b").tolist() == [0.5, -0.25]
    assert file.integers("c").tolist() == [-1, 2**31 - 1]
    assert file.integers("d").tolist() == [2**40]
    bf16 = file_bytes(
        {"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, struct.pack("<HH", 0x3FC0, 0xC000)
    )
    assert SafetensorsFile(bf16, "x").floats("x").tolist() == [1.5, -2]


def test_scalars_empty_tensors_and_blanks():
    header = {
        "x": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        "y": {**ENTRY, "shape": [0, 9], "data_offsets": [4, 4]},
    }
    file = SafetensorsFile(file_bytes(json.dumps(header).encode() + b"   ", struct.pack("<f", 2)), "x")
    assert file.floats("x").tolist() == 2 and file.floats("y").shape == (0, 9)


def test_the_golden_file_of_the_swift_tests():
    file = SafetensorsFile.open(REPOSITORY / "Tests" / "SafetensorsTests" / "Resources" / "golden.safetensors")
    assert file.tensors


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "header length: the file has only 0 bytes; expected at least 8 bytes"),
        (struct.pack("<Q", 2**63) + b"{}", "header length: 9223372036854775808 bytes; expected at most 100000000"),
        (struct.pack("<Q", 90_000_000) + b"{}", "header length: 90000000 bytes, of which the file holds 2"),
        (file_bytes(b""), "header: it is empty"),
        (file_bytes(b"[]"), "header: it begins with the byte 91; expected a JSON object"),
        (file_bytes(b'{"a": '), "header: Expecting value"),
        (file_bytes(b"{} x"), "header: Extra data"),
        (file_bytes(b'{"x": 1, "x": 2}'), "header: the name 'x' stands twice in one object"),
        (file_bytes(b'{"x": NaN}'), "header: NaN"),
        (file_bytes(b'{"\xff": 1}'), "header: not UTF-8"),
        (file_bytes({"__metadata__": 1}), "__metadata__: the number 1; expected an object of strings"),
        (file_bytes({"__metadata__": {"a": 1}}), "__metadata__.a: the number 1; expected a string"),
        (file_bytes({"x": 1}), "x: the number 1; expected an object with dtype, shape and data_offsets"),
        (file_bytes({"x": {**ENTRY, "dtype": "F64"}}), "x: dtype: 'F64'; expected one of F32, F16, BF16, I32, I64, U8"),
        (file_bytes({"x": {**ENTRY, "dtype": "Q7"}}), "x: dtype: 'Q7'"),
        (file_bytes({"x": {**ENTRY, "dtype": 3}}), "x: dtype: the number 3"),
        (file_bytes({"x": {"dtype": "F32", "shape": [2]}}), "x: data_offsets: nothing; expected an array"),
        (file_bytes({"x": {**ENTRY, "shape": 2}}), "x: shape: the number 2; expected an array of integers"),
        (file_bytes({"x": {**ENTRY, "shape": [-2]}}), "x: shape: the number -2; expected integers from 0"),
        (file_bytes({"x": {**ENTRY, "shape": [2.0]}}), "x: shape: the number 2.0; expected integers"),
        (file_bytes({"x": {**ENTRY, "shape": [True]}}), "x: shape: a boolean; expected integers"),
        (file_bytes({"x": {**ENTRY, "shape": [2**40, 2**40]}}), "expected a size in bytes below 2\\^63"),
        (file_bytes({"x": {**ENTRY, "shape": [3]}}), r"x: data_offsets: 8 bytes; expected 12 bytes for F32 \[3\]"),
        (file_bytes({"x": {**ENTRY, "data_offsets": [0]}}), "x: data_offsets: an array of 1; expected an array of two"),
        (
            file_bytes({"x": {**ENTRY, "data_offsets": [0, 16]}}),
            r"\[0, 16\]; expected begin <= end, inside the 8 bytes",
        ),
        (file_bytes({"x": {**ENTRY, "data_offsets": [8, 0]}}), r"\[8, 0\]; expected begin <= end"),
        (
            file_bytes({"x": ENTRY, "y": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12)),
            "y: data_offsets: 4 of its bytes belong to 'x' too; expected tensors that do not overlap",
        ),
        (
            file_bytes({"x": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12)),
            "x: data_offsets: 4 bytes between the start of the data and this tensor belong to none",
        ),
        (file_bytes({"x": ENTRY}, bytes(9)), "data: 1 bytes after the last tensor; expected a file that ends with its"),
    ],
)
def test_files_that_lie_are_refused(data, message):
    with pytest.raises(InputError, match=message) as caught:
        SafetensorsFile(data, "x.safetensors")
    assert str(caught.value).startswith("x.safetensors: ")


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        SafetensorsFile.open(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read"):
        SafetensorsFile.open(tmp_path)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InputError, match="only 0 bytes"):
        SafetensorsFile.open(tmp_path / "empty")
    with pytest.raises(InputError, match="x: elements of type F32; expected I32 or I64"):
        SafetensorsFile(file_bytes({"x": ENTRY}), "f").integers("x")
