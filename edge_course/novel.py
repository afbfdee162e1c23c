"""A novel, symbol by symbol: Herman Melville's Moby-Dick (1851), on which language models train."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np

from edge_course import data

NOVEL_FILE = "moby_dick.npz"


class Novel(NamedTuple):
    """A text as numbers.

    Attributes
    ----------
    symbols : every character that occurs, in order; a code is a place in here.
    train : uint8, (n,), the first nine tenths of the chapters.
    test : uint8, (n / 9,), the last tenth.
    """

    symbols: str
    train: np.ndarray
    test: np.ndarray

    def text(self, codes: np.ndarray) -> str:
        """Return codes as characters."""
        return "".join(self.symbols[code] for code in np.asarray(codes).ravel())

    def codes(self, text: str) -> np.ndarray:
        """Return characters as codes, uint8 (n,).

        Raises
        ------
        ValueError
            If the novel does not have one of them.
        """
        if unknown := set(text) - set(self.symbols):
            raise ValueError(f"not among the {len(self.symbols)} symbols: {sorted(unknown)}")
        return np.array([self.symbols.index(character) for character in text], np.uint8)


def load_novel() -> Novel:
    """Return the 135 chapters and the epilogue of Moby-Dick.

    Raises
    ------
    edge_course.data.DataError
        If the file is missing or altered.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    with np.load(io.BytesIO(data.read(NOVEL_FILE)), allow_pickle=False) as arrays:
        codes, symbols = arrays["codes"], str(arrays["symbols"])
    end = len(codes) * 9 // 10
    return Novel(symbols, codes[:end], codes[end:])
