"""int8 files in the shapes of the four reference networks of MLPerf Tiny, with random weights.

The shapes are those of Banbury et al. (2021), "MLPerf Tiny Benchmark"; nothing is trained.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite_networks import SAME, VALID, Network

RELU, NONE = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE


def _layer(net: Network, name: str, shape: tuple[int, ...], filters: int, products: int, **options):
    """A layer with weights; its scales keep most sums of random codes within int8."""
    axis = 3 if name == "DEPTHWISE_CONV_2D" else 0
    scales = net.random.uniform(0.5, 1, filters) / (70 * np.sqrt(products))
    kernel = net.random.integers(-127, 128, shape, np.int8)
    kernel = net.constant(kernel, scales, np.zeros(filters), axis)
    bias = net.random.integers(-2000, 2000, filters).astype(np.int32)
    bias = net.constant(bias, net.step(net.x) * scales, np.zeros(filters))
    out = options.pop("out")
    zero_point = -128 if options["fusedActivationFunction"] == RELU else 3
    net.operator(
        name, [net.x, kernel, bias], net.activation(out, net.step(net.x), zero_point), **options
    )


def _conv(net: Network, filters: int, kernel: tuple[int, int], stride: int = 1, act: int = RELU):
    _, height, width, channels = net.shape(net.x)
    out = (1, -(-height // stride), -(-width // stride), filters)
    _layer(
        net, "CONV_2D", (filters, *kernel, channels), filters, kernel[0] * kernel[1] * channels,
        out=out, kind="Conv2DOptions", strideH=stride, strideW=stride, padding=SAME,
        dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=act,
    )  # fmt: skip


def _depthwise(net: Network, stride: int = 1):
    _, height, width, channels = net.shape(net.x)
    out = (1, -(-height // stride), -(-width // stride), channels)
    _layer(
        net, "DEPTHWISE_CONV_2D", (1, 3, 3, channels), channels, 9, out=out,
        kind="DepthwiseConv2DOptions", strideH=stride, strideW=stride, padding=SAME,
        depthMultiplier=1, dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=RELU,
    )  # fmt: skip


def _dense(net: Network, units: int, act: int = NONE):
    inputs = net.shape(net.x)[1]
    _layer(
        net, "FULLY_CONNECTED", (units, inputs), units, inputs, out=(1, units),
        kind="FullyConnectedOptions", fusedActivationFunction=act,
    )  # fmt: skip


def _classify(net: Network, classes: int):
    """The mean of all places, a dense layer, softmax."""
    _, height, width, channels = net.shape(net.x)
    net.operator(
        "AVERAGE_POOL_2D", [net.x], net.like((1, 1, 1, channels)), kind="Pool2DOptions",
        filterHeight=height, filterWidth=width, strideH=height, strideW=width, padding=VALID,
    )  # fmt: skip
    shape = net.constant(np.array([-1, channels], np.int32))
    net.operator("RESHAPE", [net.x, shape], net.like((1, channels)), kind="ReshapeOptions")
    _dense(net, classes)
    out = net.activation((1, classes), 1 / 256, -128)
    net.operator("SOFTMAX", [net.x], out, kind="SoftmaxOptions", beta=1.0)


def _input(seed: int, shape: tuple[int, ...]) -> Network:
    net = Network(np.random.default_rng(seed), shape)
    net.graph.tensors[net.x].quantization.scale = np.array([0.02], np.float32)
    return net


def keyword_spotting() -> Network:
    """DS-CNN: 49 × 10 features of a second of sound, twelve words."""
    net = _input(0, (1, 49, 10, 1))
    _conv(net, 64, (10, 4), stride=2)
    for _ in range(4):
        _depthwise(net)
        _conv(net, 64, (1, 1))
    _classify(net, 12)
    return net


def visual_wake_words(size: int = 96, classes: int = 2) -> Network:
    """MobileNetV1 with a quarter of its channels: is there a person?"""
    net = _input(1, (1, size, size, 3))
    _conv(net, 8, (3, 3), stride=2)
    for filters, stride in (
        (16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1),
    ):  # fmt: skip
        _depthwise(net, stride)
        _conv(net, filters, (1, 1))
    _classify(net, classes)
    return net


def image_classification() -> Network:
    """ResNet-8: pictures of 32 × 32, ten classes."""
    net = _input(2, (1, 32, 32, 3))
    _conv(net, 16, (3, 3))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        start = net.x
        _conv(net, filters, (3, 3), stride)
        _conv(net, filters, (3, 3), act=NONE)
        long_way = net.x
        if stride > 1:
            net.x = start
            _conv(net, filters, (1, 1), stride, act=NONE)
            start = net.x
        scale = 1.5 * net.step(start)
        out = net.activation(net.shape(long_way), scale, -128)
        inputs = [start, long_way]
        net.operator("ADD", inputs, out, kind="AddOptions", fusedActivationFunction=RELU)
    _classify(net, 10)
    return net


def anomaly_detection() -> Network:
    """An autoencoder of ten dense layers: five frames of 128 frequencies, there and back."""
    net = _input(3, (1, 640))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        _dense(net, units, RELU)
    _dense(net, 640)
    return net


NETWORKS = {f.__name__: f for f in (
    keyword_spotting, visual_wake_words, image_classification, anomaly_detection,
)}  # fmt: skip
