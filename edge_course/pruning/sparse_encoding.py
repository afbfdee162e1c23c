"""How to store a tensor with many zeros, and how many bytes that takes: counted, not written.

The values that are not zero are stored, and an index that says where they stand: a bitmap, or
the gaps between them. `sparse_file` writes and reads the bytes that are counted here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

DTYPES = ("float32", "float16", "int8", "int32")
ENCODINGS = ("dense", "bitmap", "gaps of 4 bits", "gaps of 8 bits")
GAP_BITS = {"gaps of 4 bits": 4, "gaps of 8 bits": 8}
MAX_NUMBERS = 2**26  # in a file: a few bytes must not ask for all the memory
FILE_BYTES = 4 + 2 + 2 + 4  # of a file without tensors: magic, version, count, CRC-32


class Size(NamedTuple):
    """Where the bytes of a stored tensor go.

    Attributes
    ----------
    encoding : one of `ENCODINGS`.
    values : bytes of the values.
    index : bytes that say where the values stand.
    header : bytes of name, dtype, encoding and shape.
    """

    encoding: str
    values: int
    index: int
    header: int

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
    bits : of a code, 1 to 8.

    Returns
    -------
    np.ndarray
        uint8 (codes,).

    Raises
    ------
    ValueError
        If bits are not from 1 to 8.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    if bits not in range(1, 9):
        raise ValueError(f"expected 1 to 8 bits, got {bits}")
    longest = 2**bits - 1
    gaps = np.diff(np.flatnonzero(bits_of(x)), prepend=-1) - 1
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
    """Return the bytes that each encoding would take: encoding → `Size`.

    It is computed from the number of values and the gaps between them, not by writing.

    Parameters
    ----------
    x : float32, float16, int8 or int32.
    name : of the tensor.

    Raises
    ------
    ValueError
        If the dtype is another one, or name or shape do not fit the format.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    x = checked(name, x)
    header = 1 + len(name.encode()) + 3 + 4 * x.ndim
    where = np.flatnonzero(bits_of(x))
    values = len(where) * x.itemsize
    sizes = {
        "dense": Size("dense", x.nbytes, 0, header),
        "bitmap": Size("bitmap", values, (x.size + 7) // 8, header),
    }
    before = np.concatenate([[-1], where])[: len(where)]
    for encoding, bits in GAP_BITS.items():
        codes = len(where) + int(np.sum((where - before - 1) // (2**bits - 1)))
        sizes[encoding] = Size(encoding, values, 4 + math.ceil(codes * bits / 8), header)
    return sizes


def tensor_size(x: np.ndarray, name: str = "") -> Size:
    """Return the bytes of a tensor in the encoding that takes fewest; see `tensor_sizes`.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return min(tensor_sizes(x, name).values(), key=lambda size: size.total)


def sparse_bytes(tensors: Mapping[str, np.ndarray]) -> int:
    """Return the length of the file that `sparse_file.to_bytes` makes, without making it.

    Parameters
    ----------
    tensors : name → float32, float16, int8 or int32.

    Raises
    ------
    ValueError
        If a tensor does not fit the format.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    return FILE_BYTES + sum(tensor_size(x, name).total for name, x in tensors.items())


def bits_of(x: np.ndarray) -> np.ndarray:
    """Return numbers as the unsigned integers that have the same bits, in one row."""
    x = np.ascontiguousarray(x)
    return x.view(f"u{x.itemsize}").ravel()


def checked(name: str, x: np.ndarray) -> np.ndarray:
    """Return a tensor as it is, or say why the format cannot store it."""
    x = np.asarray(x)
    if x.dtype.name not in DTYPES or not x.dtype.isnative:
        raise ValueError(f"{name}: expected one of {', '.join(DTYPES)}, got {x.dtype}")
    if len(name.encode()) > 255 or room(x.shape) > MAX_NUMBERS:
        raise ValueError(
            f"{name[:40]}: expected a name of at most 255 bytes and at most {MAX_NUMBERS:,} "
            f"numbers, got {len(name.encode())} and the shape {x.shape}"
        )
    return x


def room(shape: tuple[int, ...]) -> int:
    """Return how many numbers a shape has room for; an axis of length 0 does not make it 0."""
    return math.prod(max(size, 1) for size in shape)
