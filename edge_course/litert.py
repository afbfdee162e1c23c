"""LiteRT (the runtime once called TensorFlow Lite): converting to it and running on it."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_course import quant

if TYPE_CHECKING:
    import keras

MODES = ("float32", "float16", "dynamic", "int8")
KERNELS = ("default", "reference")
_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every TFLite file (schema.fbs: file_identifier)


class ModelError(ValueError):
    """A file is not a TFLite model, or not the kind of model that was asked for."""


def convert(model: keras.Model, mode: str, calibration: np.ndarray | None = None) -> bytes:
    """Return a Keras model as the content of a ``.tflite`` file.

    Parameters
    ----------
    model : a built Keras model with one input.
    mode : "float32" changes nothing; "float16" stores weights in half the bytes;
        "dynamic" stores weights as int8 and quantizes activations while running;
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
        calibration = _checked_calibration(model, calibration)
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
    # The converter prints a page of its own notes that say nothing about the result.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(converter.convert())


def _checked_calibration(model: keras.Model, calibration: np.ndarray | None) -> np.ndarray:
    if calibration is None:
        raise ValueError('the mode "int8" needs a calibration set: some real inputs, float32')
    shape = tuple(model.input_shape[1:])
    return _checked_inputs(calibration, shape, "calibration set")


def _checked_inputs(x: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Return inputs (n, *shape) as they are, or raise what is wrong with them."""
    x = np.asarray(x)
    expected = f"({', '.join(map(str, ('n', *shape)))})"
    if x.dtype != np.float32:
        raise ValueError(f"{what}: expected float32, got {x.dtype}; use .astype('float32')")
    if x.shape[1:] != shape or x.ndim != len(shape) + 1:
        raise ValueError(f"{what}: expected shape {expected}, got {x.shape}")
    if not len(x):
        raise ValueError(f"{what}: it is empty, expected at least one input")
    if not np.isfinite(x).all():
        raise ValueError(f"{what}: it has NaN or infinity in it, expected finite numbers")
    return x


def _content(model: bytes | str | os.PathLike) -> bytes:
    """Return the content of a model file given by path or content, checked by its identifier."""
    if isinstance(model, bytes | bytearray):
        name, content = "these bytes", bytes(model)
    elif isinstance(model, str | os.PathLike):
        name = str(model)
        try:
            content = Path(model).read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read the model {name}: {error.strerror}") from None
    else:
        raise TypeError(f"expected a model's path or bytes, got {type(model).__name__}")
    if content[4:8] != _IDENTIFIER:
        raise ModelError(
            f"{name} is not a TFLite model: expected {_IDENTIFIER!r} at bytes 4 to 8, "
            f"found {content[4:8]!r}; was it truncated, or is it another format?"
        )
    return content


def interpreter(
    model: bytes | str | os.PathLike,
    *,
    threads: int = 1,
    kernels: str = "default",
    keep_all: bool = False,
):
    """Return LiteRT's own interpreter of a model, its tensors allocated.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.
    threads : threads to compute with.
    kernels : "default" is what products run (XNNPACK); "reference" is the plain code
        that defines each operator.
    keep_all : keep every intermediate tensor readable after a run.

    Raises
    ------
    ModelError
        If it is not a TFLite model that this runtime can read.
    ValueError
        If the threads or the kernels are not as above.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if kernels not in KERNELS:
        raise ValueError(f"expected one of the kernels {', '.join(KERNELS)}, got {kernels!r}")
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"expected at least 1 thread, got {threads!r}")
    resolver = {"default": OpResolverType.AUTO, "reference": OpResolverType.BUILTIN_REF}[kernels]
    content = _content(model)
    try:
        made = Interpreter(
            model_content=content,
            num_threads=threads,
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=keep_all,
        )
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot load this model: {error}") from None
    return made


