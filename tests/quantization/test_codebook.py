"""k-means codebooks: fixed points of Lloyd's two steps, against every possible clustering."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course.quantization import codebook, packing

REALS = st.floats(-100, 100, width=32)
VECTORS = arrays(np.float32, st.integers(1, 40), elements=REALS)
BITS = st.integers(1, 4)


def squared_error(x, book) -> float:
    return float(np.sum(np.square(book.decode() - x, dtype=np.float64)))


def smallest_error(x, clusters) -> float:
    """Try every way to cut the sorted numbers into at most so many pieces."""
    numbers = np.sort(x).astype(np.float64)
    cuts = itertools.combinations_with_replacement(range(len(x) + 1), clusters - 1)
    return min(
        sum(np.sum((part - part.mean()) ** 2) for part in np.split(numbers, where) if part.size)
        for where in cuts
    )


@given(VECTORS, BITS)
def test_each_number_has_the_nearest_value(x, bits) -> None:
    book = codebook.fit_codebook(x, bits)
    nearest = np.abs(x[:, np.newaxis] - book.values).min(axis=1)
    assert np.allclose(np.abs(book.decode() - x), nearest, atol=1e-5)
    assert (book.values.shape, book.values.dtype) == ((2**bits,), np.float32)
    assert np.all(np.diff(book.values) >= 0)


@given(VECTORS, BITS)
def test_each_value_is_the_mean_of_its_numbers(x, bits) -> None:
    book = codebook.fit_codebook(x, bits)
    for index in np.unique(book.indices):
        mine = x[book.indices == index].astype(np.float64)
        assert book.values[index] == pytest.approx(mine.mean(), abs=1e-4)


@given(VECTORS, BITS)
def test_more_rounds_are_never_worse(x, bits) -> None:
    errors = [squared_error(x, codebook.fit_codebook(x, bits, rounds=n)) for n in (1, 2, 5, 100)]
    assert np.all(np.diff(errors) <= 1e-5 * (1 + errors[0]))


@given(arrays(np.float32, st.integers(1, 8), elements=REALS), st.integers(1, 2))
def test_no_clustering_is_better_than_the_best_one(x, bits) -> None:
    """Brute force is a lower bound: Lloyd's steps may end in a valley that is not the lowest."""
    found, best = squared_error(x, codebook.fit_codebook(x, bits)), smallest_error(x, 2**bits)
    assert found >= best - 1e-4 * (1 + best)


@given(arrays(np.float32, 8, elements=st.floats(-2, 2, width=32)))
def test_the_best_clustering_is_found_where_four_heaps_are_clear(jitter) -> None:
    x = np.float32([-30, -30, -10, -10, 10, 10, 30, 30]) + jitter
    found = squared_error(x, codebook.fit_codebook(x, 2))
    assert found == pytest.approx(smallest_error(x, 4), abs=1e-3)


def test_a_known_case_where_the_beginning_decides() -> None:
    """Three numbers near 0 and 10 share the values 0, 10/3, 20/3 and 10: two stay unused."""
    book = codebook.fit_codebook(np.float32([0, 0.1, 0.2, 10]), 2)
    assert np.allclose(book.values, [0.1, 10 / 3, 20 / 3, 10])
    assert book.indices.tolist() == [0, 0, 0, 3]
    assert smallest_error(np.float32([0, 0.1, 0.2, 10]), 4) == 0


def test_as_many_values_as_numbers_lose_nothing() -> None:
    x = np.float32([[1, 2], [3, 4]])
    book = codebook.fit_codebook(x, 2)
    assert np.array_equal(book.decode(), x)
    assert (book.indices.shape, book.indices.dtype) == ((2, 2), np.uint8)


def test_a_codebook_beats_the_even_grid_on_gaussian_weights() -> None:
    x = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    first = codebook.fit_codebook(x, 4, rounds=1)
    assert squared_error(x, codebook.fit_codebook(x, 4)) < 0.7 * squared_error(x, first)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_size_is_that_of_the_packed_indices_and_the_table(bits) -> None:
    x = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    book = codebook.fit_codebook(x, bits)
    packed = packing.pack(book.indices, bits)
    assert packed.nbytes + book.values.nbytes == codebook.size_bytes(x.size, bits)


def test_sizes_by_hand() -> None:
    assert codebook.size_bytes(1000, 4) == 500 + 64
    assert codebook.size_bytes(3, 3) == 2 + 32
    assert codebook.size_bytes(0, 8) == 1024


@pytest.mark.parametrize("x", [[], [1.0, np.nan], [np.inf]])
def test_numbers_without_a_codebook_are_refused(x) -> None:
    with pytest.raises(ValueError, match="expected finite numbers, at least one"):
        codebook.fit_codebook(x, 2)


def test_options_are_checked() -> None:
    for bits, rounds in ((0, 1), (9, 1), (2.5, 1), (2, 0)):
        with pytest.raises(ValueError, match="expected 1 to 8 bits and at least 1 round"):
            codebook.fit_codebook([1.0], bits, rounds=rounds)
    for count, bits in ((-1, 2), (1, 0), (1, 9)):
        with pytest.raises(ValueError, match="expected a count from 0 and 1 to 8 bits"):
            codebook.size_bytes(count, bits)
