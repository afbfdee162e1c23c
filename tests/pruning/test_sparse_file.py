"""Sparse files: the same bits come back, the length is what was counted, damage is found."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, from_dtype

from edge_course.pruning import sparse_file
from edge_course.runtimes.model_files import ModelError
from tests.support.effort import effort

SHAPES = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=7)


@st.composite
def tensors(draw) -> np.ndarray:
    """Any bits, from no zeros to zeros only; long gaps too."""
    dtype = np.dtype(draw(st.sampled_from(sparse_file.STORED_DTYPES)))
    x = draw(arrays(dtype, draw(SHAPES), elements=from_dtype(dtype), fill=st.just(dtype.type(0))))
    return np.repeat(x, draw(st.sampled_from([1, 1, 20, 300])), axis=0) if x.ndim else x


FILES = st.dictionaries(st.text(max_size=8), tensors(), max_size=4)


def sparse(shape, share: float, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    random = np.random.default_rng(seed)
    x = (10 * random.normal(size=shape)).astype(dtype)
    x[random.random(shape) < share] = 0
    return x


def same(first: dict, second: dict) -> bool:
    return list(first) == list(second) and all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        for a, b in zip(first.values(), second.values(), strict=True)
    )


@given(FILES)
def test_the_same_bits_come_back_and_the_length_is_what_was_counted(content) -> None:
    file = sparse_file.to_bytes(content)
    assert same(sparse_file.load_sparse(file), content)
    assert len(file) == sparse_file.sparse_bytes(content)
    assert file == sparse_file.to_bytes(content)


@pytest.mark.parametrize("encoding", sparse_file.ENCODINGS)
@given(x=tensors())
def test_every_encoding_gives_the_same_bits_in_the_counted_length(encoding, x) -> None:
    """Not only the smallest: each one written by hand of the writer, and read back."""
    parts = sparse_file._tensor_bytes("x", x, encoding)
    assert len(parts) == sparse_file.tensor_sizes(x, "x")[encoding].total
    content = b"ECSP" + struct.pack("<HH", 1, 1) + parts
    content += struct.pack("<I", zlib.crc32(content))
    assert same(sparse_file.load_sparse(content), {"x": x})


@pytest.mark.parametrize("share", [0, 0.3, 0.5, 0.8, 0.9, 0.97, 0.995, 1])
@pytest.mark.parametrize("dtype", sparse_file.STORED_DTYPES)
def test_the_smallest_encoding_is_chosen(share, dtype) -> None:
    x = sparse((60, 50), share, dtype=dtype)
    sizes = sparse_file.tensor_sizes(x, "x")
    best = min(size.total for size in sizes.values())
    assert len(sparse_file.to_bytes({"x": x})) == best + sparse_file.FILE_BYTES
    assert sparse_file.tensor_size(x, "x").total == best


def test_each_encoding_is_best_somewhere() -> None:
    shares = {0: "dense", 0.5: "bitmap", 0.9: "gaps of 4 bits", 0.99: "gaps of 8 bits"}
    for share, encoding in shares.items():
        assert sparse_file.tensor_size(sparse((300, 100), share)).encoding == encoding


def codes_by_counting(x, bits: int) -> list[int]:
    """The definition, one number at a time."""
    codes, zeros = [], 0
    for number in np.ravel(x):
        if number == 0:
            zeros += 1
            continue
        while zeros >= 2**bits - 1:
            codes.append(2**bits - 1)
            zeros -= 2**bits - 1
        codes.append(zeros)
        zeros = 0
    return codes


@given(st.lists(st.integers(0, 700), max_size=8), st.integers(0, 20), st.integers(1, 8))
def test_gaps_are_counted_and_lead_back(gaps, tail, bits) -> None:
    x = np.array([n for gap in gaps for n in [0] * gap + [1]] + [0] * tail, np.int8)
    codes = sparse_file.gap_codes(x, bits)
    assert codes.dtype == np.uint8 and codes.tolist() == codes_by_counting(x, bits)
    assert np.array_equal(sparse_file.gap_positions(codes, bits), np.flatnonzero(x))


def test_gaps_by_hand() -> None:
    x = np.zeros(25, np.float32)
    x[[0, 3, 19, 20]] = 1
    assert sparse_file.gap_codes(x, 4).tolist() == [0, 2, 15, 0, 0]  # 15 zeros are 15 and 0
    assert sparse_file.gap_codes(x, 2).tolist() == [0, 2, 3, 3, 3, 3, 3, 0, 0]


def test_a_file_by_hand() -> None:
    x = np.int8([[0, 0, 5], [0, 0, 0]])
    expected = (
        b"ECSP" b"\x01\x00" b"\x01\x00"  # magic, version, one tensor
        b"\x01w" b"\x02\x01\x02" b"\x02\x00\x00\x00\x03\x00\x00\x00"  # w: int8, bitmap, 2 × 3
        b"\x04" b"\x05"  # the third number is not zero; it is 5
    )  # fmt: skip
    expected += struct.pack("<I", zlib.crc32(expected))
    assert sparse_file.to_bytes({"w": x}) == expected
    assert sparse_file.load_sparse(expected)["w"].tolist() == x.tolist()


def test_minus_zero_and_nan_are_kept() -> None:
    x = np.float32([0, -0.0, np.nan, np.inf] + 50 * [0])
    assert sparse_file.tensor_size(x).values == 3 * 4
    assert sparse_file.load_sparse(sparse_file.to_bytes({"x": x}))["x"].tobytes() == x.tobytes()


def test_the_parts_of_a_size_add_up() -> None:
    size = sparse_file.tensor_size(sparse((100, 100), 0.9), "weight")
    assert size.total == size.values + size.index + size.header
    assert size.header == 1 + 6 + 3 + 2 * 4
    assert size.values == 4 * np.count_nonzero(sparse((100, 100), 0.9))


def test_a_path_is_written_whole_or_not_at_all(tmp_path) -> None:
    path, content = tmp_path / "model.ecsp", {"x": sparse((9, 9), 0.5)}
    assert sparse_file.save_sparse(path, content) == path.stat().st_size
    assert same(sparse_file.load_sparse(path), content)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="expected one of float32"):
        sparse_file.save_sparse(path, {"x": np.zeros(3)})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_tensors_that_do_not_fit_are_refused() -> None:
    for x in (np.zeros(3), np.array(["a"]), np.zeros(3, ">f4"), np.zeros(3, bool), None):
        with pytest.raises(ValueError, match="x: expected one of float32, float16, int8, int32"):
            sparse_file.to_bytes({"x": x})
    with pytest.raises(ValueError, match="a name of at most 255 bytes"):
        sparse_file.to_bytes({"ä" * 128: np.zeros(3, np.int8)})
    huge = np.broadcast_to(np.int8(0), (2**26 + 1,))
    with pytest.raises(ValueError, match="at most 67,108,864 numbers"):
        sparse_file.sparse_bytes({"x": huge})
    half = np.broadcast_to(np.int8(0), (2**25 + 1,))
    with pytest.raises(ValueError, match="67,108,864 numbers in all"):
        sparse_file.to_bytes({"x": half, "y": half})
    for bits in (0, 9):
        with pytest.raises(ValueError, match="expected 1 to 8 bits"):
            sparse_file.gap_codes(np.zeros(3), bits)


GOOD = {
    "bitmap": sparse((7, 9), 0.5),
    "gaps": sparse((40, 10), 0.92, dtype="int8"),
    "long": sparse((60, 60), 0.995, dtype="float16"),
    "dense": sparse((3,), 0, dtype="int32"),
}


def with_crc(content: bytes) -> bytes:
    return content[:-4] + struct.pack("<I", zlib.crc32(content[:-4]))


def one_tensor(body: bytes) -> bytes:
    return with_crc(b"ECSP\x01\x00\x01\x00" + body + b"1234")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "expected b'ECSP' at the beginning"),
        (b"ECSP", "expected at least 12 bytes, found 4"),
        (b"PK\x03\x04" + bytes(20), "expected b'ECSP' at the beginning"),
        (with_crc(b"ECSP\x02\x00\x00\x00" + b"1234"), "expected version 1, found 2"),
        (sparse_file.to_bytes(GOOD)[:-9], "expected CRC-32"),
        (with_crc(b"ECSP\x01\x00\x01\x00" + b"1234"), "a name needs 1 bytes at 8, 0 left"),
        (one_tensor(b"\x02\xff\xff\x00\x00\x00"), "utf-8"),
        (one_tensor(b"\x01x\x09\x00\x00"), "unknown dtype 9 or encoding 0"),
        (one_tensor(b"\x01x\x00\x04\x00"), "unknown dtype 0 or encoding 4"),
        (one_tensor(b"\x01x\x02\x00\xff" + bytes(4 * 255)), "maximum supported dimension"),
        (one_tensor(b"\x01x\x02\x00\x02\x00\x00\x00\x08\x00\x00\x00\x08"), "too large"),
        (one_tensor(b"\x01x\x02\x00\x01\x09\x00\x00\x00"), "needs 9 bytes"),
        (one_tensor(b"\x01x\x02\x01\x01\x03\x00\x00\x00\x09\x05"), "bits behind its end"),
        (one_tensor(b"\x01x\x02\x02\x01\x03\x00\x00\x00\x01\x00\x00\x00\xf1\x05"), "behind their"),
        (one_tensor(b"\x01x\x02\x02\x01\x63\x00\x00\x00\x01\x00\x00\x00\x0f\x05"), "end without a"),
        (one_tensor(b"\x01x\x02\x03\x01\x03\x00\x00\x00\x01\x00\x00\x00\x03\x05"), "at 3 of 3"),
        (one_tensor(b"\x01x\x02\x00\x00\x05 and more"), "9 bytes too many"),
        (with_crc(b"ECSP\x01\x00\x02\x00" + 2 * b"\x01x\x02\x00\x00\x05" + b"1234"), "two tensors"),
    ],
)
def test_what_is_wrong_is_said(content, problem) -> None:
    with pytest.raises(ModelError, match="these bytes: not a whole sparse file: ") as error:
        sparse_file.load_sparse(content)
    assert problem in str(error.value)
    assert "copy or write it anew" in str(error.value)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        sparse_file.load_sparse(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="path or bytes"):
        sparse_file.load_sparse(7)


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(random.integers(1, 4)):
        at, kind = int(random.integers(len(data))), random.integers(4)
        if kind == 0:
            data[at] ^= 1 << random.integers(8)
        elif kind == 1:
            data[at] = random.integers(256)
        elif kind == 2:
            del data[at : at + random.integers(1, 9)]
        else:
            data[at:at] = random.bytes(random.integers(1, 9))
    return bytes(data)


def test_every_single_bit_and_every_cut_is_noticed() -> None:
    content = sparse_file.to_bytes(GOOD)
    for at in range(8 * len(content)):
        altered = bytearray(content)
        altered[at // 8] ^= 1 << at % 8
        with pytest.raises(ModelError):
            sparse_file.load_sparse(bytes(altered))
    for length in range(len(content)):
        with pytest.raises(ModelError):
            sparse_file.load_sparse(content[:length])


def test_mutations_with_a_right_checksum_give_a_tensor_or_one_error() -> None:
    """Someone who alters a file can also mend its checksum: the reader trusts nothing."""
    random, content, refused = np.random.default_rng(0), sparse_file.to_bytes(GOOD), 0
    count = effort(4_000, 20_000)
    for _ in range(count):
        altered = with_crc(mutated(content, random))
        try:
            found = sparse_file.load_sparse(altered)
        except ModelError:
            refused += 1
        else:
            assert sum(x.size for x in found.values()) <= sparse_file.MAX_NUMBERS
    assert count / 4 < refused < count
