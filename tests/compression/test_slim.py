"""A file without what the runtime does not need computes the same bytes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_course import data, fashion_mnist
from edge_course.compression import shipped, slim
from edge_course.compression.slim import slim_file
from edge_course.runtimes import litert, model_files, tflite_file
from tests.support import tflite_networks
from tests.support.effort import effort

SLIM = shipped.FILES  # by the recipe already
FILES = [name for name in data.manifest() if name.endswith(".tflite") and name not in SLIM]
RANDOM = np.random.default_rng


def outputs_in_order(file: bytes, x: np.ndarray, kernels: str) -> list[np.ndarray]:
    results = litert.outputs(file, x, kernels=kernels)  # by tensor, and these have new numbers
    return [results[t.index] for t in tflite_file.read_tflite(file).outputs]


def assert_same(file: bytes, smaller: bytes, x: np.ndarray) -> None:
    for kernels in litert.KERNELS:
        before, after = (outputs_in_order(f, x, kernels) for f in (file, smaller))
        for a, b in zip(before, after, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("count", [1, 7])
def test_the_courses_files_compute_the_same(name: str, count: int) -> None:
    file = data.read(name)
    smaller = slim_file(file)
    assert len(smaller) < len(file)
    runner = litert.Runner(file)
    x = runner.encode(fashion_mnist.preprocess(fashion_mnist.load("test").images[:count]))
    assert_same(file, smaller, x)
    assert slim_file(smaller) == smaller


@pytest.mark.parametrize("every_output", [False, True])
@pytest.mark.parametrize("seed", range(effort(8, 30)))
def test_random_networks_compute_the_same(seed: int, every_output: bool) -> None:
    file = tflite_networks.network(seed, every_output=every_output)
    smaller = slim_file(file)
    assert len(smaller) < len(file)
    x = RANDOM(seed).integers(-128, 128, litert.interpreter(file).get_input_details()[0]["shape"])
    assert_same(file, smaller, x.astype(np.int8))


def test_every_weight_scale_and_zero_point_is_still_there() -> None:
    file = data.read("depthwise_cnn_int8.tflite")
    before, after = (tflite_file.read_tflite(f) for f in (file, slim_file(file)))
    dropped = {"SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"}
    kept = [o for o in before.operators if o.name not in dropped]
    assert [o.name for o in kept] == [o.name for o in after.operators]
    for a, b in zip(kept, after.operators, strict=True):
        assert vars(a.options or b) == vars(b.options or b)
        for t, same in zip(a.inputs[1:], b.inputs[1:], strict=True):
            for x, y in zip(t[3:], same[3:], strict=True):
                np.testing.assert_array_equal(x, y)
        x, y = a.outputs[0], b.outputs[0]
        assert (x.scales, x.zero_points) == (y.scales, y.zero_points)


def dense_behind_a_reshape(shape: tuple[int, ...], rows: int, *, seen: bool = False) -> bytes:
    """The reshape goes to ``rows`` rows, and may be an output of the network as well."""
    net = tflite_networks.Network(RANDOM(0), shape)
    features = int(np.prod(shape)) // rows
    reshaped = net.like((rows, features))
    new_shape = net.constant(np.array([rows, features], np.int32))
    net.operator("RESHAPE", [net.x, new_shape], reshaped)
    weight = net.constant(RANDOM(1).integers(-127, 128, (3, features), np.int8), [0.1], [0])
    options = {"kind": "FullyConnectedOptions"}
    inputs = [reshaped, weight, net.constant(np.zeros(3, np.int32), [0.1 * net.step(net.x)], [0])]
    net.operator("FULLY_CONNECTED", inputs, net.activation((rows, 3), 1.0, 0), **options)
    return net.content(every_output=seen)


@pytest.mark.parametrize(
    ("file", "stays"),
    [
        (dense_behind_a_reshape((1, 2, 2, 6), 1), False),
        (dense_behind_a_reshape((1, 2, 2, 6), 1, seen=True), True),  # its result is asked for
        (dense_behind_a_reshape((1, 2, 2, 6), 2), True),  # it moves numbers between pictures
    ],
)
def test_a_reshape_goes_only_where_the_dense_layer_does_the_same(file: bytes, stays: bool) -> None:
    smaller = slim_file(file)
    assert ("RESHAPE" in [o.name for o in tflite_file.read_tflite(smaller).operators]) == stays
    assert_same(file, smaller, RANDOM(2).integers(-128, 128, (1, 2, 2, 6), np.int8))


def test_equal_vectors_are_stored_once() -> None:
    smaller = slim_file(data.read("depthwise_cnn_int8.tflite"))
    zero_points = np.zeros(96, np.int64).tobytes()
    assert smaller.count(np.int32(96).tobytes() + zero_points) == 1
    file = schema.ModelT.InitFromPackedBuf(smaller, 0)
    contents = [bytes(b.data) for b in file.buffers if b.data is not None]
    assert len(contents) == len(set(contents))


def lstm() -> bytes:
    """An int8 file with an LSTM of 4 cells over 6 steps of 5 numbers.

    It keeps a state from run to run (two variable tensors), leaves out half of its inputs, and
    the scales of five tensors that only its intermediates name are part of the arithmetic.
    """
    net = tflite_networks.Network(RANDOM(0), (1, 6, 5))

    def weights(shape: tuple[int, ...]) -> int:
        return net.constant(RANDOM(shape[1]).integers(-127, 128, shape, np.int8), [0.005], [0])

    def state(dtype: str, scale: float) -> int:
        index = net._tensor(dtype, (1, 4), [scale], [0])
        net.graph.tensors[index].isVariable = True
        return index

    kernels = [weights((4, 5)) for _ in range(4)] + [weights((4, 4)) for _ in range(4)]
    scale = net.step(net.x) * 0.005
    biases = [net.constant(RANDOM(i).integers(-99, 99, 4, np.int32), [scale], [0]) for i in (1, 2)]
    states = [state("int8", 1 / 128), state("int16", 2**-11)]
    left_out = [-1] * 3
    inputs = [net.x, *kernels, *left_out, *biases * 2, -1, -1, *states, -1, *left_out]
    intermediates = [net._tensor("int16", (4,), [2**-12], [0]) for _ in range(4)]
    intermediates.append(net._tensor("int8", (4,), [1 / 128], [0]))
    fused = schema.ActivationFunctionType.TANH
    settings = {"kind": "UnidirectionalSequenceLSTMOptions", "fusedActivationFunction": fused}
    out = net.activation((1, 6, 4), 1 / 128, 0)
    net.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, out, **settings)
    net.graph.operators[0].intermediates = intermediates
    return net.content()


def test_an_lstm_keeps_its_intermediates_and_its_bytes() -> None:
    file = lstm()
    names = [o.name for o in tflite_file.read_tflite(file).operators]
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in names
    smaller = slim_file(file)
    assert len(smaller) < len(file)
    x = RANDOM(1).integers(-128, 128, (1, 6, 5), np.int8)
    assert_same(file, smaller, x)
    assert len(np.unique(outputs_in_order(smaller, x, "default")[0])) > 10


def test_tensors_that_only_intermediates_name_stay() -> None:
    def named(model) -> None:
        graph = model.subgraphs[0]
        graph.tensors.append(copy.deepcopy(graph.tensors[10]))
        graph.operators[0].intermediates = [len(graph.tensors) - 1]

    file = tflite_networks.changed(data.read("seed_cnn_int8.tflite"), named)
    before, after = (
        schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
        for content in (file, slim_file(file))
    )
    ends = [g.tensors[g.operators[0].intermediates[0]].shape.tolist() for g in (before, after)]
    assert ends[0] == ends[1]


def test_a_file_with_two_signatures_is_refused_by_their_names() -> None:
    def twice(model) -> None:
        other = copy.deepcopy(model.signatureDefs[0])
        other.signatureKey = "train"
        model.signatureDefs.append(other)

    file = tflite_networks.changed(data.read("seed_cnn_int8.tflite"), twice)
    with pytest.raises(model_files.ModelError, match="one signature, got serving_default, train"):
        slim_file(file)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda graph: graph.operators.pop(), "cannot be made slim"),
        (lambda graph: graph.tensors[-1].quantization.zeroPoint.fill(1), "other bytes"),
    ],
)
def test_a_slim_file_that_would_be_wrong_is_not_returned(monkeypatch, fault, message) -> None:
    """A step that does harm: the result is run and compared before it is given out."""
    whole = slim._vectors_as_arrays

    def harmful(file, graph) -> None:
        whole(file, graph)
        fault(graph)

    monkeypatch.setattr(slim, "_vectors_as_arrays", harmful)
    with pytest.raises(model_files.ModelError, match=message):
        slim.slim_file(data.read("seed_cnn_int8.tflite"))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(model_files.ModelError, match="not a TFLite model"):
        slim_file(b"no model")
