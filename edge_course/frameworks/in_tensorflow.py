"""TensorFlow's part of a conversion, for a kernel that has another framework.

Importing this module does not import TensorFlow; calling its function does. So it is called
in a process of its own: ``with process.another() as call: call(in_tensorflow.litert_file, …)``.
"""

from __future__ import annotations

import contextlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_course import process
from edge_course.networks.keras_training import use_one_thread
from edge_course.runtimes import litert_conversion
from edge_course.runtimes.litert_conversion import MODES


def with_tensorflow(function: Callable, *arguments: Any) -> Any:
    """Call a function, with TensorFlow as its first argument, in a process of its own.

    Its source goes there, not the function itself, so it may be one that a notebook defines. It
    has to import all else that it uses, and takes and returns what can be sent: arrays, bytes.
    What it prints is not shown, as the converter would print pages.

    Parameters
    ----------
    function : ``function(tf, *arguments)``, written with ``def``.
    arguments : the others.

    Raises
    ------
    Exception
        What the function raises.
    ValueError
        If the source of the function is not to be had.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise ValueError(f"expected a function written with def, got {function!r}") from error
    if not source.startswith("def "):
        raise ValueError(f"expected a function written with def, got {source.strip()!r}")
    with process.another() as call:
        return call(_run_source, source, function.__name__, arguments)


def _run_source(source: str, name: str, arguments: tuple) -> Any:
    """Define a function from its source, and call it."""
    use_one_thread()
    import tensorflow

    names: dict[str, Any] = {}
    exec(source, names)  # the reader's own code, in the reader's own process
    with litert_conversion.quietly():
        return names[name](tensorflow, *arguments)


def litert_file(onnx: bytes, mode: str, calibration: np.ndarray | None = None) -> bytes:
    """Return an ONNX model as the content of a ``.tflite`` file, by way of Keras.

    One thread and no oneDNN, if TensorFlow was not imported before: the order of additions,
    and so the last bit of what the converter works out, does not depend on the machine.

    Parameters
    ----------
    onnx : the content of an ``.onnx`` file, such as `ort.export` returns; see
        `onnx_to_keras.translate`. Pictures are (n, channels, height, width) in it.
    mode : "float32", "float16", "dynamic" or "int8", see `litert.convert`.
    calibration : for "int8" only: some real inputs, float32 (n, height, width, channels) –
        the order of LiteRT, which is that of the file that comes back.

    Returns
    -------
    bytes
        It takes and returns what the ONNX model does, pictures as (n, height, width, channels).

    Raises
    ------
    ValueError
        If the mode is unknown, or the calibration set is not as above.
    edge_course.frameworks.onnx_node.TranslationError
        If the ONNX model has something that cannot be carried over.
    edge_course.runtimes.model_files.ModelError
        If it is not an ONNX model, or one that ONNX Runtime cannot load.

    Taught in: notebooks/11_structured_pruning.ipynb
    """
    if mode not in MODES:
        raise ValueError(f"expected one of the modes {', '.join(MODES)}, got {mode!r}")
    with contextlib.suppress(RuntimeError):  # it computes already: a second file, for example
        use_one_thread()
    import keras

    from edge_course.frameworks import onnx_to_keras
    from edge_course.runtimes import litert

    keras.utils.clear_session()  # it counts tensors, and the file would hold the count
    return litert.convert(onnx_to_keras.translate(onnx), mode, calibration)
