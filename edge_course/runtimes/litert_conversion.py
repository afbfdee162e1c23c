"""From a Keras model to the content of a ``.tflite`` file; used as ``litert.convert``."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes.model_files import checked_inputs

if TYPE_CHECKING:
    import keras

MODES = ("float32", "float16", "dynamic", "int8")


def convert(model: keras.Model, mode: str, calibration: np.ndarray | None = None) -> bytes:
    """Return a Keras model as the content of a ``.tflite`` file.

    Parameters
    ----------
    model : a built Keras model with one input; for "int8", of a fixed shape.
    mode : "float32" changes nothing; "float16" stores weights in half the bytes;
        "dynamic" stores large weights as int8 and quantizes activations while running;
        "int8" does everything in int8, input and output too.
    calibration : for "int8" only: real-valued inputs, float32 (n, …), that show the
        converter the range of every activation.

    Raises
    ------
    ValueError
        If the mode is unknown, or the calibration set is missing, empty, of another
        shape or dtype, has NaN or infinity, or was given for another mode; or, for "int8",
        the model is not as above.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    if mode not in MODES:
        raise ValueError(f"expected one of the modes {', '.join(MODES)}, got {mode!r}")
    if mode == "int8":
        if calibration is None:
            raise ValueError('the mode "int8" needs a calibration set: some real inputs, float32')
        calibration = checked_inputs(calibration, _input_shape(model), "calibration set")
    elif calibration is not None:
        raise ValueError(f'only the mode "int8" takes a calibration set, not "{mode}"')

    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode == "int8":
        converter.representative_dataset = lambda: ([x[np.newaxis]] for x in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    with quietly():
        return bytes(converter.convert())


def _input_shape(model: keras.Model) -> tuple[int, ...]:
    """Return the shape of one input, or say why the model has none."""
    kind = type(model).__name__
    example = "for example keras.Input((28, 28, 1))"
    if not getattr(model, "inputs", None):  # a class of one's own, or not built yet
        raise ValueError(
            f"{kind} does not know the shape of its input: start a Sequential with keras.Input, or "
            f"wrap the model: keras.Model(x, model(x)) for an x = keras.Input(shape); {example}"
        )
    if len(model.inputs) > 1:
        raise ValueError(f"expected a model with one input, got {len(model.inputs)}")
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        sizes = ", ".join("open" if size is None else str(size) for size in shape)
        raise ValueError(
            f"expected an input of a fixed shape, got ({sizes}): the file holds one size only; "
            f"build the model again with all sizes given, {example}"
        )
    return shape


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep back the converter's pages of notes, which say nothing about the result.

    What stops a conversion is raised, and so is not lost.
    """
    log = logging.getLogger("tensorflow")
    level, stderr = log.level, os.dup(2)
    log.setLevel(logging.ERROR)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # compiled code writes past sys.stderr
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        log.setLevel(level)
