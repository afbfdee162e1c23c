"""An int8 network computed with whole numbers only, to the same bytes as LiteRT.

LiteRT has two families of kernels, "default" and "reference", and TensorFlow Lite Micro a third,
"micro"; what each operator computes in each of them is in `operators`. The tests compare more
than a million bytes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable

import numpy as np

from edge_course import data, fashion_mnist, measure, terminal
from edge_course.integer_inference.operators import COMPUTATIONS, check_micro, check_operator
from edge_course.integer_inference.step import Step
from edge_course.runtimes import litert, model_files, tflite_file
from edge_course.runtimes.litert import KERNELS
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_file import Graph, Operator, Tensor

__all__ = ["COMPUTATIONS", "FAMILIES", "KERNELS", "IntegerModel", "benchmark"]

FAMILIES = (*KERNELS, "micro")
CHUNK = 100  # inputs at a time, so that the int32 sums of a large set fit memory


class IntegerModel:
    """A fully int8 model, run in NumPy.

    Parameters
    ----------
    graph : its tensors and operators.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If it has several inputs or outputs, an operator or a setting that is not known here, or
        reads what nothing has computed; the message names it.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """

    def __init__(self, graph: Graph):
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise ModelError(
                f"expected one input and one output, "
                f"got {len(graph.inputs)} and {len(graph.outputs)}"
            )
        shapes = tflite_file.shape_tensors(graph.operators)
        self._computed = tuple(o for o in graph.operators if o.outputs[0].index not in shapes)
        known = {graph.inputs[0].index}
        for operator in self._computed:
            operator = _without_shape(operator, shapes)
            check_operator(operator)
            activations = [t for t in operator.given if t.values is None]
            _check_known(activations, known, f"{operator.name} reads")
            known |= {t.index for t in operator.outputs}
        _check_known(graph.outputs, known, "the output is")
        self.graph = graph
        (self._input,), (self._output,) = graph.inputs, graph.outputs

    @classmethod
    def from_file(cls, model: bytes | str | os.PathLike) -> IntegerModel:
        """Return the model in a ``.tflite`` file, given by its path or its content.

        Raises
        ------
        edge_course.runtimes.model_files.ModelError
            If it is no TFLite model, or one that cannot be computed here.
        """
        graph = tflite_file.read_tflite(model)
        try:
            return cls(graph)
        except ModelError as error:
            raise ModelError(f"{model_files.name(model)}: {error}") from None

    def run(self, x: np.ndarray, kernels: str = "default") -> np.ndarray:
        """Return the output's codes for a batch of input codes.

        Parameters
        ----------
        x : int8 (n, …), any n from 1.
        kernels : whose arithmetic: "default", "reference" or "micro".

        Returns
        -------
        np.ndarray
            int8 (n, …).

        Raises
        ------
        ValueError
            If the dtype or the shape is another one, or the kernels are unknown.
        edge_course.runtimes.model_files.ModelError
            If TFLM computes an operator in a way that is not written here.
        """
        parts = [x[i : i + CHUNK] for i in range(0, max(1, len(x)), CHUNK)]
        output = self._output.index
        return np.concatenate([self.activations(part, kernels)[output] for part in parts])

    def activations(self, x: np.ndarray, kernels: str = "default") -> dict[int, np.ndarray]:
        """Return what `run` computes on its way: index of a tensor in the file → its codes."""
        if kernels not in FAMILIES:
            raise ValueError(f"expected one of the kernels {', '.join(FAMILIES)}, got {kernels!r}")
        if kernels == "micro":
            for operator in self._computed:
                check_micro(operator)
        given = self._input
        x = np.asarray(x)
        if x.dtype != given.dtype or x.shape[1:] != given.shape[1:] or not len(x):
            raise ValueError(
                f"expected {given.dtype} (n, {', '.join(map(str, given.shape[1:]))}) with n at "
                f"least 1, got {x.dtype} {x.shape}"
            )
        values = {given.index: x}
        for operator in self._computed:
            values[operator.outputs[0].index] = COMPUTATIONS[operator.name](
                Step(operator, values, kernels)
            )
        return values


def _check_known(tensors: Iterable[Tensor], known: set[int], what: str) -> None:
    for tensor in tensors:
        if tensor.index not in known:
            raise ModelError(f"{what} {tensor.name!r}, which no operator before it computes")


def _without_shape(operator: Operator, shapes: set[int]) -> Operator:
    """Return a RESHAPE without its shape if that is worked out; the file says it too."""
    kept = tuple(t for t in operator.inputs if t is None or t.index not in shapes)
    return operator._replace(inputs=kept) if operator.name == "RESHAPE" else operator


def benchmark(pictures: int = 100, seconds: float = 10.0) -> measure.Latency:
    """Return the time for some test pictures through the seed CNN, interleaved.

    "integer" is this module and "reference" LiteRT's interpreter, both with the arithmetic of
    the reference kernels; "default" is LiteRT with its default kernels. One thread each.

    Parameters
    ----------
    pictures : computed together.
    seconds : time to spend in all, roughly.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """
    file = data.read("seed_cnn_int8.tflite")
    x = fashion_mnist.preprocess(fashion_mnist.load("test").images[:pictures])
    runners = {kernels: litert.Runner(file, kernels=kernels) for kernels in KERNELS}
    model, codes = IntegerModel.from_file(file), runners["default"].encode(x)
    functions = {kernels: runner.invoker(x) for kernels, runner in runners.items()}
    functions["integer"] = lambda: model.run(codes, "reference")
    return measure.latency(functions, rounds=10, seconds=seconds)


def main() -> None:
    """Print the times of the course's integer arithmetic and of LiteRT."""
    argparse.ArgumentParser(
        prog="python -m edge_course.integer_inference.model",
        description="Time integer arithmetic in NumPy against LiteRT's kernels, in one run.",
    ).parse_args()
    timings = benchmark()
    for name, label in {
        "integer": "edge_course.integer_inference.model",
        "reference": "LiteRT, reference kernels",
        "default": "LiteRT, default kernels",
    }.items():
        print(f"{label:26}{timings.microseconds(name).median / 1000:9.1f} ms for 100 pictures")
    print(f"integer / reference kernels: {timings.ratio('integer', 'reference')}")


if __name__ == "__main__":
    terminal.run_command(main)
