"""A model reads a text with its state, in several streams side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_course.language.bits import bits_of_logits

WARM_UP = 128  # symbols before a stream, which fill the state and are not judged
_Step = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def read_bits(
    step: _Step, start: tuple[np.ndarray, np.ndarray], codes: np.ndarray, streams: int
) -> np.ndarray:
    """Return the bits of every symbol of a text, but for the first of each stream, float64.

    The text is cut into streams, so that a runtime computes many steps in one call. Each stream
    begins 128 symbols before its part: a state that starts at zero knows nothing.

    Parameters
    ----------
    step : (symbol (n,), h, c) → (scores (n, symbols), h, c).
    start : h and c before the first symbol, (streams, units).
    codes : the text, (n,).
    streams : how many to read side by side.

    Returns
    -------
    np.ndarray
        (streams · m,), stream after stream, so in the order of the text.

    Raises
    ------
    ValueError
        If the text is too short.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    codes = np.asarray(codes, np.int64)
    long = (len(codes) - WARM_UP - 1) // streams  # symbols of a stream that are judged
    if long < 1:
        raise ValueError(f"expected more than {WARM_UP + streams} symbols, got {len(codes)}")
    begin = np.arange(streams) * long
    h, c = start
    bits = []
    for t in range(WARM_UP + long):
        logits, h, c = step(codes[begin + t], h, c)
        if t >= WARM_UP:
            bits.append(bits_of_logits(logits, codes[begin + t + 1]))
    return np.stack(bits, axis=1).ravel()
