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
    model : a built Keras model with one input.
    mode : "float32" changes nothing; "float16" stores weights in half the bytes;
        "dynamic" stores large weights as int8 and quantizes activations while running;
        "int8" does everything in int8, input and output too.
    calibration : for "int8" only: real-valued inputs, float32 (n, …), that show the
        converter the range of every activation.

    Raises
    ------
    ValueError
        If the mode is unknown, or the calibration set is missing, empty, of another
        shape or dtype, has NaN or infinity, or was given for another mode.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    if mode not in MODES:
        raise ValueError(f"expected one of the modes {', '.join(MODES)}, got {mode!r}")
    if mode == "int8":
        if calibration is None:
            raise ValueError('the mode "int8" needs a calibration set: some real inputs, float32')
        calibration = checked_inputs(calibration, model.input_shape[1:], "calibration set")
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
