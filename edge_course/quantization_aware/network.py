"""A network with rounded weights and activations, to be trained and exported.

Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_course.networks.torch_models import INPUT_SHAPE
from edge_course.networks.torch_training import as_tensor, one_thread, taking
from edge_course.quantization import calibration, quant
from edge_course.quantization_aware.fake_quantize import (
    FakeQuantize,
    MovingRange,
    Numbers,
    fake_quantize,
)
from edge_course.quantization_aware.operations import QuantizedOperation, export_step
from edge_course.quantization_aware.straight_through import quantize_bias, widen_for_bias
from edge_course.quantization_aware.template import ExportStep
from edge_course.quantization_aware.trace import TracedOperator, trace_operators


def folded(layer: nn.Conv2d | nn.Linear, norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias of a layer with the batch normalisation behind it.

    `batch_norm.fold_batch_norm` with gradients. The mean and the variance are the averages that
    the first training has left; γ, β, the weight and a bias learn.

    Parameters
    ----------
    layer : a convolution or a dense layer.
    norm : its normalisation.

    Returns
    -------
    tuple of torch.Tensor
        Weight, the shape of the layer's, and bias (channels_out,).

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    s = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # (channels_out,)
    weight = layer.weight * s.reshape(-1, *[1] * (layer.weight.ndim - 1))  # s: (channels_out, 1, …)
    if layer.bias is None:
        return weight, norm.bias - s * norm.running_mean
    return weight, norm.bias + s * (layer.bias - norm.running_mean)


class QuantizedLayer(nn.Module):
    """A convolution or dense layer as the integer kernel will compute it, activation included.

    A normalisation is folded first, as the file has none; then the weight gets one
    symmetric scale for each output channel, from its largest number, and the bias the scale
    of the products.

    Parameters
    ----------
    traced : an operator with weights.
    bits : of a weight, 2 to 8; activations have 8.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """

    def __init__(self, traced: TracedOperator, bits: int):
        super().__init__()
        quant.code_range(bits)  # refuses other bits
        self.layer, self.norm, self.activation = traced.layer, traced.norm, traced.activation
        self.traced, self.bits = traced, bits
        self.output = MovingRange()

    def weight_and_bias(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the layer's real numbers, a normalisation folded in."""
        if self.norm is not None:
            return folded(self.layer, self.norm)
        bias = self.layer.bias
        return self.layer.weight, torch.zeros(len(self.layer.weight)) if bias is None else bias

    def weight_parameters(self, weight: torch.Tensor) -> quant.Parameters:
        """Return a symmetric scale for each output channel, (channels_out, 1, …)."""
        limits = calibration.minimum_maximum(weight.detach().numpy(), axis=0)
        return quant.symmetric(*limits, self.bits)

    def _with_room(
        self, weight: torch.Tensor, bias: torch.Tensor, input_scale: np.ndarray
    ) -> quant.Parameters:
        """Return the same scales, widened where the bias would not fit."""
        codes = self.weight_parameters(weight)
        scales = widen_for_bias(codes.scale.ravel(), bias.detach().numpy(), input_scale)
        return codes._replace(scale=scales.reshape(codes.scale.shape))  # (channels_out, 1, …)

    def sums(self, x: Numbers) -> torch.Tensor:
        """Return what the layer computes with rounded weights, before the activation."""
        weight, bias = self.weight_and_bias()
        codes = self._with_room(weight, bias, x.scale)
        weight = fake_quantize(weight, codes, self.bits, narrow=True)
        scale = torch.from_numpy(x.scale * codes.scale.ravel())
        bias = FakeQuantize.apply(bias, scale, torch.tensor(0.0), -(2**31), 2**31 - 1)
        if isinstance(self.layer, nn.Linear):
            return functional.linear(x.values, weight, bias)
        conv = self.layer
        return functional.conv2d(
            x.values, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )

    def forward(self, x: Numbers) -> Numbers:
        """Return the activation behind the layer."""
        return self.output(self.activation(self.sums(x)))

    def step(
        self, input_scale: np.ndarray, picture: tuple[int, int, int] | None = None
    ) -> ExportStep:
        """Return the layer's integers for the file.

        Parameters
        ----------
        input_scale : of the activation that the layer reads.
        picture : channels, height and width of what was flattened in front of a dense layer.
        """
        weight, bias = (tensor.detach() for tensor in self.weight_and_bias())
        codes = self._with_room(weight, bias, input_scale)
        quantized = quant.quantize_bits(weight.numpy(), *codes, self.bits, narrow=True)
        kind = self.traced.kind
        if kind == "CONV_2D":
            quantized = quantized.transpose(0, 2, 3, 1)  # OIHW → OHWI
        elif kind == "DEPTHWISE_CONV_2D":
            quantized = quantized.transpose(1, 2, 3, 0)  # (channels, 1, H, W) → 1HWC
        elif picture:  # LiteRT counts place by place: C·H·W → H·W·C
            units = len(quantized)
            places = quantized.reshape(units, picture[0], -1)  # (units, channels, height · width)
            quantized = places.swapaxes(1, 2).reshape(units, -1)
        scales = codes.scale.ravel()  # (channels_out,)
        bias = quantize_bias(bias.numpy(), input_scale, scales)
        return export_step(self.traced, self.output)._replace(
            weight=quantized, weight_scales=scales, bias=bias, picture=picture
        )


