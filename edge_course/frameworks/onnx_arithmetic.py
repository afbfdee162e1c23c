"""ONNX operators that compute number by number or across features, in Keras."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from edge_course.frameworks.onnx_node import OnnxNode, batch_stays, translates
from edge_course.networks import layout

_KERAS_NAMES = {"Relu": "relu", "Sigmoid": "sigmoid", "Softplus": "softplus", "Tanh": "tanh"}
_ELEMENTWISE = {
    "Add": "add", "Div": "divide", "Greater": "greater", "Max": "maximum", "Min": "minimum",
    "Mul": "multiply", "Sub": "subtract", "Sum": "add",
}  # fmt: skip


@translates(*_KERAS_NAMES)
def _activation(node: OnnxNode) -> Any:
    """Return an activation that has no settings."""
    return node.layer("Activation", node.tensor(0), activation=_KERAS_NAMES[node.operator])


@translates("LeakyRelu")
def _leaky_relu(node: OnnxNode) -> Any:
    """Return x, times alpha where it is negative."""
    slope = node.attribute("alpha", 0.01)
    return node.layer("LeakyReLU", node.tensor(0), negative_slope=slope)


@translates("Elu")
def _elu(node: OnnxNode) -> Any:
    """Return x, or alpha · (exp(x) − 1) where it is negative."""
    return node.layer("ELU", node.tensor(0), alpha=node.attribute("alpha", 1.0))


@translates("HardSigmoid")
def _hard_sigmoid(node: OnnxNode) -> Any:
    """Return alpha · x + beta between 0 and 1."""
    slope, offset = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return _ramp(node, slope, offset)


@translates("HardSwish")
def _hard_swish(node: OnnxNode) -> Any:
    """Return x · (x / 6 + 1 / 2, between 0 and 1), which LiteRT has as one operator."""
    return node.layer("Activation", node.tensor(0), activation="hard_swish")


def _ramp(node: OnnxNode, slope: float, offset: float) -> Any:
    """Return slope · x + offset between 0 and 1."""
    y = node.operation("add", node.operation("multiply", node.tensor(0), slope), offset)
    return node.operation("clip", y, 0.0, 1.0)


@translates("Gelu")
def _gelu(node: OnnxNode) -> Any:
    """Return x · Φ(x), by the error function or approximately by tanh."""
    if (kind := node.attribute("approximate", "none")) not in ("none", "tanh"):
        raise node.refusal(f"attribute approximate is {kind!r}, which is unknown")
    return node.operation("gelu", node.tensor(0), approximate=kind == "tanh")


@translates("Erf")
def _erf(node: OnnxNode) -> Any:
    """Return the error function; LiteRT has it only as a part of GELU."""
    return node.operation("erf", node.tensor(0))


@translates("Clip")
def _clip(node: OnnxNode) -> Any:
    """Return the input between two bounds, of which either may be left out."""
    x = node.tensor(0)
    for bound, operation in ((node.constant(1), "maximum"), (node.constant(2), "minimum")):
        if bound is not None:
            x = node.operation(operation, x, bound.reshape(()))
    return x


@translates("Softmax")
def _softmax(node: OnnxNode) -> Any:
    """Return the softmax along an axis."""
    x = node.tensor(0)
    return node.layer("Softmax", x, axis=batch_stays(node, node.attribute("axis", -1), x.ndim))


@translates(*_ELEMENTWISE)
def _elementwise(node: OnnxNode) -> Any:
    """Return the sum, the product, … of tensors, or of tensors and constants."""
    values = [node.value(i) for i in range(len(node.input_names))]
    dimensions = [v.ndim for v in values if not isinstance(v, np.ndarray)]
    if len(set(dimensions)) != 1:
        raise node.refusal(f"expected computed inputs of as many dimensions, got {dimensions}")
    operands = [_beside(node, v, dimensions[0]) for v in values]
    return reduce(lambda a, b: node.operation(_ELEMENTWISE[node.operator], a, b), operands)


def _beside(node: OnnxNode, value: Any, dimensions: int) -> Any:
    """Return an operand, if it is a constant with the axes of a tensor of so many dimensions."""
    if not isinstance(value, np.ndarray):
        return value
    # ONNX matches shapes from the last axis on: (channels, 1, 1) goes with (n, channels, h, w).
    value = value.reshape((1,) * (dimensions - value.ndim) + value.shape)
    if value.ndim != dimensions or value.shape[0] != 1:
        raise node.refusal(f"a constant of shape {value.shape} would change the batch or the axes")
    return layout.channels_last(value)


@translates("Where")
def _where(node: OnnxNode) -> Any:
    """Return one tensor where a condition holds, and another one elsewhere."""
    condition = node.tensor(0)
    either = [_beside(node, node.value(i), condition.ndim) for i in (1, 2)]
    return node.operation("where", condition, *either)


@translates("BatchNormalization")
def _batch_normalization(node: OnnxNode) -> Any:
    """Return γ · (x − mean) / √(variance + ε) + β for each channel."""
    node.only("training_mode", 0)
    node.attribute("momentum")  # of the training
    x, weights = node.tensor(0), [node.constant(i) for i in range(1, 5)]
    return node.layer("BatchNormalization", x, *weights, epsilon=node.attribute("epsilon", 1e-5))


@translates("Gemm")
def _gemm(node: OnnxNode) -> Any:
    """Return alpha · x · kernel + beta · bias, as one dense layer."""
    node.only("transA", 0)
    kernel = np.float32(node.attribute("alpha", 1.0)) * node.constant(1)
    kernel = kernel.T if node.attribute("transB", 0) else kernel
    bias, beta = node.constant(2), np.float32(node.attribute("beta", 1.0))
    if bias is None:
        return _dense(node, kernel)
    return _dense(node, kernel, np.broadcast_to(beta * bias, (1, kernel.shape[1]))[0])


@translates("MatMul")
def _matmul(node: OnnxNode) -> Any:
    """Return x · kernel."""
    return _dense(node, node.constant(1))


def _dense(node: OnnxNode, kernel: np.ndarray, *bias: np.ndarray) -> Any:
    x = node.tensor(0, 2, 3)
    picture = node.flattened.get(node.input_names[0])
    if picture is not None:  # put the kernel in the order of NHWC, rather than the activations
        height, width, channels = picture.shape[1:]
        kernel = layout.dense_kernel(kernel, (channels, height, width))
        x = node.layer("Flatten", picture)
    settings = {"units": kernel.shape[1], "use_bias": bool(bias)}
    return node.layer("Dense", x, kernel, *bias, **settings)
