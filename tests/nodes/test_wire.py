"""Messages come back as they were sent, and whatever else comes is one clear error."""

import ast
import contextlib
import hashlib
import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import SafetensorError
from safetensors.numpy import load

from edge_course.nodes import wire
from edge_course.nodes.wire import Message, WireError
from edge_course.runtimes import model_files
from tests.support.effort import effort

PACKAGE = Path(wire.__file__).parent
MODEL = "0123456789abcdef" * 2
NUMBERS = {"float32": 2.0**127, "float16": 65_504.0, "int8": 2.0**100}


def message(x, dtype="float32", **changes) -> Message:
    fields = {"kind": "request", "model": MODEL, "cut": "pool", "request": 7}
    return Message(**(fields | {"tensors": {"pool": x}, "dtype": dtype} | changes))


def arrays(dtype: str) -> st.SearchStrategy:
    numbers = st.floats(-NUMBERS[dtype], NUMBERS[dtype], width=32)
    return hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4), elements=numbers)


names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20).filter(
    lambda name: name != "__metadata__"
)


@st.composite
def messages(draw) -> Message:
    kind = draw(st.sampled_from(wire.MESSAGE_KINDS))
    common = {
        "model": draw(st.binary(min_size=16, max_size=16)).hex(),
        "cut": draw(names),
        "request": draw(st.integers(0, 2**32 - 1)),
    }
    if kind == "failure":
        return Message(kind, **common, text=draw(names))
    dtype = draw(st.sampled_from(wire.MESSAGE_DTYPES))
    tensors = draw(st.dictionaries(names, arrays(dtype), min_size=1, max_size=3))
    return Message(kind, **common, tensors=tensors, dtype=dtype)


@given(messages())
def test_what_was_sent_comes_back(sent):
    got = wire.decode(wire.encode(sent))
    assert (got.kind, got.model, got.cut, got.request, got.text) == (
        sent.kind, sent.model, sent.cut, sent.request, sent.text
    )  # fmt: skip
    assert got.tensors.keys() == sent.tensors.keys()
    for name, x in sent.tensors.items():
        y = got.tensors[name]
        assert y.dtype == np.float32 and y.shape == x.shape
        if sent.dtype == "float32":
            assert y.tobytes() == np.asarray(x, order="C").tobytes()
        elif sent.dtype == "float16":
            np.testing.assert_array_equal(y, x.astype(np.float16).astype(np.float32))
        else:  # the range with 0 in it has 255 steps; the nudged zero point moves it by half of one
            low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
            step = max(high - low, 2e-6) / 255
            assert np.abs(y.astype(float) - x).max() <= step * (1 + 1e-4)


def test_a_tensor_that_is_not_contiguous_is_sent_as_it_looks():
    x = np.arange(12, dtype="float32").reshape(3, 4).T
    for dtype in ("float32", "float16"):
        np.testing.assert_array_equal(
            wire.decode(wire.encode(message(x, dtype))).tensors["pool"], x
        )