class QuantizedNetwork(nn.Module):
    """A copy of a network that computes with rounded numbers.

    The network is any `nn.Module` that torch.fx can trace, with one input and one output, of

    * `nn.Conv2d` (padded with zeros, dilation 1; ordinary, depthwise or in groups) and `nn.Linear`,
    * `nn.BatchNorm2d` and `nn.BatchNorm1d` directly behind them,
    * `nn.ReLU`, `nn.ReLU6`, `nn.Hardswish`,
    * `nn.MaxPool2d`, `nn.AvgPool2d`, the mean over height and width (`nn.AdaptiveAvgPool2d(1)`),
    * sums of two tensors, concatenation of channels, flatten, `nn.Dropout`, `nn.Identity`,

    as layers or as functions. Input float32 (n, *shape); output whole multiples of a scale. It
    needs ranges first: `calibrate`.

    Parameters
    ----------
    model : trained; it stays as it is.
    bits : of the weights of every layer, 2 to 8; `set_bits` changes some.
    shape : of one input, (channels, height, width) or (features,).

    Raises
    ------
    ValueError
        If the network has anything else in it (the message names the node), does not take
        that shape, or the bits are not as above.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """

    def __init__(self, model: nn.Module, bits: int = 8, *, shape: tuple[int, ...] = INPUT_SHAPE):
        super().__init__()
        self.shape = tuple(shape)
        self.traced = copy.deepcopy(trace_operators(model, self.shape))
        self.operators = nn.ModuleList([MovingRange()])  # of the input
        for traced in self.traced[1:]:
            ranges = [self._range(i) for i in traced.inputs]
            self.operators.append(
                QuantizedOperation(traced, ranges)
                if not isinstance(traced.layer, nn.Conv2d | nn.Linear)
                else QuantizedLayer(traced, bits)
            )
        # The operator that reads an activation last: then it can be forgotten.
        self.last_reader = {i: n for n, traced in enumerate(self.traced) for i in traced.inputs}
        self.eval()

    def _range(self, number: int) -> MovingRange:
        """Return the range of an operator's output."""
        return self.operators[number].output if number else self.operators[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        computed = {0: self.operators[0](x)}
        for number, traced in enumerate(self.traced[1:], 1):
            inputs = [computed[i] for i in traced.inputs]
            computed[number] = self.operators[number](*inputs)
            for i in traced.inputs:
                if self.last_reader[i] == number:
                    computed.pop(i, None)
        return computed[number].values

    def layers(self) -> dict[str, QuantizedLayer]:
        """Return name → layer with weights, in order.

        The name is the layer's in the model, or that of the module around it, such as
        "block1.depthwise", if that has no other layer with weights.
        """
        layers = [m for m in self.operators if isinstance(m, QuantizedLayer)]
        names = [layer.traced.name for layer in layers]
        return {_short(n, names): layer for n, layer in zip(names, layers, strict=True)}

    def set_bits(self, bits: dict[str, int]) -> QuantizedNetwork:
        """Give layers other bits, name → 2 to 8; return the network.

        Raises
        ------
        ValueError
            If there is no such layer, or the bits are not as above.
        """
        layers = self.layers()
        if unknown := bits.keys() - layers.keys():
            raise ValueError(f"no layer {', '.join(unknown)}; there are {', '.join(layers)}")
        for name, number in bits.items():
            quant.code_range(number)
            layers[name].bits = number
        return self

    def calibrate(self, inputs: np.ndarray) -> QuantizedNetwork:
        """Take every range anew from these inputs, smallest to largest; return the network.

        The rounding of the layers before is already felt. Nothing is trained.

        Parameters
        ----------
        inputs : float32 (n, height, width, channels), or (n, features); all computed at once:
            some hundred.

        Raises
        ------
        ValueError
            If they are of another shape or dtype, there are none, or not all are finite.
        """
        x, before = self.as_inputs(inputs), copy.deepcopy(self.state_dict())
        for module in self.modules():
            if isinstance(module, MovingRange):
                module.forget()
        self.train()
        try:
            with torch.no_grad(), one_thread(), taking(x):
                self(x)
        except ValueError:
            self.load_state_dict(before)  # the ranges that it had
            raise
        finally:
            self.eval()
        return self

    def as_inputs(self, inputs: np.ndarray) -> torch.Tensor:
        """Return inputs in PyTorch's order, float32 (n, *shape)."""
        if len(self.shape) == 3:
            x = as_tensor(inputs, self)
        else:
            x = torch.from_numpy(np.ascontiguousarray(inputs))
            if x.dtype != torch.float32 or not len(x) or not x.isfinite().all():
                raise ValueError(f"expected finite inputs float32, got {x.dtype} {tuple(x.shape)}")
        if x.shape[1:] != self.shape:
            sizes = ", ".join(map(str, self.shape))
            raise ValueError(f"expected inputs (n, {sizes}), got {tuple(x.shape)}")
        return x

    def steps(self) -> Iterator[ExportStep]:
        """Yield what the file has to hold, operator by operator in the order of computing."""
        yield ExportStep("INPUT", self._range(0).codes)
        place = {0: 0}  # number of an operator → number of the step whose codes it has
        for number, traced in enumerate(self.traced[1:], 1):
            if traced.kind == "FLATTEN":
                place[number] = place[traced.inputs[0]]
                continue
            place[number] = max(place.values()) + 1
            start, operator = traced.inputs[0], self.operators[number]
            if isinstance(operator, QuantizedLayer):
                step = operator.step(self._range(start).codes.scale, self.traced[start].picture)
            else:
                step = export_step(traced, operator.output)
            yield step._replace(inputs=tuple(place[i] for i in traced.inputs))


def _short(name: str, names: list[str]) -> str:
    """Return the name of the largest module around a layer that has no other of these layers."""
    around = name.rpartition(".")[0]
    if around and sum(other.startswith(f"{around}.") for other in names) == 1:
        return _short(around, names)
    return name
