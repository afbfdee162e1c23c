"""Random int8 ``.tflite`` files, written with the schema that the runtime reads.

No converter chooses their numbers, so scales, zero points and shapes go where it seldom does.
Every activation is an output of the graph: what a delegate computes inside can be read too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

NUMBERS = ("int8", "uint8", "int16", "int32", "float32")
TYPES = {name: getattr(schema.TensorType, name.upper()) for name in NUMBERS}
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID


def packed(model: schema.ModelT) -> bytes:
    """The content of a file."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def changed(content: bytes, change: Callable[[schema.ModelT], None]) -> bytes:
    """A file with something in it changed."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    return packed(model)


class Network:
    """A graph that grows an operator at a time; ``x`` is the index of the newest activation."""

    def __init__(self, random: np.random.Generator, shape: tuple[int, ...]):
        self.random = random
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.operatorCodes, self.model.subgraphs = [], [self.graph]
        self.input = self.x = self.activation(shape, self.scale(), self.zero_point())

    def scale(self) -> float:
        return float(2 ** self.random.uniform(-8, 0))

    def zero_point(self) -> int:
        return int(self.random.choice([-128, 0, 127, self.random.integers(-128, 128)]))

    def activation(self, shape: tuple[int, ...], scale: float, zero_point: int) -> int:
        return self._tensor("int8", shape, [scale], [zero_point])

    def constant(self, values: np.ndarray, scales=(), zero_points=(), axis: int = 0) -> int:
        index = self._tensor(values.dtype.name, values.shape, scales, zero_points, axis)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        self.graph.tensors[index].buffer = len(self.model.buffers) - 1
        return index

    def _tensor(self, dtype: str, shape, scales, zero_points, axis: int = 0) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = f"t{len(self.graph.tensors)}", TYPES[dtype], 0
        tensor.shape = list(shape)
        if len(scales):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.array(scales, np.float32)
            tensor.quantization.zeroPoint = np.array(zero_points, np.int64)
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.graph.tensors[index].shape)

    def step(self, index: int) -> float:
        return float(self.graph.tensors[index].quantization.scale[0])

    def origin(self, index: int) -> int:
        return int(self.graph.tensors[index].quantization.zeroPoint[0])

    def like(self, shape: tuple[int, ...]) -> int:
        """A new activation with the newest one's scale and zero point."""
        return self.activation(shape, self.step(self.x), self.origin(self.x))

    def operator(self, name: str, inputs: list[int], output: int, **options: object) -> None:
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.builtinCode = number
        code.deprecatedBuiltinCode = min(number, 127)  # what has no place in a byte
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        if options:
            kind = options.pop("kind")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for option, value in options.items():
                assert hasattr(operator.builtinOptions, option), option
                setattr(operator.builtinOptions, option, value)
        self.graph.operators.append(operator)
        self.x = output

    def content(self, every_output: bool = True, before_2_4: bool = False) -> bytes:
        """The file; as before TensorFlow 2.4, when each operator's code had one byte."""
        for code in self.model.operatorCodes if before_2_4 else ():
            code.builtinCode = 0
        outputs = [operator.outputs[0] for operator in self.graph.operators]
        self.graph.inputs = [self.input]
        self.graph.outputs = outputs if every_output else outputs[-1:]
        return packed(self.model)


