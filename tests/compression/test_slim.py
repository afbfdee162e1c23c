"""A file without what the runtime does not need computes the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_course import data, fashion_mnist
from edge_course.compression import report
from edge_course.compression.slim import slim_file
from edge_course.runtimes import litert, model_files, tflite_file
from tests.support import tflite_networks

SLIM = report.FILES  # by the recipe already
FILES = [name for name in data.manifest() if name.endswith(".tflite") and name not in SLIM]
RANDOM = np.random.default_rng


def outputs_in_order(file: bytes, x: np.ndarray, kernels: str) -> list[np.ndarray]:
    results = litert.outputs(file, x, kernels=kernels)  # by tensor, and these have new numbers
    return [results[t.index] for t in tflite_file.read_tflite(file).outputs]


def assert_same(file: bytes, slim: bytes, x: np.ndarray) -> None:
    for kernels in litert.KERNELS:
        before, after = (outputs_in_order(f, x, kernels) for f in (file, slim))
        for a, b in zip(before, after, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("count", [1, 7])
def test_the_courses_files_compute_the_same(name: str, count: int) -> None:
    file = data.read(name)
    slim = slim_file(file)
    assert len(slim) < len(file)
    runner = litert.Runner(file)
    x = runner.encode(fashion_mnist.preprocess(fashion_mnist.load("test").images[:count]))
    assert_same(file, slim, x)
    assert slim_file(slim) == slim


@pytest.mark.parametrize("every_output", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_random_networks_compute_the_same(seed: int, every_output: bool) -> None:
    file = tflite_networks.network(seed, every_output=every_output)
    slim = slim_file(file)
    assert len(slim) < len(file)
    x = RANDOM(seed).integers(-128, 128, litert.interpreter(file).get_input_details()[0]["shape"])
    assert_same(file, slim, x.astype(np.int8))


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
    slim = slim_file(file)
    assert ("RESHAPE" in [o.name for o in tflite_file.read_tflite(slim).operators]) == stays
    assert_same(file, slim, RANDOM(2).integers(-128, 128, (1, 2, 2, 6), np.int8))


def test_equal_vectors_are_stored_once() -> None:
    slim = slim_file(data.read("depthwise_cnn_int8.tflite"))
    zero_points = np.zeros(96, np.int64).tobytes()
    assert slim.count(np.int32(96).tobytes() + zero_points) == 1
    file = schema.ModelT.InitFromPackedBuf(slim, 0)
    contents = [bytes(b.data) for b in file.buffers if b.data is not None]
    assert len(contents) == len(set(contents))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(model_files.ModelError, match="not a TFLite model"):
        slim_file(b"no model")
