"""The roofline: its two bounds, the published peaks, and the course's CNN counted by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_course import data
from edge_course.cost_models import roofline
from edge_course.integer_inference.model import COMPUTATIONS
from edge_course.runtimes import litert, tflite_file
from tests.support import tflite_networks, tiny_networks

POSITIVE = st.floats(1e-3, 1e15)


@pytest.fixture(scope="module")
def operators():
    return tflite_file.read_tflite(data.read("seed_cnn_int8.tflite")).operators


@given(POSITIVE, POSITIVE, st.floats(0, 1e6))
def test_never_above_either_roof_and_always_on_one(peak, memory_bandwidth, intensity):
    found = roofline.attainable(peak, memory_bandwidth, intensity)
    assert found <= peak
    assert found <= intensity * memory_bandwidth
    assert found in (peak, intensity * memory_bandwidth)


@pytest.mark.parametrize("chip", roofline.CHIPS, ids=lambda chip: chip.name)
def test_the_roofs_meet_at_the_ridge(chip):
    below, at, above = (
        roofline.attainable(chip.peak, chip.memory_bandwidth, factor * chip.ridge)
        for factor in (0.5, 1, 2)
    )
    assert below == pytest.approx(chip.peak / 2)
    assert at == pytest.approx(chip.peak)
    assert above == chip.peak


def test_attainable_of_many_intensities_at_once():
    found = roofline.attainable(100.0, 10.0, np.array([0, 5, 10, 20]))
    np.testing.assert_array_equal(found, [0, 50, 100, 100])


@pytest.mark.parametrize(
    "numbers", [(0, 1, 1), (1, 0, 1), (1, 1, -1), (math.nan, 1, 1), (1, math.nan, 1)]
)
def test_attainable_names_bad_numbers(numbers):
    with pytest.raises(ValueError, match="expected a positive peak"):
        roofline.attainable(*numbers)
    with pytest.raises(ValueError, match="expected a positive peak"):
        roofline.attainable(1, 1, math.nan)


def test_peaks_and_bandwidths_are_those_of_the_makers():
    # One multiply-accumulate is two operations of the maker's counting.
    assert 2 * roofline.SERVER.peak == pytest.approx(624e12, rel=0.001)
    assert pytest.approx(12.8e9) == roofline.BOARD.memory_bandwidth
    assert pytest.approx(34.1e9, rel=0.001) == roofline.PHONE.memory_bandwidth
    assert roofline.SERVER.memory_bandwidth == 1555e9
    assert pytest.approx(336e6) == roofline.MICROCONTROLLER.peak
    # Flash gives 128 bits with 5 wait states, so in 6 cycles.
    assert pytest.approx(448e6) == roofline.MICROCONTROLLER.memory_bandwidth
    assert roofline.MICROCONTROLLER.memory_bytes == 1_048_576
    assert pytest.approx(16e6) == roofline.SENSOR.peak
    assert (roofline.SENSOR.ram_bytes, roofline.SENSOR.memory_bytes) == (20_480, 196_608)
    assert all(0 < chip.ram_bytes <= 8 * chip.memory_bytes for chip in roofline.CHIPS)
    assert pytest.approx(3.3 * 40e-3, rel=0.001) == roofline.MICROCONTROLLER_WATTS


def test_every_chip_is_faster_than_the_one_before():
    peaks = [chip.peak for chip in roofline.CHIPS]
    bandwidths = [chip.memory_bandwidth for chip in roofline.CHIPS]
    assert peaks == sorted(peaks)
    assert bandwidths == sorted(bandwidths)
    assert all(chip.source for chip in roofline.CHIPS)


def test_what_programs_reach_is_what_its_source_says():
    operations_per_second = 24.7e6 / 99.1e-3
    assert pytest.approx(operations_per_second / 2 / (2 * 216e6), abs=0.02) == roofline.REACHED


def test_work_of_the_courses_cnn_counted_by_hand(operators):
    work = roofline.work(operators)
    assert work.macs == 26 * 26 * 32 * 9 + 13 * 13 * 32 * 128 + 128 * 10
    kernels = 32 * 9 + 13 * 13 * 32 * 128 + 128 * 10
    biases = 4 * (32 + 128 + 10)
    assert work.weight_bytes == kernels + biases
    image, conv, pool = 28 * 28, 26 * 26 * 32, 13 * 13 * 32
    assert work.activation_bytes == image + conv + conv + pool + pool + 128 + 128 + 10


def test_work_of_the_float32_file_moves_four_times_the_bytes(operators):
    wide = roofline.work(tflite_file.read_tflite(data.read("seed_cnn_float32.tflite")).operators)
    narrow = roofline.work(operators)
    assert wide.macs == narrow.macs
    assert wide.activation_bytes == 4 * narrow.activation_bytes
    biases = 4 * (32 + 128 + 10)  # int32 and float32 take the same
    assert wide.weight_bytes == 4 * (narrow.weight_bytes - biases) + biases


def counted(net) -> tuple[int, int, int]:
    """MACs, learned numbers and bytes of them in a network with int8 weights and int32 biases."""
    graph = tflite_file.read_tflite(net.content())
    cost = roofline.work(graph.operators)
    learned = [t for t in graph.tensors if t.values is not None and len(t.scales)]
    return cost.macs, sum(t.values.size for t in learned), cost.weight_bytes


def channels_that_were_normalised(net) -> int:
    """Output channels of all convolutions but those on a short cut, which have no norm."""
    graph = tflite_file.read_tflite(net.content())
    shortcuts = [
        o.outputs[0].index
        for o in graph.operators
        if o.name == "CONV_2D" and o.inputs[1].shape[1:3] == (1, 1) and o.options.strideH == 2
    ]
    return sum(
        o.outputs[0].shape[3]
        for o in graph.operators
        if o.name in ("CONV_2D", "DEPTHWISE_CONV_2D") and o.outputs[0].index not in shortcuts
    )


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [
        # Zhang et al. (2017), "Hello Edge", table of DS-CNN: 5.4 million operations for the small
        # one, of which a multiply-accumulate is two. Parameters with batch norm (4 numbers a
        # channel): the summary of each reference model in MLPerf Tiny's training scripts.
        ("keyword_spotting", pytest.approx(5.4e6 / 2, rel=0.02), 24_908),
        ("visual_wake_words", pytest.approx(7.5e6, rel=0.01), 221_794),
        ("image_classification", pytest.approx(12.5e6, rel=0.01), 78_666),
    ],
)
def test_work_of_the_tiny_benchmarks_networks_is_what_is_published(name, macs, parameters) -> None:
    net = tiny_networks.NETWORKS[name]()
    counted_macs, learned, weight_bytes = counted(net)
    assert counted_macs == macs
    channels = channels_that_were_normalised(net)
    assert learned + 4 * channels == parameters
    biases = sum(
        o.inputs[2].values.size
        for o in tflite_file.read_tflite(net.content()).operators
        if len(o.inputs) > 2
    )
    assert weight_bytes == learned + 3 * biases  # a bias has four bytes, a weight one


@pytest.mark.parametrize(("size", "million_macs"), [(224, 41), (160, 21), (128, 14)])
def test_work_of_mobilenet_is_what_its_authors_publish(size, million_macs) -> None:
    """TensorFlow's model garden, mobilenet_v1.md: "0.25_224" and so on, 0.47 million parameters."""
    macs, parameters, _ = counted(tiny_networks.visual_wake_words(size, classes=1001))
    assert round(macs / 1e6) == million_macs
    assert round(parameters / 1e6, 2) == 0.47