@pytest.mark.parametrize("shape", [(1, 32, 26, 26), (1, 32, 13, 13), (1, 96, 7, 7), (100, 128)])
def test_int8_needs_almost_4_times_fewer_bytes(shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    sizes = {dtype: len(wire.encode(message(x, dtype))) for dtype in wire.MESSAGE_DTYPES}
    assert sizes["float32"] - x.nbytes <= 180
    assert sizes["float32"] / sizes["int8"] >= 3.85
    assert sizes["float32"] / sizes["float16"] >= 1.95


def test_the_fingerprint_is_half_of_sha256():
    assert model_files.fingerprint(b"model") == hashlib.sha256(b"model").hexdigest()[:32]


GOOD = np.float32([[0.5, -1.0]])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (message(GOOD, kind="question"), "kind request, reply, failure .* got 'question'"),
        (message(GOOD, "float64"), "a dtype of float32, float16, int8, got .*'float64'"),
        (message(GOOD, model="abc"), "32 hexadecimal digits"),
        (message(GOOD, model="12" * 15), "32 hexadecimal digits"),
        (message(GOOD, model="AB" * 16), "32 hexadecimal digits"),
        (message(GOOD, request=-1), "a request from 0"),
        (message(GOOD, request=2**32), "a request from 0"),
        (message(GOOD, cut=""), "the cut's name must have 1 to 255 bytes"),
        (message(GOOD, cut="é" * 128), "the cut's name must have 1 to 255 bytes"),
        (message(GOOD, cut="two\nlines"), "the cut's name must have .* all printable"),
        (message(GOOD, tensors={}), "expected tensors"),
        (message(GOOD, kind="failure", text="why"), "in a failure none"),
        (message(GOOD, tensors={"": GOOD}), "a tensor's name must have 1 to 255 bytes"),
        (message(GOOD, tensors={"\ud800": GOOD}), "a tensor's name must have"),
        (message(GOOD, tensors={"__metadata__": GOOD}), "a tensor's name cannot be"),
        (message(GOOD, tensors={f"{i:0255}": GOOD for i in range(99)}), "more than 16384"),
        (message(GOOD.astype(float)), "'pool' to be a float32 array, got float64"),
        (message([0.5]), "'pool' to be a float32 array, got list"),
        (message(np.zeros((0, 3), "float32")), r"is empty: .* shape \(0, 3\)"),
        (message(np.float32([1, np.nan])), "NaN or infinity"),
        (message(np.float32([1, np.inf]), "int8"), "NaN or infinity"),
        (message(np.float32([70_000]), "float16"), "too large for float16"),
        (message(np.zeros(17_000_000, "float32")), "more than 67108864 bytes"),
    ],
)
def test_what_cannot_be_sent_is_said(bad, words):
    with pytest.raises(ValueError, match=words):
        wire.encode(bad)


