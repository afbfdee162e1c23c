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
* gaps: uint32, the number of codes; then the codes of `gap_codes`, packed. The numbers behind
  the last value are zeros.

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
from typing import NamedTuple

import numpy as np

from edge_course import data
from edge_course.quantization import packing
from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError

ENCODINGS = ("dense", "bitmap", "gaps of 4 bits", "gaps of 8 bits")
STORED_DTYPES = ("float32", "float16", "int8", "int32")
FILE_BYTES = 12  # of a file without tensors: beginning and checksum
MAX_NUMBERS = 2**26  # in a file: a few bytes must not ask for all the memory
_GAP_BITS = {"gaps of 4 bits": 4, "gaps of 8 bits": 8}
_MAGIC, _FORMAT = b"ECSP", 1


class Size(NamedTuple):
    """The bytes of a stored tensor."""

    encoding: str
    values: int
    index: int  # says where the values stand
    header: int  # name, dtype, encoding and shape

    @property
    def total(self) -> int:
        """All bytes of the tensor."""
        return self.values + self.index + self.header


def gap_codes(x: np.ndarray, bits: int) -> np.ndarray:
    """Return the gaps between the numbers that are not zero, as codes of some bits.

    A code counts the zeros in front of a number. The largest code, 2^bits − 1, says "so many
    zeros, and no number yet": the next code goes on. So a gap g takes ⌊g / (2^bits − 1)⌋
    such codes and one for the rest. Han et al. (2016), "Deep Compression", section 2, stores
    a zero as a number instead where a gap is too large. Zeros at the end have no code.

    Parameters
    ----------
    x : numbers, any shape, read in order.
    bits : of a code, 1 to 8; otherwise a ValueError is raised.

    Returns
    -------
    np.ndarray
        uint8 (codes,).

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    if bits not in range(1, 9):
        raise ValueError(f"expected 1 to 8 bits, got {bits}")
    longest = 2**bits - 1
    gaps = np.diff(np.flatnonzero(_not_zero(x)), prepend=-1) - 1
    ends = np.cumsum(gaps // longest + 1)  # each gap ends with the code of its rest
    codes = np.full(ends[-1] if len(ends) else 0, longest, np.uint8)
    codes[ends - 1] = gaps % longest
    return codes


def gap_positions(codes: np.ndarray, bits: int) -> np.ndarray:
    """Return where the numbers stand that codes of `gap_codes` lead to: int64, ascending."""
    goes_on = codes == 2**bits - 1
    steps = codes.astype(np.int64) + ~goes_on
    return np.cumsum(steps)[~goes_on] - 1


def tensor_sizes(x: np.ndarray, name: str = "") -> dict[str, Size]:
    """Return the bytes that each encoding takes: counted, not written.

    A ValueError says which tensors do not fit the format, here and in `to_bytes`.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    x = _storable(name, x)
    header = 1 + len(name.encode()) + 3 + 4 * x.ndim
    values = int(_not_zero(x).sum()) * x.itemsize
    sizes = {
        "dense": Size("dense", x.nbytes, 0, header),
        "bitmap": Size("bitmap", values, math.ceil(x.size / 8), header),
    }
    for encoding, bits in _GAP_BITS.items():
        index = 4 + math.ceil(len(gap_codes(x, bits)) * bits / 8)  # 4: the number of codes
        sizes[encoding] = Size(encoding, values, index, header)
    return sizes


def tensor_size(x: np.ndarray, name: str = "") -> Size:
    """Return the bytes of a tensor in the encoding that takes fewest; see `tensor_sizes`.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return min(tensor_sizes(x, name).values(), key=lambda size: size.total)


def sparse_bytes(tensors: Mapping[str, np.ndarray]) -> int:
    """Return the length of the file that `to_bytes` makes of these tensors, without making it.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return FILE_BYTES + sum(tensor_size(x, name).total for name, x in tensors.items())


def to_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Return the content of a file with these tensors, each in the smallest encoding.

    Parameters
    ----------
    tensors : name → float32, float16, int8 or int32; names of at most 255 bytes.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    arrays = {name: _storable(name, x) for name, x in tensors.items()}
    if len(arrays) >= 2**16 or sum(_room(x.shape) for x in arrays.values()) > MAX_NUMBERS:
        raise ValueError(f"expected at most 65,535 tensors and {MAX_NUMBERS:,} numbers in all")
    parts = [struct.pack("<4sHH", _MAGIC, _FORMAT, len(arrays))]
    parts += [_tensor_bytes(name, x, tensor_size(x, name).encoding) for name, x in arrays.items()]
    content = b"".join(parts)
    return content + struct.pack("<I", zlib.crc32(content))


