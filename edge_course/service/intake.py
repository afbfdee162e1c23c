"""What comes in: read up to a limit and checked, before it reaches the runtime.

A request is one input in NumPy's own format (``.npy``): a few bytes that name dtype and shape, then
the numbers. The format can carry pickled objects too; those are refused, nothing is unpickled.
"""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import AsyncIterator

import numpy as np

MAX_NPY_HEADER = 256  # bytes before the numbers; NumPy writes 128 for a picture
_VERSION = (1, 0)


class RefusedError(Exception):
    """A request that gets no answer, and why.

    Attributes
    ----------
    status : HTTP's number: 4xx if the request is at fault, 5xx if the service is.
    reason : one word for programs.
    text : one sentence for people.
    """

    def __init__(self, status: int, reason: str, text: str):
        super().__init__(text)
        self.status, self.reason, self.text = status, reason, text


def encode_input(x: np.ndarray) -> bytes:
    """Return one input as the bytes of a request.

    Parameters
    ----------
    x : one input, such as float32 (28, 28, 1).

    Taught in: notebooks/21_edge_service.ipynb
    """
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(x), version=_VERSION, allow_pickle=False)
    return file.getvalue()


def decode_input(body: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the input that a request holds.

    Parameters
    ----------
    body : what came from a socket.
    shape : the shape of one input.

    Returns
    -------
    np.ndarray
        float32 of that shape, finite.

    Raises
    ------
    RefusedError
        400 if it is no ``.npy``, or cut short; 422 if dtype, shape or numbers are not as expected.

    Taught in: notebooks/21_edge_service.ipynb
    """
    file = io.BytesIO(body)
    try:
        if np.lib.format.read_magic(file) != _VERSION:
            raise ValueError("expected version 1.0 of the format")
        found, by_columns, dtype = np.lib.format.read_array_header_1_0(
            file, max_header_size=MAX_NPY_HEADER
        )
    except Exception as error:  # numpy's parser raises whatever a hostile header makes it raise
        raise RefusedError(400, "not_npy", f"the body is not in .npy format: {error}") from None
    if dtype != np.dtype("<f4"):
        raise RefusedError(422, "dtype", f"expected float32, got {dtype}; use .astype('float32')")
    if found != shape:
        raise RefusedError(422, "shape", f"expected one input of shape {shape}, got {found}")
    numbers = body[file.tell() :]
    if len(numbers) != 4 * math.prod(shape):
        what = f"expected {4 * math.prod(shape)} bytes of numbers, got {len(numbers)}"
        raise RefusedError(400, "length", what)
    x = np.frombuffer(numbers, "<f4").reshape(shape, order="F" if by_columns else "C")
    if not np.isfinite(x).all():
        raise RefusedError(
            422, "not_finite", "there is NaN or infinity in it, expected finite numbers"
        )
    return x


async def read_body(
    chunks: AsyncIterator[bytes], announced: str | None, *, limit: int, seconds: float
) -> bytes:
    """Return the body of a request, if it is short enough and comes in time.

    Parameters
    ----------
    chunks : the body, as it arrives.
    announced : its length, as the request's ``Content-Length`` says; None if it does not.
    limit : bytes; a longer body is refused, and not read to its end.
    seconds : in which all of it must have come.

    Raises
    ------
    RefusedError
        413 if it is too long, 408 if it takes too long.
    """
    too_long = RefusedError(413, "too_long", f"the body has more than {limit} bytes")
    if announced is not None and int(announced) > limit:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                body += chunk
                if len(body) > limit:
                    raise too_long
    except TimeoutError:
        text = f"the body did not come in {seconds:g} s"
        raise RefusedError(408, "slow", text) from None
    return bytes(body)