def test_a_long_failure_is_cut_between_letters():
    text = wire.decode(wire.encode(Message("failure", MODEL, "pool", 1, text="é" * 1500))).text
    assert text == "é" * (wire.MAX_TEXT // 2)


# What comes from a socket ------------------------------------------------------------------


def resealed(data: bytes) -> bytes:
    """Return a message with a checksum that is right, made by zlib."""
    return struct.pack("<I", zlib.crc32(data[4:])) + data[4:]


def with_header(data: bytes, header: bytes) -> bytes:
    """Return a message with another safetensors header, and a checksum that is right."""
    length = int.from_bytes(data[4:12], "little")
    return resealed(bytes(4) + len(header).to_bytes(8, "little") + header + data[12 + length :])


LINES = ["2", "request", MODEL, "7", "pool", ""]
ENTRY = "\n".join(LINES)


def header(dtype="F32", shape=(1, 2), offsets=(0, 8), *, entry=ENTRY, **more) -> bytes:
    tensor = {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}
    fields = {"__metadata__": {"edge_course": entry}, "pool": tensor}
    raw = json.dumps(fields, separators=(",", ":")).encode()
    return raw + b" " * (-len(raw) % 8)


def lines(**changes: str) -> bytes:
    """Return a header in which some of the six lines are others, by their number."""
    return header(entry="\n".join(changes.get(f"line{i}", line) for i, line in enumerate(LINES)))


def test_the_header_made_by_hand_here_is_the_real_one():
    data = wire.encode(message(GOOD))
    assert with_header(data, header()) == data


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (header("I64", (1, 1)), "one dtype of float32, float16, int8"),
        (header("F64", (1, 1)), "one dtype"),
        (header("I8", (1, 8)), "0 scales and zero points for 1 int8 tensors"),
        (header("F8_E4M3", (1, 8)), "not a message in safetensors"),
        (header("PICKLE"), "not a message in safetensors"),
        (header(shape=(2**40, 2**40)), "not a message in safetensors"),
        (header(shape=(-1, -2)), "not a message in safetensors"),
        (header(shape=(0,), offsets=(0, 0)), "not a message in safetensors"),
        (header(shape=(1,) * 70 + (2,)), "not a message in safetensors"),
        (header(offsets=(0, 2**63)), "not a message in safetensors"),
        (header(offsets=(8, 0)), "not a message in safetensors"),
        (header(shape=(1, 1), offsets=(4, 8)), "not a message in safetensors"),
        (header(code="import os"), "not a message|not in the form"),
        (header()[:-1].rstrip() + b" " * 9, "not in the form"),
        (header().replace(b'{"edge', b'{"a":"b","edge'), "not in the form"),
        (header().replace(b'{"edge', b'{"edge_course":"","edge'), "not a message|not in the form"),
        (header().replace(b"edge_course", b"edge"), "not a message in safetensors"),
        (b'{"pool":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}', "not a message"),
        (b"[" * 8000, "not a message in safetensors"),
        (b" " * 17_000, "a header of 17000 bytes"),
        (b"", "not a message in safetensors"),
        (b"\x80\x04N.", "not a message in safetensors"),
        (b"{}", "not a message in safetensors"),
        (lines(line0="1"), "a message of version '1': both ends need 2"),
        (lines(line1="question"), "kind request, reply, failure"),
        (lines(line1="failure"), "the text of a failure must have"),
        (lines(line1="failure", line5="why"), "in a failure none"),
        (lines(line2="no model"), "32 hexadecimal digits"),
        (lines(line2=MODEL.upper()), "32 hexadecimal digits"),
        (lines(line3="-1"), "a request from 0"),
        (lines(line3="007"), "not in the form"),
        (lines(line3="7.0"), "the message cannot be used"),
        (lines(line3="9" * 5000), "the message cannot be used"),
        (lines(line4=""), "the cut's name must have"),
        (lines(line4="\a"), "the cut's name must have"),
        (lines(line5="more"), "not in the form"),
        (header(entry="2\nrequest"), "not a message in safetensors"),
    ],
)  # fmt: skip
def test_a_hostile_header_is_refused(bad, words):
    with pytest.raises(WireError, match=words) as caught:
        wire.decode(with_header(wire.encode(message(GOOD)), bad))
    assert "\n" not in str(caught.value)


def test_a_header_that_promises_terabytes_allocates_nothing():
    data = bytearray(wire.encode(message(GOOD)))
    data[4:12] = (2**42).to_bytes(8, "little")
    with pytest.raises(WireError, match=f"a header of {2**42} bytes"):
        wire.decode(resealed(bytes(data)))


def int8_message(scales: str) -> bytes:
    data = wire.encode(message(GOOD, "int8"))
    entry = "\n".join([*LINES[:5], scales])
    return with_header(data, header("I8", (1, 2), (0, 2), entry=entry))


def test_scale_and_zero_point_by_hand_are_the_real_ones():
    scale = np.float32(1.5) / np.float32(255)
    data = int8_message(f"{scale!s} 42")  # -128 + 1 / scale = 42
    assert data == wire.encode(message(GOOD, "int8"))


@pytest.mark.parametrize(
    "scales",
    ["nan 0", "inf 0", "-inf 0", "0.0 0", "-1.0 0", "3e+38 0", "1e999 0", "x 0", "0.5 x", "0.5 128",
     "0.5 0.5", f"0.5 {10**30}", "0.5", "0.5 0 0.5 0", "", "0.50 0", "0.5  0", "0.5 0 "],
)  # fmt: skip
def test_a_scale_that_is_none_is_refused(scales):
    with pytest.raises(WireError, match="the message cannot be used"):
        wire.decode(int8_message(scales))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(number):
    data = wire.encode(message(GOOD))
    data = data[:-8] + struct.pack("<2f", 1.0, number)
    with pytest.raises(WireError, match="NaN or infinity"):
        wire.decode(resealed(data))


@pytest.mark.parametrize("data", [b"", b"xyz", b"x" * 100, bytearray(100), None, "text"])
def test_what_is_no_message_at_all(data):
    with pytest.raises(WireError, match="message"):
        wire.decode(data)


