"""Reads a safetensors file with NumPy alone."""

import json
import struct

import numpy as np

TYPES = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I64": np.int64, "U8": np.uint8}


def read_safetensors(path: str) -> dict[str, np.ndarray]:
    """The tensors of a file by name; their memory is the file's, mapped."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    (size,) = struct.unpack("<Q", data[:8].tobytes())
    header = json.loads(data[8 : 8 + size].tobytes())
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = data[8 + size + start : 8 + size + end].view(TYPES[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors


def write_safetensors(path: str, tensors: dict[str, tuple[str, list[int], list[np.ndarray]]], metadata: dict) -> None:
    """Writes tensors, each given as (type, shape, blocks of rows), one block at a time."""
    header, offset = {"__metadata__": metadata}, 0
    for name, (type_, shape, _) in tensors.items():
        size = int(np.prod(shape)) * np.dtype(TYPES[type_]).itemsize
        header[name] = {"dtype": type_, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for type_, _, blocks in tensors.values():
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype=TYPES[type_]).tobytes())
