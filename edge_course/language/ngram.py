"""The language model that small networks have to beat: counts of what followed the last symbols."""

from __future__ import annotations

import numpy as np


def witten_bell(count: int, total: int, kinds: int, shorter: float) -> float:
    """Return P(s | context) = (n(context, s) + t · P(s | shorter context)) / (n(context) + t).

    What never followed the context is not impossible: it gets a share of what a shorter context
    says, and the more, the more different symbols followed. Witten and Bell (1991), "The
    Zero-Frequency Problem".

    Parameters
    ----------
    count : n(context, s), how often the symbol followed the context; a number or an array.
    total : n(context), how often the context came, at least once.
    kinds : t, how many different symbols followed it.
    shorter : the symbol's probability after a shorter context.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    return (count + kinds * shorter) / (total + kinds)


class NGram:
    """Probabilities from counts, smoothed by those of shorter contexts, see `witten_bell`.

    Parameters
    ----------
    codes : the text to count in, integers (n,).
    symbols : how many different codes there are.
    order : symbols that are looked at, the next one included: 1 counts single symbols.

    Raises
    ------
    ValueError
        If the text is shorter than the order, or a code is none.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """

    def __init__(self, codes: np.ndarray, symbols: int, order: int):
        codes = np.asarray(codes, np.int64)
        if not 1 <= order < len(codes) or symbols ** (order + 1) >= 2**63:
            raise ValueError(
                f"expected an order from 1 on, for more symbols than that, got {order}"
            )
        if codes.min() < 0 or codes.max() >= symbols:
            raise ValueError(f"expected codes from 0 to {symbols - 1}")
        self._symbols, self._order = symbols, order
        self._counts = []  # of each length of context: (contexts, n, t), (contexts and symbols, n)
        for length in range(order):
            _, pair = self._keys(codes, length)
            pairs, n = np.unique(pair, return_counts=True)
            contexts, first = np.unique(pairs // symbols, return_index=True)
            bounds = np.append(first, len(pairs))
            total = np.add.reduceat(n, first)
            self._counts.append((contexts, total, np.diff(bounds), pairs, n))

    def _keys(self, codes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return each place's last ``length`` codes as one number, and those with the next code.

        Before the text there is the code 0, as often as needed.
        """
        padded = np.concatenate([np.zeros(length, np.int64), codes])
        context = np.zeros(len(codes), np.int64)
        for back in range(length, 0, -1):
            context = context * self._symbols + padded[length - back : len(padded) - back]
        return context, context * self._symbols + codes

    def probabilities(self, codes: np.ndarray) -> np.ndarray:
        """Return the probability of every symbol of a text after those before it, float64 (n,).

        Parameters
        ----------
        codes : integers, (n,).
        """
        codes = np.asarray(codes, np.int64)
        probability = np.full(len(codes), 1 / self._symbols)
        for length, (contexts, total, kinds, pairs, counts) in enumerate(self._counts):
            context, pair = self._keys(codes, length)
            n, t = (_looked_up(contexts, values, context) for values in (total, kinds))
            seen = _looked_up(pairs, counts, pair)
            known = n > 0  # after a context that never came, the shorter one decides
            mixed = witten_bell(seen[known], n[known], t[known], probability[known])
            probability[known] = mixed
        return probability


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the value of each key that is wanted; 0 for those that are not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