def test_work_of_an_autoencoder_is_its_weights() -> None:
    macs, _, _ = counted(tiny_networks.anomaly_detection())
    assert macs == 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)


def test_work_of_every_operator_that_the_engine_computes() -> None:
    """Random networks; what is read and written is added up from LiteRT's own list."""
    names = set()
    for seed in range(60):
        content = tflite_networks.network(seed)
        operators = tflite_file.read_tflite(content).operators
        names |= {o.name for o in operators}
        made = litert.interpreter(content, kernels="reference")
        sizes = {d["index"]: made.get_tensor(d["index"]).nbytes for d in made.get_input_details()}
        sizes |= {d["index"]: made.get_tensor(d["index"]).nbytes for d in made.get_output_details()}
        free = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
        moved = [s for s in made._get_ops_details() if s["op_name"] not in free]
        expected = sum(sizes.get(i, 0) for s in moved for i in (*s["inputs"], *s["outputs"]))
        assert roofline.work(operators).activation_bytes == expected, seed
    assert names >= set(COMPUTATIONS) - {"DEQUANTIZE"}


def test_a_dilated_convolution_counts_its_small_pictures() -> None:
    net = tflite_networks.Network(np.random.default_rng(0), (1, 8, 8, 3))
    block, none = (net.constant(np.array(v, np.int32)) for v in ([2, 2], [[0, 0], [0, 0]]))
    small = net.like((4, 4, 4, 3))
    net.operator("SPACE_TO_BATCH_ND", [net.x, block, none], small, kind="SpaceToBatchNDOptions")
    tiny_networks._conv(net, 5, (3, 3))
    net.graph.tensors[net.x].shape = [4, 4, 4, 5]
    operators = tflite_file.read_tflite(net.content()).operators
    assert roofline.work(operators).macs == 8 * 8 * 5 * 3 * 3 * 3


def test_work_refuses_what_it_cannot_count(operators):
    with pytest.raises(ValueError, match="no operators"):
        roofline.work([])
    with pytest.raises(ValueError, match="cannot count the operator LSTM"):
        roofline.work([operators[0]._replace(name="LSTM")])
    image, *rest = operators[0].inputs
    two = operators[0]._replace(inputs=(image._replace(shape=(2, *image.shape[1:])), *rest))
    with pytest.raises(ValueError, match="one input at a time"):
        roofline.work([two])


@given(
    st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**4)
)  # fmt: skip
def test_a_larger_batch_reads_the_weights_less_often(macs, weights, activations, batch):
    work = roofline.Work(macs, weights, activations)
    assert work.intensity(1) == macs / (weights + activations)
    assert work.intensity(batch + 1) >= work.intensity(batch)
    assert work.intensity(batch) <= macs / activations  # what no batch can go beyond


def test_intensity_of_no_input():
    with pytest.raises(ValueError, match="at least 1"):
        roofline.Work(1, 1, 1).intensity(0)


def test_modelled_time_of_the_courses_cnn_on_the_microcontroller(operators):
    work = roofline.work(operators)
    chip = roofline.MICROCONTROLLER  # arithmetic: 336e6 MAC/s; memory: 448e6 byte/s
    bytes_moved = work.weight_bytes + work.activation_bytes
    roof = max(work.macs / 336e6, bytes_moved / 448e6)
    assert roofline.modelled_seconds(chip, work) == pytest.approx(roof / 0.3)


def test_no_time_is_modelled_of_nothing():
    with pytest.raises(ValueError, match="at least one multiply-accumulate"):
        roofline.modelled_seconds(roofline.BOARD, roofline.Work(0, 0, 10))
