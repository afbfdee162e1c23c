"""How far each layer of an int8 file lies from that of its float32 version, by tensors' names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_course.data import FileContent
from edge_course.quantization import quant
from edge_course.report.facts import LayerError, LayerErrors
from edge_course.runtimes import litert, ort, tflite_file
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_files import onnx_errors_explained, read_proto

INPUTS = 16  # that the error is taken over
_QUANTIZED = "_DequantizeLinear_Output"  # how ONNX Runtime calls a tensor that it has rounded


def decibels(signal: np.ndarray | float, error: np.ndarray | float) -> float:
    """Return signal to noise in dB: 10·log₁₀(Σ signal² / Σ error²).

    Parameters
    ----------
    signal, error : real numbers; infinite if there is no error.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        power, noise = (np.sum(np.square(v, dtype=np.float64)) for v in (signal, error))
        return float(np.inf if noise == 0 else 10 * np.log10(power / noise))


def layer_errors(
    kind: str,
    content: FileContent,
    other: FileContent,
    inputs: tuple[np.ndarray, np.ndarray],
) -> LayerErrors:
    """Compare every layer of the float32 file with that of the same name in the int8 file.

    Parameters
    ----------
    kind : of both, "TFLite" or "ONNX".
    content, other : the int8 file and its float32 version.
    inputs : float32 (n, …), as each of the two takes them; the first `INPUTS` are used.

    Raises
    ------
    ModelError
        If the first is not quantized, the second is, or one of them cannot be run.
    ValueError
        If no layer has the same name and shape in both.
    """
    activations = {"TFLite": _tflite_activations, "ONNX": _onnx_activations}[kind]
    quantized, runs = activations(content)
    other_quantized, other_runs = activations(other)
    if not quantized or other_quantized:
        raise ModelError(
            "expected an int8 file against its float32 version, got "
            f"{'an int8' if quantized else 'a float32'} file against "
            f"{'an int8' if other_quantized else 'a float32'} one"
        )
    signal: dict[str, list[float]] = {}
    names: dict[str, None] = {}
    for x, other_x in zip(*(given[:INPUTS] for given in inputs), strict=True):
        actual, expected = runs(x[np.newaxis]), other_runs(other_x[np.newaxis])
        names |= dict.fromkeys(expected)
        for name, values in expected.items():
            if name and name in actual and actual[name].shape == values.shape:
                error = actual[name] - values
                powers = [np.square(v, dtype=np.float64).sum() for v in (values, error)]
                signal[name] = np.add(signal.get(name, 0), powers)
    if not signal:
        raise ValueError(
            "no layer has the same name and shape in both files; are they made from one network?"
        )
    return LayerErrors(
        tuple(LayerError(n, decibels(*np.sqrt(powers))) for n, powers in signal.items()),
        tuple(n for n in names if n not in signal),
    )


_Run = Callable[[np.ndarray], dict[str, np.ndarray]]


def _tflite_activations(content: FileContent) -> tuple[bool, _Run]:
    """Return whether a file computes in integers, and what gives its activations by name."""
    graph = tflite_file.read_tflite(content)
    runner = litert.Runner(content)
    every = FileContent(tflite_file.with_all_outputs(content), content.name)
    tensors = {t.index: t for o in graph.operators for t in o.outputs}

    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        made = litert.outputs(every, runner.encode(x))
        real = {}
        for index in [i for i in tensors if i in made]:  # in the order of the operators
            tensor, values = tensors[index], made[index]
            if len(tensor.scales) == 1:
                values = quant.dequantize(values, tensor.scales[0], int(tensor.zero_points[0]))
            if values.dtype.kind == "f":
                real[tensor.name] = values
        return real

    return any(len(t.scales) and t.dtype.kind == "i" for t in tensors.values()), run


def _onnx_activations(content: FileContent) -> tuple[bool, _Run]:
    """As `_tflite_activations`; what the quantizer has rounded is called as before."""
    operators = ort.operators(content)
    real = [t.name for o in operators for t in o.outputs if t.dtype == "float32"]
    proto = read_proto(content)
    there = {value.name for value in proto.graph.output}
    for name in real:
        if name not in there:
            proto.graph.output.add().name = name
    session = ort.session(FileContent(proto.SerializeToString(), content.name), level="none")

    def run(x: np.ndarray) -> dict[str, np.ndarray]:
        with onnx_errors_explained(content.name, "run", runtime="ONNX Runtime"):
            values = session.run(real, {session.get_inputs()[0].name: x})
        made = dict(zip(real, values, strict=True))
        rounded = {n.removesuffix(_QUANTIZED): v for n, v in made.items() if n.endswith(_QUANTIZED)}
        return {n: v for n, v in made.items() if not n.endswith(_QUANTIZED)} | rounded

    return any("Quant" in o.name or "QLinear" in o.name for o in operators), run