def save_sparse(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> int:
    """Write `to_bytes` to a file, whole or not at all; return its length in bytes."""
    content = to_bytes(tensors)
    data.write_whole(Path(path), content)
    return len(content)


def load_sparse(model: bytes | str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the tensors of a sparse file, given by its content or path: the very bits stored.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it is no such file, of another version, cut short or altered.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    content = model_files.content(model)
    try:
        return _Reader(content).tensors()
    except ValueError as error:  # of the reader, of UTF-8, of an array's shape
        raise ModelError(
            f"{model_files.name(model)}: not a whole sparse file: {error}; copy or write it anew"
        ) from None


def _tensor_bytes(name: str, x: np.ndarray, encoding: str) -> bytes:
    header = struct.pack(f"<B{len(name.encode())}s", len(name.encode()), name.encode())
    kinds = STORED_DTYPES.index(x.dtype.name), ENCODINGS.index(encoding)
    header += struct.pack(f"<BBB{x.ndim}I", *kinds, x.ndim, *x.shape)
    stored, index = _not_zero(x), b""
    if encoding == "dense":
        stored[:] = True
    elif encoding == "bitmap":
        index = np.packbits(stored, bitorder="little").tobytes()
    else:
        codes = gap_codes(x, _GAP_BITS[encoding])
        packed = codes if encoding == "gaps of 8 bits" else packing.pack(codes, 4)
        index = struct.pack("<I", len(codes)) + packed.tobytes()
    return header + index + x.ravel()[stored].astype(x.dtype.newbyteorder("<")).tobytes()


def _expect(right: bool, problem: str) -> None:
    if not right:
        raise ValueError(problem)


class _Reader:
    """Reads a file from front to back, and trusts nothing in it."""

    def __init__(self, content: bytes):
        self.content, self.at, self.numbers = content, 0, 0

    def take(self, count: int, what: str) -> bytes:
        left = max(len(self.content) - 4 - self.at, 0)  # the checksum comes last
        _expect(count <= left, f"{what} needs {count:,} bytes at {self.at:,}, {left:,} left")
        self.at += count
        return self.content[self.at - count : self.at]

    def tensors(self) -> dict[str, np.ndarray]:
        magic, length = self.content[:4], len(self.content)
        _expect(magic == _MAGIC, f"expected {_MAGIC!r} at the beginning, found {magic!r}")
        _expect(length >= FILE_BYTES, f"expected at least {FILE_BYTES} bytes, found {length}")
        _, version, count = struct.unpack("<4sHH", self.take(8, "the beginning"))
        _expect(version == _FORMAT, f"expected version {_FORMAT}, found {version}")
        (expected,), crc = struct.unpack("<I", self.content[-4:]), zlib.crc32(self.content[:-4])
        _expect(crc == expected, f"expected CRC-32 {expected:08x}, found {crc:08x}")
        tensors: dict[str, np.ndarray] = {}
        for _ in range(count):
            name, x = self.tensor()
            _expect(name not in tensors, f"there are two tensors {name!r}")
            tensors[name] = x
        more = length - 4 - self.at
        _expect(more == 0, f"{more:,} bytes too many at {self.at:,}")
        return tensors

    def tensor(self) -> tuple[str, np.ndarray]:
        name = self.take(self.take(1, "a name")[0], "a name").decode()
        dtype, encoding, axes = self.take(3, name)
        known = dtype < len(STORED_DTYPES) and encoding < len(ENCODINGS)
        _expect(known, f"{name!r} has the unknown dtype {dtype} or encoding {encoding}")
        shape = struct.unpack(f"<{axes}I", self.take(4 * axes, name))
        self.numbers += _room(shape)
        _expect(self.numbers <= MAX_NUMBERS, f"{name!r} has the shape {shape}: too large")
        x = np.zeros(math.prod(shape), STORED_DTYPES[dtype])
        places = self.places(name, ENCODINGS[encoding], x.size)
        values = self.take(len(places) * x.itemsize, name)
        x[places] = np.frombuffer(values, x.dtype.newbyteorder("<"))
        return name, x.reshape(shape)

    def places(self, name: str, encoding: str, size: int) -> np.ndarray:
        """Return where the values stand."""
        if encoding == "dense":
            return np.arange(size)
        if encoding == "bitmap":
            bitmap = np.frombuffer(self.take(math.ceil(size / 8), name), np.uint8)
            places = np.flatnonzero(np.unpackbits(bitmap, bitorder="little"))
            _expect((places < size).all(), f"{name!r} has a bitmap with bits behind its end")
            return places
        bits = _GAP_BITS[encoding]
        (count,) = struct.unpack("<I", self.take(4, name))
        packed = np.frombuffer(self.take(math.ceil(count * bits / 8), name), np.uint8)
        codes = packed if bits == 8 else packing.unpack(packed, (2 * len(packed),), 4, signed=False)
        _expect(not codes[count:].any(), f"{name!r} has gaps with bits behind their end")
        codes = codes[:count]
        _expect(2**bits - 1 not in codes[-1:], f"{name!r} has gaps that end without a value")
        places = gap_positions(codes, bits)
        last = places.max(initial=-1)
        _expect(last < size, f"{name!r} has a value at {last:,} of {size:,}")
        return places


def _not_zero(x: np.ndarray) -> np.ndarray:
    """Tell of each number, in the order of memory, whether any of its bits is set."""
    x = np.ascontiguousarray(x)
    return x.view(f"u{x.itemsize}").ravel() != 0


def _storable(name: str, x: np.ndarray) -> np.ndarray:
    """Return a tensor as it is, or say why the format cannot store it."""
    x = np.asarray(x)
    if x.dtype.name not in STORED_DTYPES or not x.dtype.isnative:
        raise ValueError(f"{name}: expected one of {', '.join(STORED_DTYPES)}, got {x.dtype}")
    if len(name.encode()) > 255 or _room(x.shape) > MAX_NUMBERS:
        raise ValueError(
            f"{name[:40]}: expected a name of at most 255 bytes and at most {MAX_NUMBERS:,} "
            f"numbers, got {len(name.encode())} and the shape {x.shape}"
        )
    return x


def _room(shape: tuple[int, ...]) -> int:
    """Return how many numbers a shape has room for; an axis of length 0 does not make it 0."""
    return math.prod(max(size, 1) for size in shape)