VALID = [
    wire.encode(message(x, dtype, tensors=tensors))
    for x in (GOOD, np.linspace(-3, 3, 60, dtype="float32").reshape(3, 4, 5))
    for dtype in wire.MESSAGE_DTYPES
    for tensors in ({"pool": x}, {"a": x, "b": GOOD, "c": x.ravel()})
] + [wire.encode(Message("failure", MODEL, "pool", 7, text="the server is overloaded"))]


def test_the_checksum_finds_what_safetensors_does_not():
    """Every flipped bit of the numbers is a number again; of the header, many are."""
    data = wire.encode(message(GOOD))
    goes_through = {"header": 0, "numbers": 0}
    for bit in range(32, 8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(SafetensorError):
            load(bytes(flipped[4:]))
            goes_through["header" if bit < 8 * (len(data) - GOOD.nbytes) else "numbers"] += 1
        with pytest.raises(WireError, match="checksum"):
            wire.decode(bytes(flipped))
    assert goes_through["numbers"] == 8 * GOOD.nbytes
    assert goes_through["header"] > 100


def mutated(data: bytes, r: random.Random) -> bytes:
    """Return a message after one of the things that happen to bytes."""
    at = r.randint(0, max(0, len(data) - 1))
    end = r.randint(at, len(data))
    match r.randrange(7):
        case 0:  # truncated
            return data[:at]
        case 1:  # a bit flipped
            flipped = bytes(byte ^ (1 << r.randrange(8)) for byte in data[at : at + 1])
            return data[:at] + flipped + data[at + 1 :]
        case 2:  # spliced with another message
            other = r.choice(VALID)
            return data[:at] + other[r.randint(0, len(other)) :]
        case 3:  # random bytes put in
            return data[:at] + r.randbytes(r.randrange(20)) + data[at:]
        case 4:  # random bytes instead
            return data[:at] + r.randbytes(end - at) + data[end:]
        case 5:  # a piece twice
            return data[:end] + data[at:end] + data[end:]
        case _:  # a hostile header
            words = ["9" * 30, "-1", "null", "[[[[", '"F8_E4M3"', '"BOOL"', "\x00", '{"a":1}']
            return data[:at] + r.choice(words).encode() + data[end:]


@st.composite
def mutations(draw) -> bytes:
    """Return a valid message after one to four mutations, drawn with one seed, as that is fast."""
    r = random.Random(draw(st.integers(0, 2**64 - 1)))
    data = r.choice(VALID)
    for _ in range(r.randint(1, 4)):
        data = mutated(data, r)
    # Half of them with a checksum that is right, so that what is behind it is reached.
    return resealed(data) if r.random() < 0.5 else data


@settings(
    max_examples=effort(1000, 10_000),
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(mutations())
def test_malformed_messages(data):
    try:
        got = wire.decode(data)
    except WireError as error:
        assert str(error)
    else:  # right by its checksum: then it is a message, and writes itself as the same bytes
        assert resealed(data) == data
        for x in got.tensors.values():
            assert x.dtype == np.float32 and np.isfinite(x).all() and x.size
        if got.dtype != "int8":
            assert wire.encode(got) == data


@settings(max_examples=300)
@given(st.data())
def test_any_damage_to_any_message_is_found(data):
    valid = data.draw(st.sampled_from(VALID))
    at = data.draw(st.integers(0, len(valid) - 1))
    bad = valid[:at] + bytes([valid[at] ^ data.draw(st.integers(1, 255))]) + valid[at + 1 :]
    with pytest.raises(WireError, match="checksum"):
        wire.decode(bad)
    with pytest.raises(WireError):
        wire.decode(valid[:at])


UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_in_the_package_unpickles(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not UNPICKLERS & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLERS
        elif isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            assert (node.arg, node.value.value) not in {
                ("allow_pickle", True), ("weights_only", False)
            }  # fmt: skip
