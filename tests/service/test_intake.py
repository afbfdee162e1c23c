"""What comes in is read up to a limit and in time, and is what it says, or it is refused."""

import asyncio
import io

import numpy as np
import pytest

from edge_course.service.intake import RefusedError, decode_input, encode_input, read_body
from tests.support.effort import effort
from tests.support.malformed import malformed

GOOD = np.random.default_rng(0).random((28, 28, 1), np.float32)


@pytest.mark.parametrize("x", [GOOD, GOOD.transpose(1, 0, 2), np.asfortranarray(GOOD), GOOD[::-1]])
def test_what_numpy_saves_comes_back(x):
    np.testing.assert_array_equal(decode_input(encode_input(x), x.shape), x)
    file = io.BytesIO()
    np.save(file, x)
    np.testing.assert_array_equal(decode_input(file.getvalue(), x.shape), x)


def test_numpy_reads_what_is_sent():
    np.testing.assert_array_equal(np.load(io.BytesIO(encode_input(GOOD))), GOOD)


def test_what_is_malformed_is_refused_with_its_reason():
    refused = 0
    for body, reasons in malformed(GOOD, effort(2000, 20_000), seed=1):
        with pytest.raises(RefusedError) as refusal:
            decode_input(body, GOOD.shape)
        assert 400 <= refusal.value.status < 500
        # Without the limit of `read_body`, what is too long is only of the wrong length.
        assert refusal.value.reason in {"length" if r == "too_long" else r for r in reasons}
        refused += 1
    assert refused == effort(2000, 20_000)


def test_any_flipped_bit_of_the_header_is_harmless():
    """It is refused, or it changes nothing: the numbers are those that were sent."""
    body = encode_input(GOOD)
    for bit in range(8 * 128):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            x = decode_input(bytes(flipped), GOOD.shape)
        except RefusedError:
            continue
        np.testing.assert_array_equal(x, GOOD)


def read(chunks, announced=None, *, limit=10, seconds=5.0, gap=0.0):
    async def arriving():
        for chunk in chunks:
            await asyncio.sleep(gap)
            yield chunk

    return asyncio.run(read_body(arriving(), announced, limit=limit, seconds=seconds))


def test_a_body_is_joined():
    assert read([b"abc", b"", b"defg"]) == b"abcdefg"
    assert read([b"0123456789"], "10") == b"0123456789"


@pytest.mark.parametrize(
    ("given", "reason", "status"),
    [
        ({"chunks": [b"a"], "announced": "11"}, "too_long", 413),
        ({"chunks": [b"012345", b"678910"]}, "too_long", 413),
        ({"chunks": [b"a", b"b"], "gap": 5.0, "seconds": 0.01}, "slow", 408),
    ],
)
def test_a_body_that_is_too_long_or_too_slow_is_refused(given, reason, status):
    with pytest.raises(RefusedError) as refusal:
        read(**given)
    assert (refusal.value.reason, refusal.value.status) == (reason, status)


def test_a_long_body_is_not_read_to_its_end():
    seen = []

    def chunks():
        for i in range(1000):
            seen.append(i)
            yield b"1234"

    with pytest.raises(RefusedError, match="more than 10 bytes"):
        read(chunks())
    assert len(seen) == 3
