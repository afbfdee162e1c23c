"""Requests that a service must refuse, each with the reason that it must give."""

import io
import random
import struct

import numpy as np

from edge_course.service.intake import encode_input


def _npy(header: str, numbers: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + numbers


def _pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{}], object), allow_pickle=True)
    return file.getvalue()


def _zipped(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x)
    return file.getvalue()


def malformed(good: np.ndarray, count: int, seed: int) -> list[tuple[bytes, set[str]]]:
    """Return bodies that are no request for one input, and the reasons that may be given.

    Parameters
    ----------
    good : a right input.
    count : how many bodies.
    seed : of what is random.
    """
    rng = random.Random(seed)
    body, shape, size = encode_input(good), good.shape, good.nbytes
    numbers = body[-size:]

    def spoilt(value: float) -> bytes:
        bad = good.copy()
        bad.flat[rng.randrange(bad.size)] = value
        return encode_input(bad)

    def header(dtype: str = "<f4", shape: object = shape, order: bool = False) -> bytes:
        return _npy(f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}}}", numbers)

    def other_shape() -> bytes:
        found = rng.choice([shape[1:], (*shape, 1), (1, *shape), (0,), (), (-1, 28), (10**12,)])
        return header(shape=found)

    kinds = (
        (lambda: rng.randbytes(rng.randrange(size)), {"not_npy"}),
        (lambda: body[: rng.randrange(100)], {"not_npy"}),
        (lambda: body[: -rng.randrange(1, size)], {"length"}),
        (lambda: body + rng.randbytes(rng.randrange(1, 100)), {"length"}),
        (lambda: body + bytes(rng.randrange(2 * size, 10 * size)), {"too_long"}),
        (lambda: spoilt(rng.choice([np.nan, np.inf, -np.inf])), {"not_finite"}),
        (
            lambda: encode_input(good.astype(rng.choice(["u1", "i1", "f2", "<i4", "<f8"]))),
            {"dtype"},
        ),
        (lambda: header(rng.choice([">f4", "<f8", "<c8", "<U1", "|V4"])), {"dtype"}),
        (lambda: header([("a", "<f4")]), {"dtype", "not_npy"}),
        (lambda: header(rng.choice(["|O", "nothing", "", "<f400"])), {"dtype", "not_npy"}),
        (other_shape, {"shape", "not_npy"}),
        (_pickled, {"dtype"}),
        (lambda: _zipped(good), {"not_npy"}),
        (lambda: b"", {"not_npy"}),
        (lambda: b'{"instances": [[0.0]]}', {"not_npy"}),
        (lambda: _npy("(" * rng.randrange(1, 200)), {"not_npy"}),
        (lambda: _npy("{'descr': __import__('os')}"), {"not_npy"}),
        (lambda: _npy("[]" + " " * 300), {"not_npy"}),
        (lambda: b"\x93NUMPY\x02\x00" + body[8:], {"not_npy"}),
        (lambda: b"\x93NUMPY\x01\x00\xff\xff" + body[10:], {"not_npy"}),
    )
    return [(kinds[i % len(kinds)][0](), kinds[i % len(kinds)][1]) for i in range(count)]