def _windows(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Return how many windows fit along an axis."""
    if padding == SAME:
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _kernel_and_strides(net: Network, most: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    r = net.random
    kernel = tuple(map(int, r.integers(1, most, 2)))
    strides = tuple(map(int, r.integers(1, 4, 2))) if r.random() < 0.5 else (1, 1)
    return kernel, strides


def _fused(net: Network) -> int:
    f = schema.ActivationFunctionType
    return int(net.random.choice([f.NONE, f.RELU, f.RELU6]))


def _out_scale(net: Network, typical: float) -> float:
    """A scale that most sums fit; sometimes one that hardly any or nearly all fit."""
    factor = net.random.choice([1, 1, 1, 1, 30, 1 / 30, 100, 1 / 100])
    scale = typical / 50 * factor * 2 ** net.random.uniform(-1, 1)
    return float(np.clip(scale, 2**-12, 2**6))  # beyond, the runtime refuses or aborts


def _weights(net: Network, shape: tuple[int, ...], filters: int, sizes: int, axis: int):
    """Kernel, bias and output scale for sums over ``sizes`` products."""
    r = net.random
    per_channel = r.random() < 0.7
    scales = 2 ** r.uniform(-10, -2, filters if per_channel else 1)
    kernel = r.integers(-127, 128, shape).astype(np.int8)
    zeros = np.zeros(len(scales))
    k = net.constant(kernel, scales, zeros, axis)
    given = net.step(net.x)
    spread = int(40 * 70 * math.sqrt(sizes))
    bias = r.integers(-spread, spread + 1, filters).astype(np.int32)
    b = net.constant(bias, np.float32(given) * np.float32(scales), zeros)
    return k, b, _out_scale(net, given * float(np.median(scales)) * spread)


def conv(net: Network) -> None:
    n, h, w, c = net.shape(net.x)
    r = net.random
    kernel, strides = _kernel_and_strides(net, 4)
    dilations = tuple(map(int, r.integers(1, 3, 2))) if strides == (1, 1) else (1, 1)
    padding = int(r.choice([SAME, VALID]))
    h, w = (
        _windows(*axis, padding) for axis in zip((h, w), kernel, strides, dilations, strict=True)
    )
    if h < 1 or w < 1:
        return
    settings = dict(
        zip(("strideH", "strideW"), strides, strict=True),
        padding=padding,
        fusedActivationFunction=_fused(net),
        dilationHFactor=dilations[0],
        dilationWFactor=dilations[1],
    )
    if r.random() < 0.5:
        filters = c * int(r.integers(1, 3))
        shape = (1, *kernel, filters)
        k, b, scale = _weights(net, shape, filters, math.prod(kernel), axis=3)
        out = net.activation((n, h, w, filters), scale, net.zero_point())
        settings |= {"kind": "DepthwiseConv2DOptions", "depthMultiplier": filters // c}
        net.operator("DEPTHWISE_CONV_2D", [net.x, k, b], out, **settings)
    else:
        filters = int(r.integers(1, 12))
        groups = 2 if c % 2 == 0 and filters % 2 == 0 and r.random() < 0.2 else 1
        size = c // groups
        k, b, scale = _weights(
            net, (filters, *kernel, size), filters, math.prod(kernel) * size, axis=0
        )
        out = net.activation((n, h, w, filters), scale, net.zero_point())
        net.operator("CONV_2D", [net.x, k, b], out, kind="Conv2DOptions", **settings)


def pool(net: Network) -> None:
    n, h, w, c = net.shape(net.x)
    kernel, strides = _kernel_and_strides(net, 5)
    padding = int(net.random.choice([SAME, VALID]))
    h, w = (_windows(*a, 1, padding) for a in zip((h, w), kernel, strides, strict=True))
    if h < 1 or w < 1:
        return
    net.operator(
        str(net.random.choice(["MAX_POOL_2D", "AVERAGE_POOL_2D"])),
        [net.x],
        net.like((n, h, w, c)),
        kind="Pool2DOptions",
        filterHeight=kernel[0],
        filterWidth=kernel[1],
        strideH=strides[0],
        strideW=strides[1],
        padding=padding,
        fusedActivationFunction=_fused(net),
    )


def arithmetic(net: Network) -> None:
    """The newest activation and an older one of its shape, itself, or a constant."""
    r, x = net.random, net.x
    if r.random() < 0.5:
        shape = (1, *net.shape(x)[1:])
        shape = shape if r.random() < 0.5 else (1,) * (len(shape) - 1) + shape[-1:]
        other = net.constant(
            r.integers(-128, 128, shape).astype(np.int8), [net.scale()], [net.zero_point()]
        )
    else:
        made = [net.input, *(o.outputs[0] for o in net.graph.operators)]
        other = int(r.choice([i for i in made if net.shape(i) == net.shape(x)]))
    a, b = net.step(x), net.step(other)
    name = str(r.choice(["ADD", "SUB", "MUL"]))
    typical = 4900 * a * b if name == "MUL" else 70 * max(a, b)
    out = net.activation(net.shape(x), _out_scale(net, typical), net.zero_point())
    inputs = [x, other] if r.random() < 0.5 or name != "SUB" else [other, x]
    kind = f"{name.capitalize()}Options"
    net.operator(name, inputs, out, kind=kind, fusedActivationFunction=_fused(net))


def move(net: Network) -> None:
    """Codes that only change their place."""
    moves = [concatenation, pad, transpose, gather, strided_slice, pack, expand_and_squeeze]
    moves[int(net.random.integers(len(moves)))](net)


def concatenation(net: Network) -> None:
    shape = net.shape(net.x)
    if shape[-1] < 30:
        axis = len(shape) - 1
        out = net.like((*shape[:-1], 2 * shape[-1]))
        inputs = [net.x, net.x]
        net.operator("CONCATENATION", inputs, out, kind="ConcatenationOptions", axis=axis)


def pad(net: Network) -> None:
    shape = net.shape(net.x)
    if len(shape) == 4:
        border = np.array([[0, 0], *net.random.integers(0, 3, (2, 2)), [0, 0]], np.int32)
        out = net.like(tuple(int(s + b.sum()) for s, b in zip(shape, border, strict=True)))
        net.operator("PAD", [net.x, net.constant(border)], out, kind="PadOptions")


def transpose(net: Network) -> None:
    shape = net.shape(net.x)
    order = [0, *(1 + net.random.permutation(len(shape) - 1))]
    out = net.like(tuple(shape[axis] for axis in order))
    order = net.constant(np.array(order, np.int32))
    net.operator("TRANSPOSE", [net.x, order], out, kind="TransposeOptions")


def gather(net: Network) -> None:
    r, shape = net.random, net.shape(net.x)
    axis = int(r.integers(1, len(shape)))
    indices = r.integers(0, shape[axis], r.integers(1, 6)).astype(np.int32)
    out = net.like((*shape[:axis], len(indices), *shape[axis + 1 :]))
    inputs = [net.x, net.constant(indices)]
    net.operator("GATHER", inputs, out, kind="GatherOptions", axis=axis)


def strided_slice(net: Network) -> None:
    r, shape = net.random, net.shape(net.x)
    taken = [slice(0, shape[0], 1)]
    for size in shape[1:]:
        first = int(r.integers(size))
        if r.random() < 0.2:
            taken.append(slice(first, -size - 1, -1))  # backwards, to the very beginning
        else:
            taken.append(slice(first, int(r.integers(first, size)) + 1, int(r.integers(1, 4))))
    masks = [1 | int(r.integers(2 ** len(shape))) for _ in range(2)]
    seen = [
        slice(
            None if masks[0] >> axis & 1 else s.start,
            None if masks[1] >> axis & 1 else s.stop,
            s.step,
        )
        for axis, s in enumerate(taken)
    ]
    sizes = [len(range(size)[s]) for size, s in zip(shape, seen, strict=True)]
    if min(sizes):
        settings = zip(*((s.start, s.stop, s.step) for s in taken), strict=True)
        inputs = [net.x, *(net.constant(np.array(v, np.int32)) for v in settings)]
        masks = dict(zip(("beginMask", "endMask"), masks, strict=True))
        out = net.like(tuple(sizes))
        net.operator("STRIDED_SLICE", inputs, out, kind="StridedSliceOptions", **masks)


def pack(net: Network) -> None:
    """Two of the same beside each other, and the first of them out again."""
    shape = net.shape(net.x)
    axis = int(net.random.integers(1, len(shape) + 1))
    out = net.like((*shape[:axis], 2, *shape[axis:]))
    net.operator("PACK", [net.x, net.x], out, kind="PackOptions", axis=axis, valuesCount=2)
    settings = [np.zeros(len(shape) + 1), np.ones(len(shape) + 1), np.ones(len(shape) + 1)]
    inputs = [net.x, *(net.constant(v.astype(np.int32)) for v in settings)]
    rest = ~(1 << axis) & (2 ** (len(shape) + 1) - 1)
    masks = {"beginMask": rest, "endMask": rest, "shrinkAxisMask": 1 << axis}
    net.operator("STRIDED_SLICE", inputs, net.like(shape), kind="StridedSliceOptions", **masks)


def expand_and_squeeze(net: Network) -> None:
    shape = net.shape(net.x)
    axis = int(net.random.integers(1, len(shape) + 1))
    out = net.like((*shape[:axis], 1, *shape[axis:]))
    axis_tensor = net.constant(np.array(axis, np.int32))
    net.operator("EXPAND_DIMS", [net.x, axis_tensor], out, kind="ExpandDimsOptions")
    out = net.like(shape)
    net.operator("SQUEEZE", [net.x], out, kind="SqueezeOptions", squeezeDims=[axis])


def blocks(net: Network, most_border: int = 2) -> None:
    """To small pictures, a convolution of them, and back to large ones."""
    shape, r = net.shape(net.x), net.random
    if len(shape) != 4 or shape[0] != 1:
        return
    block = r.integers(1, 4, 2)
    before = r.integers(0, most_border + 1, 2)
    after = before + (-(shape[1:3] + 2 * before) % block)
    border = np.stack([before, after], 1).astype(np.int32)
    sizes = (shape[1:3] + before + after) // block
    inputs = [net.x, net.constant(block.astype(np.int32)), net.constant(border)]
    out = net.like((int(block.prod()), *map(int, sizes), shape[3]))
    net.operator("SPACE_TO_BATCH_ND", inputs, out, kind="SpaceToBatchNDOptions")
    conv(net)
    sizes = np.array(net.shape(net.x)[1:3]) * block
    crops = np.array([[0, int(r.integers(2)) if size > 1 else 0] for size in sizes], np.int32)
    inputs = [net.x, inputs[1], net.constant(crops)]
    out = net.like((1, *map(int, sizes - crops.sum(1)), net.shape(net.x)[3]))
    net.operator("BATCH_TO_SPACE_ND", inputs, out, kind="BatchToSpaceNDOptions")


def rescale(net: Network) -> None:
    """The same numbers with another scale."""
    scale = _out_scale(net, 50 * net.step(net.x))
    out = net.activation(net.shape(net.x), scale, net.zero_point())
    net.operator("QUANTIZE", [net.x], out, kind="QuantizeOptions")


def activation(net: Network) -> None:
    """A function of one code, with a scale of its own."""
    name = str(net.random.choice(["RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH"]))
    {"LOGISTIC": sigmoid, "TANH": tanh}.get(name, lambda net: _rectified(net, name))(net)


def _rectified(net: Network, name: str) -> None:
    scale = _out_scale(net, 50 * net.step(net.x))
    if name == "HARD_SWISH":
        scale = max(scale, net.step(net.x) / 127)  # the runtime refuses finer ones
    out = net.activation(net.shape(net.x), scale, net.zero_point())
    settings = {
        "LEAKY_RELU": {"kind": "LeakyReluOptions", "alpha": float(net.random.uniform(-0.3, 1.2))},
        "HARD_SWISH": {"kind": "HardSwishOptions"},
    }
    net.operator(name, [net.x], out, **settings.get(name, {}))


def tanh(net: Network) -> None:
    net.operator("TANH", [net.x], net.activation(net.shape(net.x), 1 / 128, 0))


def sigmoid(net: Network) -> None:
    net.operator("LOGISTIC", [net.x], net.activation(net.shape(net.x), 1 / 256, -128))


def head(net: Network) -> None:
    """From a picture to a row of numbers, and a dense layer or softmax behind it."""
    n, *_, c = net.shape(net.x)
    r = net.random
    if len(net.shape(net.x)) == 4 and r.random() < 0.5:
        keep = bool(r.random() < 0.5)
        axes = net.constant(np.array([1, 2], np.int32))
        scale = _out_scale(net, 30 * net.step(net.x))
        out = net.activation((n, 1, 1, c) if keep else (n, c), scale, net.zero_point())
        net.operator("MEAN", [net.x, axes], out, kind="ReducerOptions", keepDims=keep)
    features = math.prod(net.shape(net.x)[1:])
    if len(net.shape(net.x)) == 4:
        shape = net.constant(np.array([-1, features], np.int32))
        out = net.like((n, features))
        net.operator("RESHAPE", [net.x, shape], out, kind="ReshapeOptions", newShape=[-1, features])
    for _ in range(r.integers(0, 3)):
        units = int(r.integers(2, 20))
        k, b, scale = _weights(net, (units, net.shape(net.x)[1]), units, net.shape(net.x)[1], 0)
        out = net.activation((n, units), scale, net.zero_point())
        settings = {"kind": "FullyConnectedOptions", "fusedActivationFunction": _fused(net)}
        net.operator("FULLY_CONNECTED", [net.x, k, b], out, **settings)
    # The runtime itself aborts on softmax over some 880 numbers.
    if net.shape(net.x)[1] <= 200 and r.random() < 0.5:
        out = net.activation(net.shape(net.x), 1 / 256, -128)
        net.operator("SOFTMAX", [net.x], out, kind="SoftmaxOptions", beta=1.0)


def network(seed: int, *, every_output: bool = True) -> bytes:
    """Return the content of a random file; the same for the same seed."""
    random = np.random.default_rng(seed)
    net = Network(random, (1, *map(int, random.integers(4, 13, 2)), int(random.integers(1, 9))))
    steps = [
        conv,
        pool,
        arithmetic,
        arithmetic,
        move,
        move,
        rescale,
        activation,
        activation,
        blocks,
    ]
    for step in random.choice(np.array(steps), random.integers(1, 7)):
        step(net)
    head(net)
    return net.content(every_output)


def with_float_borders(seed: int) -> bytes:
    """Return a random file with float32 input and output and int8 between them."""
    net = Network(np.random.default_rng(seed), (1, 8, 8, 3))
    net.input = net.x = net._tensor("float32", (1, 8, 8, 3), [], [])
    out = net.activation((1, 8, 8, 3), 0.002, 5)
    net.operator("QUANTIZE", [net.x], out, kind="QuantizeOptions")
    conv(net)
    out = net._tensor("float32", net.shape(net.x), [], [])
    net.operator("DEQUANTIZE", [net.x], out, kind="DequantizeOptions")
    return net.content(every_output=False)


def of_one_operator(name: str) -> bytes:
    """Return a file with one operator that has no settings."""
    net = Network(np.random.default_rng(0), (1, 4, 4, 1))
    net.operator(name, [net.x], net.activation((1, 4, 4, 1), 1 / 128, 0))
    return net.content()
