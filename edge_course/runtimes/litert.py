"""LiteRT (the runtime once called TensorFlow Lite): converting to it and running on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edge_course.quantization import quant
from edge_course.runtimes import model_files
from edge_course.runtimes.batches import BatchRunner
from edge_course.runtimes.litert_conversion import MODES, convert
from edge_course.runtimes.model_files import ModelError, checked_inputs, checked_threads
from edge_course.runtimes.tflite_schema import IDENTIFIER, from_schema, to_schema

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

__all__ = [
    "KERNELS", "MODES", "ModelError", "Runner", "convert", "interpreter", "outputs",
    "tensor_range",
]  # fmt: skip

KERNELS = ("default", "reference")
# What LiteRT says of data of length 0, which other runtimes take for no data, as `to_schema` does.
_INVALID = "invalidly specified in schema"
_explained = partial(model_files.explained, runtime="LiteRT")


def _content(model: bytes | str | os.PathLike) -> bytes:
    """Return the content of a model file given by path or content, checked by its identifier."""
    content = model_files.content(model)
    if content[4:8] != IDENTIFIER:
        raise ModelError(
            f"{model_files.name(model)}: not a TFLite model: expected {IDENTIFIER!r} at bytes "
            f"4 to 8, found {content[4:8]!r}; is it empty, or of another format?"
        )
    return content


def interpreter(
    model: bytes | str | os.PathLike,
    *,
    threads: int = 1,
    kernels: str = "default",
    keep_all: bool = False,
) -> Interpreter:
    """Return LiteRT's own interpreter of a model, its tensors allocated.

    LiteRT checks how a file is built, so that one cut short always fails here. It does
    not check every number in it: an altered file can compute nonsense or even end the
    process. Load only files you trust, and check their hash first (`data.read` does).

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
    threads = checked_threads(threads)
    resolver = {"default": OpResolverType.AUTO, "reference": OpResolverType.BUILTIN_REF}[kernels]
    content = _content(model)
    settings = {
        "num_threads": threads,
        "experimental_op_resolver_type": resolver,
        "experimental_preserve_all_tensors": keep_all,
    }
    with _explained(model_files.name(model), "load"):
        try:
            made = Interpreter(model_content=content, **settings)
        except ValueError as error:
            if _INVALID not in str(error):
                raise
            made = Interpreter(model_content=from_schema(to_schema(content)), **settings)
        made.allocate_tensors()
    return made


def outputs(
    model: bytes | str | os.PathLike, x: np.ndarray, *, kernels: str = "default"
) -> dict[int, np.ndarray]:
    """Return every output of a model as it is: index of the tensor in the file → its content.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path; one input.
    x : in the input's own dtype, shape (n, …), any n from 1.
    kernels : "default" or "reference", see `interpreter`.

    Raises
    ------
    ModelError
        If it is not a TFLite model, has several inputs, or cannot be run on these.
    ValueError
        If the kernels are not as above.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    made = interpreter(model, kernels=kernels)
    inputs = made.get_input_details()
    if len(inputs) != 1:
        raise ModelError(f"{model_files.name(model)}: expected one input, got {len(inputs)}")
    with _explained(model_files.name(model), f"compute {np.shape(x)} inputs with"):
        made.resize_tensor_input(inputs[0]["index"], np.shape(x))
        made.allocate_tensors()
        made.set_tensor(inputs[0]["index"], x)
        made.invoke()
        return {d["index"]: made.get_tensor(d["index"]) for d in made.get_output_details()}


def tensor_range(model: bytes | str | os.PathLike, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest real number that each channel of a tensor can hold.

    scale · (q − zero point) for the lowest and the highest code q that the tensor's dtype has.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path.
    index : of the tensor, as `Interpreter.get_tensor_details` numbers them.

    Returns
    -------
    low, high : np.ndarray
        float64, one number for each scale of the tensor; none if it has no scale.

    Raises
    ------
    ModelError
        If it is not a TFLite model that this runtime can read.
    ValueError
        If there is no such tensor.

    Taught in: notebooks/07_quantization_math.ipynb
    """
    details = interpreter(model).get_tensor_details()
    found = [detail for detail in details if detail["index"] == index]
    if not found:
        raise ValueError(f"{model_files.name(model)}: there is no tensor with the index {index!r}")
    codes = found[0]["quantization_parameters"]
    scales, zero_points = np.float64(codes["scales"]), np.float64(codes["zero_points"])
    if not scales.size:
        return scales, scales
    limits = np.iinfo(found[0]["dtype"])
    return scales * (limits.min - zero_points), scales * (limits.max - zero_points)


class Runner(BatchRunner):
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
        If it is not a TFLite model, has several inputs or outputs, takes or returns
        neither float32 nor int8, or is not int8 where that was required.

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
        self._name = model_files.name(model)
        self._interpreter = interpreter(model, threads=threads, kernels=kernels)
        with _explained(self._name, "describe"):
            inputs = self._interpreter.get_input_details()
            outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"{self._name}: expected one input and one output, "
                f"got {len(inputs)} and {len(outputs)}"
            )
        self._input, self._output = inputs[0], outputs[0]
        self.input_dtype = np.dtype(self._input["dtype"])
        self.output_dtype = np.dtype(self._output["dtype"])
        self.input_shape = tuple(map(int, self._input["shape"][1:]))
        self._batch = int(self._input["shape"][0])
        allowed = {np.dtype("int8")} if require_int8 else {np.dtype("int8"), np.dtype("float32")}
        if not {self.input_dtype, self.output_dtype} <= allowed:
            raise ModelError(
                f"{self._name}: expected {' or '.join(sorted(d.name for d in allowed))} input and "
                f"output, got {self.input_dtype} and {self.output_dtype}; "
                'convert with the mode "int8" for int8 at both ends'
            )
        for end in inputs + outputs:
            if end["dtype"] == np.int8:
                with _explained(self._name, "use"):
                    quant.quantize(0.0, *end["quantization"])

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs, all computed at once.

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
        ModelError
            If the runtime cannot run the model on so many inputs.
        """
        self._set(x)
        with _explained(self._name, "run"):
            self._interpreter.invoke()
        y = self._interpreter.get_tensor(self._output["index"])
        if self.output_dtype == np.int8:
            return quant.dequantize(y, *self._output["quantization"])
        return y

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return real-valued inputs in the model's own input type."""
        x = checked_inputs(x, self.input_shape, "input")
        if self.input_dtype == np.int8:
            return quant.quantize(x, *self._input["quantization"])
        return x

    def _set(self, x: np.ndarray) -> None:
        """Hand inputs to the interpreter, with room made for their number."""
        codes = self.encode(x)
        if len(codes) != self._batch:
            self._batch = 0  # neither the old nor the new size, should the next lines fail
            doing = f"make room for {len(codes)} inputs in"
            with _explained(self._name, doing, advice="was it converted for a fixed batch?"):
                self._interpreter.resize_tensor_input(self._input["index"], codes.shape)
                self._interpreter.allocate_tensors()
            self._batch = len(codes)
        self._interpreter.set_tensor(self._input["index"], codes)

    def invoker(self, x: np.ndarray) -> Callable[[], None]:
        """Return a function that only computes, on inputs that are set already: to be timed."""
        self.run(x)  # what is timed is not looked at any more
        return self._interpreter.invoke
