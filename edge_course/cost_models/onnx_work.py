"""Multiply-accumulates, weights and bytes of an ONNX file, as `roofline.work` counts TFLite's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from edge_course.cost_models.roofline import Work
from edge_course.runtimes.ort import OnnxOperator, OnnxTensor

# Where an operator's numbers are among its inputs; the others are scales and zero points. What
# is not named here has numbers only.
_NUMBERS = {
    "QuantizeLinear": (0,), "DequantizeLinear": (0,), "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3), "ConvInteger": (0, 1), "MatMulInteger": (0, 1), "Resize": (0,),
}  # fmt: skip
_CONVOLUTIONS = ("Conv", "QLinearConv", "ConvInteger")
_PRODUCTS = ("Gemm", "MatMul", "QLinearMatMul", "MatMulInteger")
# These compare, add, multiply number by number, copy or look up; none sums up products.
_NO_MACS = (
    "Abs", "Add", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip",
    "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "DequantizeLinear", "Div", "Dropout",
    "DynamicQuantizeLinear", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather",
    "Gelu", "GlobalAveragePool", "GlobalMaxPool", "Greater", "HardSigmoid", "HardSwish", "Identity",
    "LayerNormalization", "LeakyRelu", "Less", "Log", "LogSoftmax", "Max", "MaxPool", "Mean", "Min",
    "Mul", "Neg", "Not", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range", "Reciprocal",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize", "Selu",
    "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt",
    "Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unsqueeze", "Upsample", "Where",
)  # fmt: skip
# These say in another shape what is in memory already.
_MOVE_NOTHING = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_WITH_INSIDES = ("If", "Loop", "Scan", "SequenceMap")
_SETTINGS = ("int64", "bool", "str", "object")  # of axes, shapes, indices: nothing learned


def onnx_macs(operator: OnnxOperator) -> int:
    """Return the multiply-accumulates of one operator for one input.

    Convolutions, transposed ones and matrix products are counted, in float and in every
    integer form; padding is multiplied like other numbers.

    Parameters
    ----------
    operator : as `edge_course.runtimes.ort.operators` returns it; an open batch counts as 1.

    Raises
    ------
    ValueError
        If the operator is not one that is counted here, or a shape that it needs is not known.
    """
    if operator.name in _CONVOLUTIONS:  # the kernel is (channels out, channels of a group, …)
        _, kernel = _number_shapes(operator)[:2]
        return prod(_one_input(operator, operator.outputs[0])) * prod(kernel[1:])
    if operator.name == "ConvTranspose":  # the kernel is (channels in, channels of a group, …)
        given, kernel = _number_shapes(operator)[:2]
        return prod(given) * prod(kernel[1:])
    if operator.name in _PRODUCTS:  # each number of the output is a sum of so many products
        output = _one_input(operator, operator.outputs[0])
        first, second = _number_shapes(operator)[:2]
        if operator.name == "Gemm":  # the first matrix, transposed or not, has as many rows
            return prod(second) * output[0]
        return prod(output) * first[-1]
    if operator.name in _NO_MACS:
        return 0
    raise ValueError(f"cannot count the operator {operator.name}")


def onnx_work(operators: Sequence[OnnxOperator]) -> Work:
    """Return multiply-accumulates, weight bytes and activation bytes of an ONNX model.

    Counted as in `edge_course.cost_models.roofline.work`, with codes in the place of real numbers
    wherever runtimes compute in them (`on_codes`).

    Raises
    ------
    ValueError
        If there is an operator that is not counted, or a shape that is not known.
    """
    operators = on_codes(operators)
    constant = _constants(operators)
    macs = activation_bytes = 0
    for operator in operators:
        if constant.issuperset(t.name for t in operator.outputs):
            continue
        macs += onnx_macs(operator)
        if operator.name not in _MOVE_NOTHING:
            moved = [t for t in (*_numbers(operator), *operator.outputs) if t.name not in constant]
            activation_bytes += sum(_bytes(operator, t) for t in moved)
    return Work(macs, tensor_bytes(onnx_weights(operators)), activation_bytes)


def onnx_steps(
    operators: Sequence[OnnxOperator],
) -> tuple[list[tuple[set[str], set[str]]], dict[str, int]]:
    """Return what `activation_memory.alive_bytes` needs: what is read and written, and bytes.

    With codes in the place of real numbers as in `onnx_work`.

    Raises
    ------
    ValueError
        If a shape is not known, or there is a branch or a loop, whose insides read more.
    """
    operators = on_codes(operators)
    if inside := [o.name for o in operators if o.name in _WITH_INSIDES]:
        raise ValueError(f"cannot look into the operator {inside[0]}")
    constant = _constants(operators)
    sizes = {
        t.name: _bytes(operator, t)
        for operator in operators
        for t in (*operator.inputs, *operator.outputs)
        if t.name not in constant
    }
    steps = [
        ({t.name for t in o.inputs} & sizes.keys(), {t.name for t in o.outputs} & sizes.keys())
        for o in operators
    ]
    return steps, sizes


def on_codes(operators: Sequence[OnnxOperator]) -> list[OnnxOperator]:
    """Return the operators with integer codes where pairs of Quantize- and DequantizeLinear stand.

    Such a file says in real numbers what runtimes compute in codes: an operator reads what was
    dequantized for it, and writes what is quantized behind it. What DequantizeLinear makes for
    nobody else is the network's output, and stays.
    """
    readers = Counter(t.name for o in operators for t in o.inputs)
    written = {t.name for o in operators for t in o.outputs}
    codes: dict[str, OnnxTensor] = {}
    kept = []
    for operator in operators:
        if operator.name == "DequantizeLinear" and readers[operator.outputs[0].name]:
            codes[operator.outputs[0].name] = operator.inputs[0]
            continue
        if operator.name == "QuantizeLinear":
            real = operator.inputs[0].name
            if real in written and readers[real] == 1 and real not in codes:
                codes[real] = operator.outputs[0]
                continue
        kept.append(operator)

    def replaced(tensors: tuple[OnnxTensor, ...]) -> tuple[OnnxTensor, ...]:
        return tuple(codes.get(t.name, t) for t in tensors)

    return [OnnxOperator(o.name, replaced(o.inputs), replaced(o.outputs)) for o in kept]


def onnx_weights(operators: Sequence[OnnxOperator]) -> list[OnnxTensor]:
    """Return the tensors that are learned, each once.

    Scales, zero points, single numbers, and whole numbers such as axes are settings.
    """
    in_nodes = {t.name for o in operators if o.name == "Constant" for t in o.outputs}
    weights = {
        t.name: t
        for operator in operators
        for t in _numbers(operator)
        if (t.values is not None or t.name in in_nodes) and t.shape and t.dtype not in _SETTINGS
    }
    return list(weights.values())


def tensor_bytes(tensors: Sequence[OnnxTensor]) -> int:
    """Return the bytes of tensors whose shapes are known, as those of weights are."""
    return sum(prod(t.shape) * np.dtype(t.dtype).itemsize for t in tensors)


def _numbers(operator: OnnxOperator) -> Iterator[OnnxTensor]:
    """Return the inputs of an operator without scales and zero points."""
    places = _NUMBERS.get(operator.name, range(len(operator.inputs)))
    return (operator.inputs[place] for place in places if place < len(operator.inputs))


def _constants(operators: Sequence[OnnxOperator]) -> set[str]:
    """Return the names of what is computed from weights or from shapes alone."""
    names = {t.name for o in operators for t in o.inputs if t.values is not None}
    for operator in operators:
        if operator.name == "Shape" or names.issuperset(t.name for t in operator.inputs):
            names |= {t.name for t in operator.outputs}
    return names


def _number_shapes(operator: OnnxOperator) -> list[tuple[int, ...]]:
    return [_one_input(operator, t) for t in _numbers(operator)]


def _one_input(operator: OnnxOperator, tensor: OnnxTensor) -> tuple[int, ...]:
    """Return the shape of a tensor with 1 for an open batch, or refuse one that is not known."""
    shape = tensor.shape
    if shape and isinstance(shape[0], str):
        shape = (1, *shape[1:])
    if shape is None or not tensor.dtype or not all(isinstance(size, int) for size in shape):
        raise ValueError(
            f"cannot count the operator {operator.name}: {tensor.name} is {tensor}; "
            "export the model with fixed sizes beside the batch"
        )
    return shape


def _bytes(operator: OnnxOperator, tensor: OnnxTensor) -> int:
    return prod(_one_input(operator, tensor)) * np.dtype(tensor.dtype).itemsize
