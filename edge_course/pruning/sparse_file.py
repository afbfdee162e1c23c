"""A file format for sparse tensors: zeros cost nothing, but saying where they are does.

All numbers are little-endian. A file is

    4 bytes   "ECSP"
    uint16    version, 1
    uint16    number of tensors
    …         the tensors
    uint32    CRC-32 of all before

and a tensor is

    uint8     length of the name; then the name, UTF-8
    uint8     dtype: 0 float32, 1 float16, 2 int8, 3 int32
    uint8     encoding: 0 dense, 1 bitmap, 2 gaps of 4 bits, 3 gaps of 8 bits
    uint8     number of axes; then uint32 for the size of each
    …         where the values stand (index), by the encoding
    …         the values, in the tensor's dtype and order

* dense: no index; all numbers are values.
* bitmap: a bit for each number, 1 if it is not zero, the first in the lowest bit of a byte.
* gaps: uint32, the number of codes; then the codes of `sparse_encoding.gap_codes`, packed.
  The numbers behind the last value are zeros.

Bits left over in the last byte of an index are 0. Each tensor has the encoding that takes
the fewest bytes. A number is zero if all its bits are: −0.0 and NaN are kept as they are.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge_course import data
from edge_course.pruning.sparse_encoding import (
    DTYPES,
    ENCODINGS,
    FILE_BYTES,
    GAP_BITS,
    MAX_NUMBERS,
    bits_of,
    checked,
    gap_codes,
    gap_positions,
    room,
    sparse_bytes,
    tensor_size,
    tensor_sizes,
)
from edge_course.quantization import packing
from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError

__all__ = [
    "ENCODINGS", "ModelError", "load_sparse", "save_sparse", "sparse_bytes", "tensor_size",
    "tensor_sizes", "to_bytes",
]  # fmt: skip

MAGIC, VERSION = b"ECSP", 1


def to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Return the content of a file with these tensors, each in the smallest encoding.

    Parameters
    ----------
    tensors : name → float32, float16, int8 or int32; names of at most 255 bytes.

    Raises
    ------
    ValueError
        If a tensor does not fit the format, or there are too many.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    arrays = {name: checked(name, x) for name, x in tensors.items()}
    if len(arrays) >= 2**16 or sum(room(x.shape) for x in arrays.values()) > MAX_NUMBERS:
        raise ValueError(f"expected at most 65,535 tensors and {MAX_NUMBERS:,} numbers in all")
    parts = [MAGIC, struct.pack("<HH", VERSION, len(arrays))]
    for name, x in arrays.items():
        parts += _tensor_parts(name, x, tensor_size(x, name).encoding)
    content = b"".join(parts)
    return content + struct.pack("<I", zlib.crc32(content))


def save_sparse(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> int:
    """Write `to_bytes` to a file, whole or not at all; return its length in bytes."""
    content = to_bytes(tensors)
    data.write_whole(Path(path), content)
    return len(content)


def load_sparse(model: bytes | str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the tensors of a sparse file, the very bits that were stored.

    Parameters
    ----------
    model : the content of the file, or its path.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no such file, of another version, cut short or altered.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    content = model_files.content(model)
    try:
        return _Reader(content).tensors()
    except _FileError as error:
        raise ModelError(
            f"{model_files.name(model)}: not a whole sparse file: {error}; copy or write it anew"
        ) from None


def _tensor_parts(name: str, x: np.ndarray, encoding: str) -> list[bytes]:
    parts = [
        struct.pack("<B", len(name.encode())), name.encode(),
        struct.pack("<BBB", DTYPES.index(x.dtype.name), ENCODINGS.index(encoding), x.ndim),
        struct.pack(f"<{x.ndim}I", *x.shape),
    ]  # fmt: skip
    flat, stored = x.ravel(), bits_of(x) != 0
    if encoding == "bitmap":
        parts.append(np.packbits(stored, bitorder="little").tobytes())
    elif encoding in GAP_BITS:
        bits = GAP_BITS[encoding]
        codes = gap_codes(x, bits)
        packed = codes if bits == 8 else packing.pack(codes, bits)
        parts += [struct.pack("<I", len(codes)), packed.tobytes()]
    values = flat if encoding == "dense" else flat[stored]
    return [*parts, values.astype(x.dtype.newbyteorder("<")).tobytes()]


class _FileError(Exception):
    """What is wrong with a file."""


class _Reader:
    """Reads a file from front to back, and trusts nothing in it."""

    def __init__(self, content: bytes):
        self.content, self.at, self.numbers = content, 0, 0

    def take(self, count: int, what: str) -> bytes:
        left = len(self.content) - 4 - self.at  # the CRC comes last
        if count > left:
            raise _FileError(f"{what} needs {count:,} bytes at {self.at:,}, {max(left, 0):,} left")
        self.at += count
        return self.content[self.at - count : self.at]

    def tensors(self) -> dict[str, np.ndarray]:
        if self.content[:4] != MAGIC:
            raise _FileError(f"expected {MAGIC!r} at the beginning, found {self.content[:4]!r}")
        if len(self.content) < FILE_BYTES:
            raise _FileError(f"expected at least {FILE_BYTES} bytes, found {len(self.content)}")
        _, version, count = struct.unpack("<4sHH", self.take(8, "the beginning"))
        if version != VERSION:
            raise _FileError(f"expected version {VERSION}, found {version}")
        (expected,) = struct.unpack("<I", self.content[-4:])
        found = zlib.crc32(self.content[:-4])
        if found != expected:
            raise _FileError(f"expected CRC-32 {expected:08x}, found {found:08x}")
        tensors: dict[str, np.ndarray] = {}
        for _ in range(count):
            name, x = self.tensor()
            if name in tensors:
                raise _FileError(f"there are two tensors {name!r}")
            tensors[name] = x
        if self.at != len(self.content) - 4:
            raise _FileError(f"{len(self.content) - 4 - self.at:,} bytes too many at {self.at:,}")
        return tensors

    def tensor(self) -> tuple[str, np.ndarray]:
        try:
            name = self.take(self.take(1, "a name")[0], "a name").decode()
        except UnicodeDecodeError:
            raise _FileError(f"the name at {self.at:,} is not UTF-8") from None
        dtype, encoding, axes = self.take(3, name)
        if dtype >= len(DTYPES) or encoding >= len(ENCODINGS):
            raise _FileError(f"{name!r} has the unknown dtype {dtype} or encoding {encoding}")
        if axes > 64:
            raise _FileError(f"{name!r} has {axes} axes, expected at most 64")
        shape = struct.unpack(f"<{axes}I", self.take(4 * axes, name))
        size = math.prod(shape)
        self.numbers += room(shape)
        if self.numbers > MAX_NUMBERS:
            raise _FileError(f"{name!r} has the shape {shape}, too large by the limit for all")
        where = self.index(name, ENCODINGS[encoding], size)
        kind = np.dtype(DTYPES[dtype]).newbyteorder("<")
        count = size if where is None else len(where)
        values = np.frombuffer(self.take(count * kind.itemsize, name), kind)
        x = np.zeros(size, DTYPES[dtype])
        x[slice(None) if where is None else where] = values
        return name, x.reshape(shape)

    def index(self, name: str, encoding: str, size: int) -> np.ndarray | None:
        """Return where the values stand; None if they are all there."""
        if encoding == "dense":
            return None
        if encoding == "bitmap":
            bitmap = np.frombuffer(self.take(-(-size // 8), name), np.uint8)
            flags = np.unpackbits(bitmap, bitorder="little")
            if flags[size:].any():
                raise _FileError(f"{name!r} has a bitmap with bits behind its end")
            return np.flatnonzero(flags[:size])
        bits = GAP_BITS[encoding]
        (count,) = struct.unpack("<I", self.take(4, name))
        packed = np.frombuffer(self.take(-(-count * bits // 8), name), np.uint8)
        codes = packed if bits == 8 else packing.unpack(packed, (count,), bits, signed=False)
        if bits == 4 and count % 2 and packed[-1] >> 4:
            raise _FileError(f"{name!r} has gaps with bits behind their end")
        if count and codes[-1] == 2**bits - 1:
            raise _FileError(f"{name!r} has gaps that end without a value")
        where = gap_positions(codes, bits)
        if len(where) and where[-1] >= size:
            raise _FileError(f"{name!r} has a value at {where[-1]:,} of {size:,}")
        return where
