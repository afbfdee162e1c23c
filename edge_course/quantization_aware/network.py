"""The depthwise-separable CNN with rounded weights and activations: what `sensitivity` trains.

Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge_course.networks.torch_models import SeparableBlock
from edge_course.networks.torch_training import as_tensor, one_thread, taking
from edge_course.quantization import calibration, quant
from edge_course.quantization_aware.export import ExportStep
from edge_course.quantization_aware.fake_quantize import (
    FakeQuantize,
    MovingRange,
    Numbers,
    fake_quantize,
)
from edge_course.quantization_aware.quantizable import FUSED, check_quantizable
from edge_course.quantization_aware.straight_through import quantize_bias, widen_for_bias


def folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias of a convolution with the batch normalisation behind it.

    `batch_norm.fold_batch_norm` with gradients, for a convolution without bias. The mean and
    the variance are the averages that the first training has left; γ, β and the weight learn.

    Parameters
    ----------
    layer : without bias.
    norm : its normalisation.

    Returns
    -------
    tuple of torch.Tensor
        Weight (channels_out, channels_in / groups, height, width) and bias (channels_out,).

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """
    s = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # (channels_out,)
    return layer.weight * s.reshape(-1, 1, 1, 1), norm.bias - s * norm.running_mean


class QuantizedLayer(nn.Module):
    """A convolution or dense layer as the integer kernel will compute it, activation included.

    The normalisation is folded first, as the file has none; then the weight gets one
    symmetric scale for each output channel, from its largest number, and the bias the scale
    of the products.

    Parameters
    ----------
    layer : `nn.Conv2d` without bias, or `nn.Linear`.
    norm : the normalisation behind a convolution; a dense layer has none.
    activation : `nn.ReLU6`, `nn.ReLU` or `nn.Identity`.
    bits : of a weight, 2 to 8; activations have 8.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """

    def __init__(
        self,
        layer: nn.Conv2d | nn.Linear,
        norm: nn.BatchNorm2d | None,
        activation: nn.Module,
        bits: int,
    ):
        super().__init__()
        quant.code_range(bits)  # refuses other bits
        self.layer, self.norm, self.activation, self.bits = layer, norm, activation, bits
        self.output = MovingRange()

    @property
    def is_dense(self) -> bool:
        """Whether it is a dense layer, and no convolution."""
        return isinstance(self.layer, nn.Linear)

    def weight_and_bias(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the layer's real numbers, a normalisation folded in."""
        if self.is_dense:
            return self.layer.weight, self.layer.bias
        return folded(self.layer, self.norm)

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

    def forward(self, x: Numbers) -> Numbers:
        """Return the activation behind the layer."""
        weight, bias = self.weight_and_bias()
        codes = self._with_room(weight, bias, x.scale)
        weight = fake_quantize(weight, codes, self.bits, narrow=True)
        scale = torch.from_numpy(x.scale * codes.scale.ravel())
        bias = FakeQuantize.apply(bias, scale, torch.tensor(0.0), -(2**31), 2**31 - 1)
        if self.is_dense:
            y = functional.linear(x.values, weight, bias)
        else:
            conv = self.layer
            y = functional.conv2d(
                x.values, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
            )
        return self.output(self.activation(y))

    def step(self, input_scale: np.ndarray, channels: int = 0) -> ExportStep:
        """Return the layer's integers for the file.

        Parameters
        ----------
        input_scale : of the activation that the layer reads.
        channels : of the picture in front of a dense layer, if there is one: LiteRT counts its
            numbers place by place, PyTorch channel by channel.
        """
        weight, bias = (tensor.detach() for tensor in self.weight_and_bias())
        codes = self._with_room(weight, bias, input_scale)
        quantized = quant.quantize_bits(weight.numpy(), *codes, self.bits, narrow=True)
        if self.is_dense:
            operator, settings = "FULLY_CONNECTED", ()
            if channels:  # C·H·W → H·W·C
                units = len(quantized)
                places = quantized.reshape(units, channels, -1)  # (units, channels, height · width)
                quantized = places.swapaxes(1, 2).reshape(units, -1)
        else:
            settings = tuple(zip(("strideH", "strideW"), self.layer.stride, strict=True))
            if self.layer.groups == 1:
                operator, quantized = "CONV_2D", quantized.transpose(0, 2, 3, 1)  # OIHW → OHWI
            else:
                operator = "DEPTHWISE_CONV_2D"
                quantized = quantized.transpose(1, 2, 3, 0)  # (channels, 1, H, W) → 1HWC
        scales = codes.scale.ravel()  # (channels_out,)
        bias = quantize_bias(bias.numpy(), input_scale, scales)
        fused = FUSED[type(self.activation)]
        return ExportStep(operator, self.output.codes, fused, settings, quantized, scales, bias)


def _layer(conv_norm: nn.Sequential, bits: int, activation: nn.Module | None = None):
    own = getattr(conv_norm, "activation", nn.Identity())
    return QuantizedLayer(conv_norm.conv, conv_norm.norm, activation or own, bits)


class QuantizedBlock(nn.Module):
    """A `torch_models.SeparableBlock`, whose sum, if it has one, is rounded as well."""

    def __init__(self, block: SeparableBlock, bits: int):
        super().__init__()
        self.depthwise = _layer(block.depthwise, bits)
        # Without a sum, the last activation belongs to the pointwise convolution.
        self.pointwise = _layer(block.pointwise, bits, None if block.residual else block.activation)
        self.activation = block.activation
        self.sum = MovingRange() if block.residual else None

    def forward(self, x: Numbers) -> Numbers:
        """Return the block's output."""
        y = self.pointwise(self.depthwise(x))
        return self.sum(self.activation(x.values + y.values)) if self.sum else y


class QuantizedNetwork(nn.Module):
    """A copy of `torch_models.depthwise_cnn`, or of a student, that computes with rounded numbers.

    Input float32 as that of the network, from 0 to 1; output float32 (n, classes), whole multiples
    of the scale of the scores. It needs ranges first: `calibrate`.

    Parameters
    ----------
    model : trained: a stem, blocks, flatten and scores, and usually a pool before flatten; it stays
        as it is.
    bits : of the weights of every layer, 2 to 8; `set_bits` changes some.

    Raises
    ------
    ValueError
        If it is another network (see `check_quantizable`), or the bits are not as above.

    Taught in: notebooks/09_quantization_aware_training.ipynb
    """

    def __init__(self, model: nn.Sequential, bits: int = 8):
        super().__init__()
        check_quantizable(model)
        model = copy.deepcopy(model)
        children = dict(model.named_children())
        self.input = MovingRange()
        self.stem = _layer(model.stem, bits)
        self.blocks = nn.Sequential(
            OrderedDict(
                (name, QuantizedBlock(block, bits))
                for name, block in children.items()
                if isinstance(block, SeparableBlock)
            )
        )
        self.pool = MovingRange() if "pool" in children else None
        self.scores = QuantizedLayer(model.scores, None, nn.Identity(), bits)
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        last = self.blocks(self.stem(self.input(x)))
        if self.pool is None:  # flattening moves codes and changes none
            return self.scores(last._replace(values=last.values.flatten(1))).values
        return self.scores(self.pool(last.values.mean(dim=(2, 3)))).values

    def layers(self) -> dict[str, QuantizedLayer]:
        """Return name → layer with weights, in order, such as "block1.depthwise"."""
        return {
            name.removeprefix("blocks."): module
            for name, module in self.named_modules()
            if isinstance(module, QuantizedLayer)
        }

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

    def calibrate(self, images: np.ndarray) -> QuantizedNetwork:
        """Take every range anew from these pictures, smallest to largest; return the network.

        The rounding of the layers before is already felt. Nothing is trained.

        Parameters
        ----------
        images : float32 (n, height, width, channels) from 0 to 1, all computed at once: some
            hundred.

        Raises
        ------
        ValueError
            If the pictures are of another shape or dtype.
        """
        x, before = as_tensor(images, self), copy.deepcopy(self.state_dict())
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

    def steps(self) -> Iterator[ExportStep]:
        """Yield what the file has to hold, operator by operator in the order of computing."""
        yield ExportStep("INPUT", self.input.codes)
        scale = self.input.codes.scale
        yield self.stem.step(scale)
        scale = self.stem.output.codes.scale
        for block in self.blocks:
            yield block.depthwise.step(scale)
            yield block.pointwise.step(block.depthwise.output.codes.scale)
            scale = block.pointwise.output.codes.scale
            if block.sum:
                yield ExportStep("ADD", block.sum.codes, FUSED[type(block.activation)])
                scale = block.sum.codes.scale
        if self.pool is None:
            yield self.scores.step(scale, self.blocks[-1].pointwise.layer.out_channels)
            return
        yield ExportStep("MEAN", self.pool.codes)
        yield self.scores.step(self.pool.codes.scale)
