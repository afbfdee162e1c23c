"""ONNX files: read whole, the weights that lie in another file beside them too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_course.data import FileContent
from edge_course.runtimes import model_files
from edge_course.runtimes.model_files import ModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

# The exception classes of ONNX and of ONNX Runtime have no common base.
onnx_errors_explained = partial(model_files.explained, errors=(Exception,))


def read_proto(model: bytes | str | os.PathLike) -> onnx.ModelProto:
    """Return the message that an ONNX file holds, all its weights in it.

    PyTorch writes weights to a second file, "model.onnx.data". They are read from the folder in
    which the model lies, and from nowhere else.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.

    Raises
    ------
    ModelError
        If it is not an ONNX model, or keeps weights in another file and only the content is
        given, or that file is missing, too short, or outside the model's folder.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    return _read(model)[0]


def onnx_content(model: bytes | str | os.PathLike) -> FileContent:
    """Return the content of an ONNX file that needs no other file: all its weights are in it.

    A file that is whole already comes back as it is.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.

    Raises
    ------
    ModelError
        As `read_proto`.
    """
    proto, was_whole = _read(model)
    if was_whole:
        return model_files.content(model)
    name = model_files.name(model)
    with onnx_errors_explained(name, "hold the weights of", runtime="one file"):
        return FileContent(proto.SerializeToString(deterministic=True), name)


def draws_random_numbers(node: onnx.NodeProto) -> bool:
    """Tell whether an operator gives other numbers on every run."""
    return node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial")


def without_notes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without what only its exporter needs; a third of a small file is that."""
    graph = proto.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input,
                 *graph.output):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    # Shapes of weights are in the weights; said twice, they contradict a weight transposed later.
    weights = {weight.name for weight in graph.initializer}
    kept = [value for value in graph.value_info if value.name not in weights]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return proto


def one_layer_model(
    node: onnx.NodeProto, weight: np.ndarray, takes: Sequence[int | str], gives: Sequence[int | str]
) -> onnx.ModelProto:
    """Return a model of one node that reads an input and a weight, all float32.

    Parameters
    ----------
    node : its first input is the model's, its second the weight's name, its output the model's.
    weight : float32, as the operator keeps it.
    takes, gives : the shapes of input and output; a text names a size that is open.
    """
    from onnx import TensorProto, helper, numpy_helper

    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in ((node.input[0], takes), (node.output[0], gives))
    )
    weights = [numpy_helper.from_array(weight, node.input[1])]
    graph = helper.make_graph([node], node.op_type, [given], [made], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _read(model: bytes | str | os.PathLike) -> tuple[onnx.ModelProto, bool]:
    """Return the whole message, and whether the file held all of it."""
    import onnx

    name = model_files.name(model)
    content = model_files.content(model)
    with onnx_errors_explained(name, "read", runtime="ONNX"):
        proto = onnx.load_from_string(content)
    # An empty message is valid, and text can be one by chance.
    if not proto.graph.output or not proto.opset_import:
        raise ModelError(
            f"{name}: not an ONNX model: it holds no graph or no operator set; "
            "is it empty, cut short, or of another format?"
        )
    outside = [t for t in _tensors(proto) if onnx.external_data_helper.uses_external_data(t)]
    for tensor in outside:
        if isinstance(model, bytes | bytearray):
            raise ModelError(
                f"{name}: keeps its weights in another file, {_location(tensor)}; give the "
                "model's path, or save it as one file "
                "(onnx.save(model, path, save_as_external_data=False))"
            )
        try:
            # It refuses what lies outside the folder, and a file that is too short.
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(_folder(model)))
            onnx.numpy_helper.to_array(tensor)  # as many bytes as its shape needs?
        except Exception as error:
            raise ModelError(
                f"{name}: its weights {tensor.name!r} cannot be read from {_location(tensor)} in "
                f"{_folder(model)} ({error}); copy both files whole into one folder"
            ) from error
    return proto, not outside


def _folder(model: str | os.PathLike) -> Path:
    return Path(model).parent


def _location(tensor: onnx.TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")


def _tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Return every array in a model, those in branches, loops and functions too."""
    graphs = [proto.graph, *proto.functions]
    for graph in graphs:  # grows: an attribute can be a graph
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for attribute in (a for node in graph.node for a in node.attribute):
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs += [attribute.g, *attribute.graphs]
