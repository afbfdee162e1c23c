"""A language model with a memory of fixed size: an LSTM, one step at a time, in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def lstm_step(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the next state (h, c) of an LSTM.

    i, f, g, o = x W + h U + b, in this order; then c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c').
    Hochreiter and Schmidhuber (1997), with the forget gate of Gers and others (2000).

    Parameters
    ----------
    x : input, (n, inputs).
    h, c : state, (n, units).
    W, U, b : (inputs, 4 · units), (units, 4 · units), (4 · units,).

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    x, h, c, W, U, b = map(np.asarray, (x, h, c, W, U, b))
    units = h.shape[-1]
    shapes = (x.shape[-1], 4 * units), (units, 4 * units), (4 * units,)
    if h.shape != c.shape or (W.shape, U.shape, b.shape) != shapes:
        raise ValueError(
            f"expected h and c of one shape and weights {shapes}, got {h.shape}, {c.shape} and "
            f"{W.shape}, {U.shape}, {b.shape}"
        )
    i, f, g, o = np.split(x @ W + h @ U + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e⁻ˣ), which is (1 + tanh(x / 2)) / 2 and so never overflows."""
    return (1 + np.tanh(np.asarray(x) / 2)) / 2


class LSTMWeights(NamedTuple):
    """A language model: symbol → embedding → LSTM → scores of the next symbol.

    Attributes
    ----------
    embedding : (symbols, inputs).
    W, U, b : see `lstm_step`.
    out, out_bias : (units, symbols), (symbols,).
    """

    embedding: np.ndarray
    W: np.ndarray
    U: np.ndarray
    b: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def start(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the state before the first symbol, zeros (n, units) twice."""
        zeros = np.zeros((n, len(self.U)), np.float32)
        return zeros, zeros

    def step(
        self, symbol: np.ndarray, h: np.ndarray, c: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the scores of the next symbol (n, symbols) and the new state.

        Parameters
        ----------
        symbol : integers, (n,).
        h, c : (n, units).
        """
        h, c = lstm_step(self.embedding[symbol], h, c, self.W, self.U, self.b)
        return h @ self.out + self.out_bias, h, c
