"""The generated C, on this machine and on emulated cores, against TFLM and the engine."""

import re

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.integer_inference.model import IntegerModel
from edge_course.microcontroller.c_arithmetic import HELPERS
from edge_course.microcontroller.c_operators import TO_C
from edge_course.microcontroller.cores import A53, CORES
from edge_course.microcontroller.emulator import Board
from edge_course.microcontroller.firmware import build
from edge_course.microcontroller.host import HostModel
from edge_course.microcontroller.to_c import to_c
from edge_course.runtimes import litert, tflm
from edge_course.runtimes.model_files import ModelError
from tests.support import tflite_networks, tiny_networks
from tests.support.effort import effort

SHIPPED = ["compressed_20.tflite", "seed_cnn_int8.tflite", "depthwise_cnn_int8.tflite"]


def codes(file: bytes, count: int) -> np.ndarray:
    images = fashion_mnist.load("test").images[:count]
    return litert.Runner(file).encode(fashion_mnist.preprocess(images))


def expected(file: bytes, x: np.ndarray) -> np.ndarray:
    """What TFLM's own interpreter says, or, where it does not run, the engine."""
    if tflm.missing():
        return IntegerModel.from_file(file).run(x, "micro").reshape(len(x), -1)
    (found,) = tflm.micro_outputs(file, x).values()
    return found.reshape(len(x), -1)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_host_computes_the_bytes_of_tflm(name) -> None:
    file = data.read(name)
    x = codes(file, effort(300, 10_000))
    assert np.array_equal(HostModel(to_c(file)).run(x), expected(file, x))


@pytest.mark.parametrize("core", [*CORES, A53], ids=lambda core: core.name)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_core_computes_the_bytes_of_tflm(name, core) -> None:
    file = data.read(name)
    x = codes(file, effort(20, 200) if name.startswith("compressed") else effort(2, 20))
    source = to_c(file)
    large = core._replace(flash_bytes=2**20, ram_bytes=2**18)  # the core in a chip with more room
    board = Board(build(source.files, large))
    assert np.array_equal(board.run(source, x), expected(file, x))


def test_random_networks_are_right_or_refused_by_name() -> None:
    written = set()
    for seed in range(effort(30, 300)):
        file = tflite_networks.network(seed, every_output=False)
        engine = IntegerModel.from_file(file)
        names = {o.name for o in engine.graph.operators}
        try:
            source = to_c(file)
        except ModelError as error:
            assert re.search(r"cannot (write|compute) [A-Z_0-9]+ as|inputs at once", str(error))
            continue
        assert names <= set(TO_C)
        x = np.random.default_rng(seed).integers(-128, 128, engine.graph.inputs[0].shape, np.int8)
        assert np.array_equal(HostModel(source).run(x), engine.run(x, "micro").reshape(1, -1))
        written |= names
    assert len(written) >= 6


@pytest.mark.parametrize("seed", range(effort(12, 100)))
@pytest.mark.parametrize("operator", ["conv", "pool", "head", "expand_and_squeeze"])
def test_single_layers_of_every_size(operator, seed) -> None:
    """`to_c` compares with the engine before it returns; here other inputs are compared."""
    random = np.random.default_rng(seed)
    net = tflite_networks.Network(random, (1, *random.integers(6, 10, 2).tolist(), 4))
    getattr(tflite_networks, operator)(net)
    file = net.content(every_output=False)
    engine = IntegerModel.from_file(file)
    try:
        source = to_c(file)
    except ModelError as error:
        assert re.search("dilated|in groups|cannot compute", str(error))
        return
    x = random.integers(-128, 128, (4, *engine.graph.inputs[0].shape[1:]), np.int8)
    assert np.array_equal(HostModel(source).run(x), engine.run(x, "micro").reshape(4, -1))


@pytest.mark.parametrize("name", tiny_networks.NETWORKS)
def test_files_in_the_shapes_of_the_tiny_benchmark(name) -> None:
    file = tiny_networks.NETWORKS[name]().content(every_output=False)
    engine, source = IntegerModel.from_file(file), to_c(file)
    x = np.random.default_rng(1).integers(-128, 128, (2, source.input_bytes), np.int8)
    given = x.reshape(2, *engine.graph.inputs[0].shape[1:])
    assert np.array_equal(HostModel(source).run(x), engine.run(given, "micro").reshape(2, -1))


def test_the_header_says_what_the_codes_mean() -> None:
    source = to_c(data.read("compressed_20.tflite"))
    assert "#define MODEL_INPUT_BYTES 784\n" in source.h
    assert "0.003921569 * (q - -128)" in source.h
    assert (source.input_bytes, source.output_bytes) == (784, 10)


def two_at_once(model) -> None:
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is None:
            tensor.shape = [2, *tensor.shape[1:]]


def no_operators(model) -> None:
    model.subgraphs[0].operators, model.subgraphs[0].outputs = [], [0]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (tflite_networks.changed(data.read(SHIPPED[0]), two_at_once), "takes 2 inputs at once"),
        (tflite_networks.changed(data.read(SHIPPED[0]), no_operators), "there are no operators"),
        (tflite_networks.of_one_operator("TANH"), "cannot write TANH as C .*known are ADD"),
        (data.read("seed_cnn_float32.tflite"), "float32, expected int8"),
        (b"", "not a TFLite model"),
    ],
)
def test_what_is_not_known_is_refused_by_name(file, message) -> None:
    with pytest.raises(ModelError, match=message):
        to_c(file)


def test_c_that_computes_something_else_is_not_returned(monkeypatch) -> None:
    wrong = HELPERS["rescale"].replace("1 << 30", "1 << 29")
    monkeypatch.setitem(HELPERS, "rescale", wrong)
    with pytest.raises(ModelError, match="its C computes something else"):
        to_c(data.read("compressed_20.tflite"))


@pytest.mark.parametrize(
    "x", [np.zeros((1, 784), np.uint8), np.zeros((1, 783), np.int8), np.zeros(784, np.int8)]
)
def test_other_inputs_are_refused(x) -> None:
    source = to_c(data.read("compressed_20.tflite"))
    with pytest.raises(ValueError, match="784 for each of n inputs"):
        HostModel(source).run(x)
