"""Writing a feature cache: the safetensors file of `beem`, filled row by row through a memory map.

The layout of a safetensors file follows from the shapes alone: eight bytes for the length of the header, the header
(JSON, padded with spaces), then the tensors without gaps. So the header is written first and the rows go straight to
their final place, in any order; memory does not grow with the cache.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..whole_file import replacing

# NumPy has no bfloat16: its bits are moved as 16-bit integers.
STORAGE: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I32": np.dtype("<i4"),
    "U8": np.dtype("u1"),
}


@dataclass(frozen=True)
class TensorShape:
    """A tensor of the file before it has values: its safetensors type and its shape."""

    dtype: str
    shape: tuple[int, ...]

    def byte_count(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * STORAGE[self.dtype].itemsize


def cache_layout(rows: int, widths: Sequence[int], dtype: str, has_groups: bool) -> dict[str, TensorShape]:
    """The tensors of a cache, in the order of the file.

    Types of four bytes come first and single bytes last, so that every tensor is aligned to its type without gaps
    (which the format forbids).
    """
    layout = {"labels": TensorShape("I32", (rows,))}
    if has_groups:
        layout["group"] = TensorShape("I32", (rows,))
    for exit_index, width in enumerate(widths):
        layout[f"features.{exit_index}"] = TensorShape(dtype, (rows, width))
    layout["split"] = TensorShape("U8", (rows,))
    return layout


def header_bytes(layout: Mapping[str, TensorShape], metadata: Mapping[str, str]) -> bytes:
    """The length, the JSON and the padding in front of the tensors, a multiple of eight bytes long."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, tensor in layout.items():
        end = offset + tensor.byte_count()
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    content = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    content += b" " * (-len(content) % 8)
    return len(content).to_bytes(8, "little") + content


def claim_space(descriptor: int, size: int) -> None:
    """Make the file `size` bytes long, and have the disk promise them where the system can do that (macOS cannot).

    A full disk is then an error here; met later, through the memory map, it would kill the process with a signal.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


@contextmanager
def cache_writer(
    path: str | os.PathLike[str], layout: Mapping[str, TensorShape], metadata: Mapping[str, str]
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """A cache in the making: a memory-mapped array for every tensor of the layout.

    The file appears at `path` at the end, complete; after an error, not. Raises `InputError` where it cannot be written.
    """
    header = header_bytes(layout, metadata)
    size = len(header) + sum(tensor.byte_count() for tensor in layout.values())
    with replacing(path) as temporary:
        with open(temporary, "r+b") as file:
            claim_space(file.fileno(), size)
            file.write(header)
        tensors: dict[str, np.memmap[Any, Any]] = {}
        offset = len(header)
        for name, tensor in layout.items():
            tensors[name] = np.memmap(temporary, STORAGE[tensor.dtype], mode="r+", offset=offset, shape=tensor.shape)
            offset += tensor.byte_count()
        yield dict(tensors)
        for mapped in tensors.values():
            mapped.flush()
