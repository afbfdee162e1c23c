"""What is in a ``.tflite`` or an ``.onnx`` file: operators, weights, work, activation memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from pathlib import Path

from edge_course.cost_models import activation_memory, onnx_work, roofline
from edge_course.data import FileContent
from edge_course.report.facts import Contents, OperatorRow, Unknown, known_or_why
from edge_course.runtimes import litert, model_files, ort, tflite_file
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_files import onnx_content, onnx_errors_explained, read_proto
from edge_course.runtimes.ort import OnnxOperator
from edge_course.runtimes.tflite_file import Operator, Tensor
from edge_course.runtimes.tflite_schema import IDENTIFIER

FORMATS = {".tflite": "TFLite", ".onnx": "ONNX"}


def load_model(path: Path) -> tuple[str, FileContent]:
    """Return the format of a model file and its content, once its runtime has loaded it.

    Weights that an ONNX model keeps in another file are in the content.

    Raises
    ------
    ModelError
        If the name ends in neither .tflite nor .onnx, the content is of another format, or the
        runtime cannot load it.
    """
    if path.exists() and not path.is_file():
        raise ModelError(f"{path}: expected a file, got a folder or a device")
    if path.suffix.lower() not in FORMATS:
        raise ModelError(
            f"{path}: expected a file whose name ends in {' or '.join(FORMATS)}; "
            "a model of another framework has to be converted first"
        )
    kind = FORMATS[path.suffix.lower()]
    content = model_files.content(path)
    if kind == "ONNX" and content[4:8] == IDENTIFIER:
        raise ModelError(f"{path}: is a TFLite model: its name has to end in .tflite")
    if kind == "ONNX":
        content = onnx_content(path)
        ort.check_loads(content)
    else:
        litert.interpreter(content)
    return kind, content


def read_contents(kind: str, content: FileContent) -> Contents | Unknown:
    """Return what is in a file that its runtime loads.

    Parameters
    ----------
    kind, content : as `load_model` returns them.
    """
    return known_or_why({"TFLite": _tflite, "ONNX": _onnx}[kind], content)


def _tflite(content: FileContent) -> Contents:
    graph = tflite_file.read_tflite(content)
    _check_shapes(content, graph.tensors)
    shapes = tflite_file.shape_tensors(graph.operators)

    def macs(operator: Operator) -> int:
        return 0 if operator.outputs[0].index in shapes else roofline.operator_macs(operator)

    weights = {
        t.index: t for o in graph.operators for t in o.given if roofline.is_weight(t)
    }.values()
    return Contents(
        inputs=tuple(map(str, graph.inputs)),
        outputs=tuple(map(str, graph.outputs)),
        operators=_rows(graph.operators, macs),
        weights=sum(t.values.size for t in weights),
        weight_bytes=sum(t.values.nbytes for t in weights),
        alive=known_or_why(_alive_in_tflite, graph),
        work=known_or_why(roofline.work, graph.operators),
    )


def _check_shapes(content: FileContent, tensors: Sequence[Tensor]) -> None:
    """Refuse a file that states other shapes than it runs with; LiteRT works them out anew."""
    for details in litert.interpreter(content).get_tensor_details():
        if details["index"] >= len(tensors):
            continue  # the runtime's own
        tensor, runs = tensors[details["index"]], tuple(map(int, details["shape"]))
        if runs and runs != tensor.shape:
            raise ModelError(
                f"{content.name}: states the shape {tensor.shape} for {tensor.name!r}, but runs "
                f"with {runs}; was it altered?"
            )


def _alive_in_tflite(graph: tflite_file.Graph) -> tuple[int, ...]:
    steps, sizes = activation_memory.tflite_steps(graph.operators)
    outputs = {t.index for t in graph.outputs}
    return tuple(activation_memory.alive_bytes(steps, sizes, outputs))


def _for_one_input(content: FileContent) -> FileContent:
    """Return a file with 1 for an open batch: shapes that are computed from it are then known."""
    import onnx

    proto = read_proto(content)
    weights = {weight.name for weight in proto.graph.initializer}
    for value in (v for v in proto.graph.input if v.name not in weights):
        batch = value.type.tensor_type.shape.dim[:1]
        if batch and not batch[0].HasField("dim_value"):
            batch[0].dim_value = 1
    with onnx_errors_explained(content.name, "work out the shapes of", runtime="ONNX"):
        made = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        return FileContent(made.SerializeToString(), content.name)


def _onnx(content: FileContent) -> Contents:
    session = ort.session(content, level="none")
    content = _for_one_input(content)
    operators = ort.operators(content)
    weights = onnx_work.onnx_weights(operators)
    inputs, outputs = (
        tuple(f"{t.type} {'×'.join(map(str, t.shape)) or 'number'}" for t in side)
        for side in (session.get_inputs(), session.get_outputs())
    )
    return Contents(
        inputs=inputs,
        outputs=outputs,
        operators=_rows(operators, onnx_work.onnx_macs),
        weights=sum(prod(t.shape) for t in weights),
        weight_bytes=onnx_work.tensor_bytes(weights),
        alive=known_or_why(_alive_in_onnx, operators, {t.name for t in session.get_outputs()}),
        work=known_or_why(onnx_work.onnx_work, operators),
    )


def _alive_in_onnx(operators: Sequence[OnnxOperator], outputs: set[str]) -> tuple[int, ...]:
    return tuple(activation_memory.alive_bytes(*onnx_work.onnx_steps(operators), outputs))


def _rows(
    operators: Sequence[Operator] | Sequence[OnnxOperator], macs: Callable[..., int]
) -> tuple[OperatorRow, ...]:
    """Return one row for each operator's name, the most multiply-accumulates first."""
    counts: dict[str, list[int | Unknown]] = {}
    for operator in operators:
        counts.setdefault(operator.name, []).append(known_or_why(partial(macs, operator)))
    rows = [
        OperatorRow(
            name, len(each), next((n for n in each if isinstance(n, Unknown)), None) or sum(each)
        )
        for name, each in counts.items()
    ]
    return tuple(sorted(rows, key=lambda r: -1 if isinstance(r.macs, Unknown) else -r.macs))
