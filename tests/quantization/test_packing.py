"""Packed codes: an inverse, Python's big integers as the reference, and every refusal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edge_course.quantization import packing

SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)


@st.composite
def codes(draw):
    bits, signed = draw(st.sampled_from([1, 2, 4])), draw(st.booleans())
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    dtype = np.int8 if signed else np.uint8
    return bits, signed, draw(arrays(dtype, SHAPES, elements=st.integers(low, high)))


@given(codes())
def test_unpacking_gives_back_what_was_packed(case) -> None:
    bits, signed, given_codes = case
    packed = packing.pack(given_codes, bits)
    again = packing.unpack(packed, given_codes.shape, bits, signed=signed)
    assert np.array_equal(again, given_codes)
    assert (again.shape, again.dtype) == (given_codes.shape, given_codes.dtype)


@given(codes())
def test_the_bytes_are_those_of_one_long_binary_number(case) -> None:
    bits, _, given_codes = case
    number = sum((int(c) % 2**bits) << (bits * i) for i, c in enumerate(given_codes.ravel()))
    expected = number.to_bytes(-(-given_codes.size * bits // 8), "little")
    packed = packing.pack(given_codes, bits)
    assert (packed.dtype, packed.tobytes()) == (np.uint8, expected)


def test_bytes_by_hand() -> None:
    assert packing.pack(np.int8([1, -1, 7])).tolist() == [0xF1, 0x07]
    assert packing.pack(np.uint8([1, 2, 3, 0, 3]), 2).tolist() == [0b00_11_10_01, 0b11]
    assert packing.unpack(np.uint8([0x8F]), (2,)).tolist() == [-1, -8]


@pytest.mark.parametrize(
    ("codes", "bits", "message"),
    [
        (np.int8([8]), 4, "int8 codes of 4 bits, from -8 to 7, got 8 to 8"),
        (np.int8([-9, 0]), 4, "from -8 to 7, got -9 to 0"),
        (np.uint8([16]), 4, "uint8 codes of 4 bits, from 0 to 15"),
        (np.float32([1]), 4, "expected integer codes, got float32"),
        (np.int8([1]), 3, "expected 1, 2 or 4 bits, got 3"),
        (np.int8([1]), 8, "expected 1, 2 or 4 bits, got 8"),
    ],
)
def test_what_cannot_be_packed_is_refused(codes, bits, message) -> None:
    with pytest.raises(ValueError, match=message):
        packing.pack(codes, bits)


@pytest.mark.parametrize(
    ("packed", "shape"),
    [
        (np.uint8([1, 2]), (5,)),
        (np.uint8([1, 2]), (2,)),
        (np.int8([1]), (2,)),
        (np.uint8([[1]]), (2,)),
    ],
)
def test_bytes_that_do_not_fit_the_shape_are_refused(packed, shape) -> None:
    with pytest.raises(ValueError, match="bytes of 4-bit codes for the shape"):
        packing.unpack(packed, shape)
