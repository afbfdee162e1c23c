"""What a client has learned, in fewer bytes: int8, or only the largest changes."""

from __future__ import annotations

import numpy as np

from edge_course.quantization import quant

BLOCK = 256  # numbers that share a scale


def to_int8(update: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an update as 8-bit codes and a scale for every 256 of them.

    Parameters
    ----------
    update : finite real numbers (n,).

    Returns
    -------
    codes, scales : int8 (n,), and float32 (⌈n / 256⌉,).

    Raises
    ------
    ValueError
        If there is NaN or infinity.

    Taught in: notebooks/17_federated_learning.ipynb
    """
    codes, scales = np.empty(len(update), np.int8), []
    for begin in range(0, len(update), BLOCK):
        block = update[begin : begin + BLOCK]
        scale, _ = quant.symmetric(block.min(), block.max())
        codes[begin : begin + BLOCK] = quant.quantize(block, scale, 0)
        scales.append(scale)
    return codes, np.array(scales, np.float32)


def from_int8(codes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return what `to_int8` was given, to within half a scale: float32 (n,).

    Raises
    ------
    ValueError
        If there is not one scale for every 256 codes.
    """
    if len(scales) != -(-len(codes) // BLOCK):
        raise ValueError(f"expected a scale for every {BLOCK} of {len(codes)} codes")
    return codes * np.repeat(scales, BLOCK)[: len(codes)]


def send_largest(
    update: np.ndarray, memory: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the largest changes of an update, and what to remember of the rest.

    What was not sent in earlier rounds is added first, so nothing is lost, only late: at any time,
    all that was sent and the memory add up to all updates.

    Parameters
    ----------
    update : real numbers (n,).
    memory : what was not sent so far, (n,); zeros at first.
    count : how many numbers to send, 1 to n; of equal sizes those in front.

    Returns
    -------
    positions, values, memory : integers (count,) in ascending order, the numbers there, and what
        was not sent, (n,).

    Raises
    ------
    ValueError
        If the shapes differ, or the count is not from 1 to n.

    Source: Stich and others (2018), "Sparsified SGD with Memory".

    Taught in: notebooks/17_federated_learning.ipynb
    """
    if np.shape(update) != np.shape(memory) or not 1 <= count <= len(update):
        raise ValueError(
            f"expected an update and a memory of one length, and from 1 to {len(update)} numbers "
            f"to send, got {np.shape(update)}, {np.shape(memory)}, {count}"
        )
    whole = np.asarray(update) + memory
    positions = np.sort(np.argsort(-np.abs(whole), kind="stable")[:count])
    left = whole.copy()
    left[positions] = 0
    return positions, whole[positions], left
