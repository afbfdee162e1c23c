"""Codes of 4, 2 or 1 bits packed into bytes: a processor has no smaller type."""

from __future__ import annotations

import math

import numpy as np


def pack(codes: np.ndarray, bits: int = 4) -> np.ndarray:
    """Return codes packed into bytes, the first code in the lowest bits of the first byte.

    That is LiteRT's order of 4-bit weights. A negative code is kept as its lowest bits
    (two's complement): −1 as 1111. What is left of the last byte is 0.

    Parameters
    ----------
    codes : integers, any shape; from −2^(bits−1) to 2^(bits−1) − 1 if they are signed, from
        0 to 2^bits − 1 if not (indices of a codebook).
    bits : of a code, 1, 2 or 4.

    Returns
    -------
    np.ndarray
        uint8, shape (⌈count · bits / 8⌉,).

    Raises
    ------
    ValueError
        If the codes are no integers or need more bits, or bits are not as above.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    codes, per_byte = np.asarray(codes), _per_byte(bits)
    if codes.dtype.kind not in "iu":
        raise ValueError(f"expected integer codes, got {codes.dtype}")
    signed = codes.dtype.kind == "i"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if codes.size and not low <= codes.min() <= codes.max() <= high:
        raise ValueError(
            f"expected {codes.dtype} codes of {bits} bits, from {low} to {high}, "
            f"got {codes.min()} to {codes.max()}"
        )
    fields = (codes.ravel() & (2**bits - 1)).astype(np.uint8)
    fields = np.pad(fields, (0, -len(fields) % per_byte))
    fields = fields.reshape(-1, per_byte)  # (bytes, codes in a byte)
    shifts = bits * np.arange(per_byte, dtype=np.uint8)
    return np.bitwise_or.reduce(fields << shifts, axis=1)


def unpack(
    packed: np.ndarray, shape: tuple[int, ...], bits: int = 4, *, signed: bool = True
) -> np.ndarray:
    """Return the codes that `pack` packed.

    Parameters
    ----------
    packed : uint8, one dimension, as many bytes as the codes need.
    shape : of the codes.
    bits : of a code, 1, 2 or 4.
    signed : the codes were signed.

    Returns
    -------
    np.ndarray
        int8, or uint8 if not signed, of that shape.

    Raises
    ------
    ValueError
        If there are more or fewer bytes than the shape needs, they are of another dtype, or
        bits are not as above.
    """
    packed, per_byte, count = np.asarray(packed), _per_byte(bits), math.prod(shape)
    if packed.dtype != np.uint8 or packed.shape != (-(-count // per_byte),):
        raise ValueError(
            f"expected {-(-count // per_byte)} bytes of {bits}-bit codes for the shape {shape}, "
            f"got {packed.dtype} {packed.shape}"
        )
    shifts = bits * np.arange(per_byte, dtype=np.uint8)
    fields = (packed[:, np.newaxis] >> shifts) & (2**bits - 1)  # (bytes, codes in a byte)
    fields = fields.ravel()[:count].reshape(shape)
    if not signed:
        return fields
    top = 2 ** (bits - 1)  # the bit of the sign counts −top instead of top
    return (fields ^ top).astype(np.int8) - np.int8(top)


def _per_byte(bits: int) -> int:
    if bits not in (1, 2, 4):
        raise ValueError(f"expected 1, 2 or 4 bits, got {bits!r}")
    return 8 // bits