class Runner:
    """A TFLite model that takes and returns real numbers, whatever it computes in.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path; one input and one output.
    threads : threads to compute with.
    kernels : "default" or "reference", see `interpreter`.
    require_int8 : refuse a model whose input or output is not int8.

    Raises
    ------
    ModelError
        If it is not a TFLite model, has several inputs or outputs, or is not int8
        where that was required.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """

    def __init__(
        self,
        model: bytes | str | os.PathLike,
        *,
        threads: int = 1,
        kernels: str = "default",
        require_int8: bool = False,
    ):
        self._interpreter = interpreter(model, threads=threads, kernels=kernels)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"expected one input and one output, got {len(inputs)} and {len(outputs)}"
            )
        self._input, self._output = inputs[0], outputs[0]
        self.input_dtype = np.dtype(self._input["dtype"])
        self.output_dtype = np.dtype(self._output["dtype"])
        self.input_shape = tuple(map(int, self._input["shape"][1:]))
        if require_int8 and (self.input_dtype, self.output_dtype) != (np.int8, np.int8):
            raise ModelError(
                f"expected int8 input and output, got {self.input_dtype} and "
                f'{self.output_dtype}; convert with the mode "int8"'
            )

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs.

        Parameters
        ----------
        x : float32, shape (n, *input_shape), any n from 1.

        Returns
        -------
        np.ndarray
            float32, shape (n, …); dequantized by the model's own scale and zero point
            where the model's output is int8.

        Raises
        ------
        ValueError
            If the dtype or the shape is another one, or there is NaN or infinity.
        """
        codes = self.encode(x)
        self.resize(len(codes))
        self._interpreter.set_tensor(self._input["index"], codes)
        self._interpreter.invoke()
        y = self._interpreter.get_tensor(self._output["index"])
        if self.output_dtype == np.int8:
            return quant.dequantize(y, *self._output["quantization"])
        return y

    def predict(self, x: np.ndarray, *, batch: int = 1000) -> np.ndarray:
        """Return the most likely class of each input, int64 (n,), in batches that fit memory."""
        starts = range(0, max(1, len(x)), batch)
        return np.concatenate([self.run(x[i : i + batch]).argmax(axis=-1) for i in starts])

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return real-valued inputs in the model's own input type."""
        x = _checked_inputs(x, self.input_shape, "input")
        if self.input_dtype == np.int8:
            return quant.quantize(x, *self._input["quantization"])
        return x

    def resize(self, batch: int) -> None:
        """Make room for another number of inputs, if it is another one."""
        index = self._input["index"]
        if self._interpreter.get_input_details()[0]["shape"][0] != batch:
            self._interpreter.resize_tensor_input(index, (batch, *self.input_shape))
            self._interpreter.allocate_tensors()

    def invoker(self, x: np.ndarray):
        """Return a function that only computes, on inputs that are set already: to be timed."""
        self.run(x)
        return self._interpreter.invoke


class Tensor(NamedTuple):
    """One tensor in a TFLite file.

    Attributes
    ----------
    name, dtype, shape : as in the file; shapes with the file's own batch size.
    scales : float32, one of the whole tensor, or one of each channel, or none.
    zero_points : int32, as many.
    values : the weights, of that dtype; None for an activation.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: np.ndarray
    zero_points: np.ndarray
    values: np.ndarray | None


class Operator(NamedTuple):
    """One operator in a TFLite file with the types it reads and writes."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def operators(model: bytes | str | os.PathLike) -> list[Operator]:
    """Return the operators of a TFLite file in the order in which they run.

    Raises
    ------
    ModelError
        If it is not a TFLite model that this runtime can read.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    # The reference kernels: the default ones replace what they can by one operator of theirs.
    made = interpreter(model, kernels="reference")
    steps = made._get_ops_details()
    details = {d["index"]: d for d in made.get_tensor_details()}
    activations = {made.get_input_details()[0]["index"]} | {i for s in steps for i in s["outputs"]}

    def tensor(index: int) -> Tensor:
        detail = details[index]
        scales = detail["quantization_parameters"]["scales"]
        return Tensor(
            detail["name"],
            np.dtype(detail["dtype"]).name,
            tuple(map(int, detail["shape"])),
            scales,
            detail["quantization_parameters"]["zero_points"],
            None if index in activations else made.get_tensor(index),
        )

    return [
        Operator(
            step["op_name"],
            tuple(tensor(i) for i in step["inputs"] if i in details),
            tuple(tensor(i) for i in step["outputs"] if i in details),
        )
        for step in steps
    ]
