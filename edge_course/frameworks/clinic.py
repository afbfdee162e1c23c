"""First aid for conversions that fail: small functions for the cases of notebook 06.

`file_state` is that of `data`, by which every file of the course is checked.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from edge_course.data import file_state as file_state
from edge_course.measure import Latency
from edge_course.quantization import quant


def attempt(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a function returns; if it raises, print why and return None.

    For examining what is expected to fail. A program should not go on like this.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    try:
        return function(*args, **kwargs)
    except Exception as error:  # each library has errors of its own
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(textwrap.fill(text, 100, subsequent_indent="    "))
        return None


def is_full_int8(dtypes: Sequence[str]) -> bool:
    """Tell whether a chip without floating point can run a network with these tensors.

    Input and output have to be int8; between them int32 may stand too, for biases and shapes.

    Parameters
    ----------
    dtypes : names such as "float32", of every tensor; the input first, the output last.

    Raises
    ------
    ValueError
        If there are fewer than two.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    if len(dtypes) < 2:
        raise ValueError(f"expected the types of at least input and output, got {dtypes}")
    return dtypes[0] == dtypes[-1] == "int8" and set(dtypes) <= {"int8", "int32"}


def dark_background(x: np.ndarray) -> np.ndarray:
    """Return pictures with those on a bright background turned into negatives, without ``if``.

    A background is bright if the mean of the picture's top row is above 0.5.

    Parameters
    ----------
    x : real numbers from 0 to 1, shape (n, height, width).

    Returns
    -------
    np.ndarray
        The shape of ``x``; each picture as it was, or 1 minus it.

    Raises
    ------
    ValueError
        If the shape is another one.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    x = np.asarray(x)
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise ValueError(f"expected pictures of shape (n, height, width), got {x.shape}")
    bright = x[:, :1].mean(axis=(1, 2), keepdims=True) > 0.5  # (n, 1, 1)
    return np.where(bright, 1 - x, x)


def normalise(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float = 1e-5,
) -> np.ndarray:
    """Return what batch normalisation computes in use: γ (x − μ) / √(σ² + ε) + β.

    μ and σ² are those of the training, kept in the model, not those of this batch. (Ioffe and
    Szegedy 2015, "Batch Normalization", algorithm 2.)

    Parameters
    ----------
    x : real numbers, shape (n, channels).
    mean, variance : μ and σ² as kept, shape (channels,).
    gamma, beta : γ and β as learned, shape (channels,).
    epsilon : ε, which keeps the root away from 0.

    Returns
    -------
    np.ndarray
        The shape of ``x``.

    Raises
    ------
    ValueError
        If a shape does not fit.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    x = np.asarray(x)
    for name, values in (("mean", mean), ("variance", variance), ("gamma", gamma), ("beta", beta)):
        if x.ndim != 2 or np.shape(values) != x.shape[1:]:
            raise ValueError(f"{name}: shape {np.shape(values)} does not fit x, shape {x.shape}")
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def pad_to_batch(x: np.ndarray, n: int) -> np.ndarray:
    """Return inputs in batches of a fixed size, the last one filled up with zeros.

    Parameters
    ----------
    x : inputs, shape (m, …), m at least 1.
    n : inputs in a batch, at least 1.

    Returns
    -------
    np.ndarray
        The dtype of ``x``, shape (⌈m / n⌉, n, …).

    Raises
    ------
    ValueError
        If there are no inputs, or ``n`` is less than 1.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    x = np.asarray(x)
    if not x.ndim or not len(x) or n < 1:
        raise ValueError(f"expected inputs (m, …) and n from 1, got shape {x.shape} and {n}")
    missing = np.zeros((-len(x) % n, *x.shape[1:]), x.dtype)
    return np.concatenate([x, missing]).reshape(-1, n, *x.shape[1:])


def erf(x: Any, ops: ModuleType = np) -> Any:
    """Return the error function, from a few plain operators.

    For x ≥ 0, with t = 1 / (1 + 0.3275911 x), it is 1 − (a₁t + a₂t² + … + a₅t⁵) e^(−x²), off by
    at most 1.5e-7; for x < 0 it is −erf(−x). (Abramowitz and Stegun 1964, "Handbook of
    Mathematical Functions", formula 7.1.26.)

    Parameters
    ----------
    x : real numbers, an array or a tensor of any shape.
    ops : what computes: `numpy`, or `keras.ops` inside a network. Has exp, abs and sign.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    positive = ops.abs(x)
    t = 1 / (1 + 0.3275911 * positive)
    sum_ = 0
    for a in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        sum_ = (sum_ + a) * t
    return ops.sign(x) * (1 - sum_ * ops.exp(-positive * positive))


def first_supported_opset(model: bytes, supported: Sequence[int]) -> int:
    """Return the oldest operator set with which a model works in every runtime.

    Parameters
    ----------
    model : the content of an ``.onnx`` file with the standard's own operators.
    supported : the newest operator set of each runtime that has to run the model.

    Returns
    -------
    int
        The largest of the sets since which an operator is as the model uses it; 0 if a runtime
        does not go so far.

    Raises
    ------
    ValueError
        If there are no runtimes.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    import onnx

    if not supported:
        raise ValueError("expected at least one runtime")
    proto = onnx.load_from_string(model)
    stamped = next(o.version for o in proto.opset_import if o.domain == "")
    names = {node.op_type for node in proto.graph.node}
    needed = max(onnx.defs.get_schema(name, stamped, "").since_version for name in names)
    return needed if needed <= min(supported) else 0


def first_difference(
    expected: Sequence[np.ndarray], found: Sequence[np.ndarray], tolerance: float
) -> int:
    """Return at which stage two networks that should be one first differ.

    Parameters
    ----------
    expected, found : what each stage hands on, from the front; of the same number of stages.
    tolerance : largest difference allowed, as a share of the largest expected number of a stage.

    Returns
    -------
    int
        The stage, from 0; −1 if none differs. Another shape is a difference, and so is NaN.

    Raises
    ------
    ValueError
        If the numbers of stages differ.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    if len(expected) != len(found):
        raise ValueError(f"expected as many stages, got {len(expected)} and {len(found)}")
    for stage, (theirs, ours) in enumerate(zip(expected, found, strict=True)):
        if np.shape(theirs) != np.shape(ours):
            return stage
        allowed = tolerance * np.abs(theirs).max(initial=0)
        if not np.all(np.abs(np.subtract(theirs, ours)) <= allowed):
            return stage
    return -1


def fit_input(picture: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return one grey picture as the input of an int8 network that was trained on 0 to 1.

    Parameters
    ----------
    picture : uint8, shape (height, width), values 0 to 255.
    scale, zero_point : of the network's input.

    Returns
    -------
    np.ndarray
        int8 codes, shape (1, height, width, 1).

    Raises
    ------
    ValueError
        If the picture is not uint8 of that shape, or the scale or zero point are none.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 2:
        raise ValueError(
            f"expected a uint8 picture (height, width), got {picture.dtype} {picture.shape}"
        )
    x = picture[np.newaxis, ..., np.newaxis].astype(np.float32) / 255
    return quant.quantize(x, scale, zero_point)


def times_as_long(seconds: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Return how many times as long something takes as a reference, timed in turn.

    Parameters
    ----------
    seconds, reference : timings, shape (rounds,); those of one round belong together.

    Returns
    -------
    median, low, high : of the ratios of all rounds; low and high are the quartiles.

    Raises
    ------
    ValueError
        If there is not one positive timing of each for every round.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    seconds, reference = np.asarray(seconds, float), np.asarray(reference, float)
    if seconds.ndim != 1 or seconds.shape != reference.shape or not len(seconds):
        raise ValueError(f"expected shapes (rounds,), got {seconds.shape} and {reference.shape}")
    if not (min(seconds.min(), reference.min()) > 0):
        raise ValueError("expected positive timings")
    ratio = Latency({"it": seconds, "reference": reference}).ratio("it", "reference")
    return ratio.median, ratio.low, ratio.high
