"""The networks of the course in PyTorch: pictures are float32 (n, 1, 28, 28) here.

PyTorch keeps the channels before height and width (NCHW); Keras keeps them last (NHWC).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from torch import nn

from edge_course import data
from edge_course.networks import DEPTHWISE_CNN_WEIGHTS, SEED_CNN_WEIGHTS

INPUT_SHAPE = (1, 28, 28)  # channels, height, width


def seed_cnn() -> nn.Sequential:
    """Return the seed CNN of `keras_models.seed_cnn` in PyTorch, untrained: 693,962 parameters.

    Input float32 (n, 1, 28, 28) from 0 to 1; output float32 (n, 10), one score per class.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 32, 3),
            conv_relu=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            hidden=nn.Linear(13 * 13 * 32, 128),
            hidden_relu=nn.ReLU(),
            scores=nn.Linear(128, 10),
        )
    )


def conv_norm(
    channels_in: int,
    channels_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    """Return a convolution, batch normalisation and, if given, an activation.

    The convolution has no bias of its own, as the normalisation adds one; it pads with
    zeros, so that stride 1 keeps height and width.

    Parameters
    ----------
    channels_in, channels_out : channels of the input and of the output.
    kernel : height and width of the kernel, odd.
    stride : 2 halves height and width.
    groups : ``channels_in`` for a depthwise convolution.
    activation : applied last.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    layers = OrderedDict(
        conv=nn.Conv2d(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        ),
        norm=nn.BatchNorm2d(channels_out),
    )
    if activation is not None:
        layers["activation"] = activation
    return nn.Sequential(layers)


class SeparableBlock(nn.Module):
    """A 3×3 convolution in two cheaper steps: each channel by itself, then 1×1 across channels.

    Where input and output have the same shape, the input is added to the output, and the
    block learns only the difference. Howard et al. (2017), "MobileNets"; the addition is
    that of He et al. (2016), "Deep Residual Learning for Image Recognition".

    Parameters
    ----------
    channels_in, channels_out : channels of the input and of the output.
    stride : 2 halves height and width.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 1):
        super().__init__()
        self.depthwise = conv_norm(
            channels_in,
            channels_in,
            kernel=3,
            stride=stride,
            groups=channels_in,
            activation=nn.ReLU6(),
        )
        self.pointwise = conv_norm(channels_in, channels_out, kernel=1)
        self.residual = stride == 1 and channels_in == channels_out
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output, float32 (n, channels_out, height/stride, width/stride)."""
        y = self.pointwise(self.depthwise(x))
        return self.activation(x + y if self.residual else y)


class Residual(nn.Sequential):
    """Layers whose output is added to their input, which has the same shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum, of the shape of ``x``."""
        return x + super().forward(x)


def striped_cnn(channels: int, classes: int) -> nn.Sequential:
    """Return a small network for `edge_course.stripes`, untrained.

    A strided convolution, a depthwise and a pointwise one with a sum around them, HardSwish
    behind both that look along the picture, the mean over each channel, and a dense layer.

    Parameters
    ----------
    channels, classes : of the pictures, float32 (n, channels, height, width) of any size.
    """
    return nn.Sequential(
        conv_norm(channels, 64, kernel=3, stride=2, activation=nn.Hardswish()),
        Residual(
            conv_norm(64, 64, kernel=3, groups=64, activation=nn.Hardswish()),
            conv_norm(64, 64, kernel=1),
        ),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def depthwise_cnn() -> nn.Sequential:
    """Return the depthwise-separable CNN, untrained: 17,418 parameters.

    A stem, four separable blocks of which two add their input, the mean over each
    channel, and a dense layer. Input float32 (n, 1, 28, 28) from 0 to 1; output float32
    (n, 10), one score per class.
    """
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(1, 16, kernel=3, activation=nn.ReLU6()),  # (n, 16, 28, 28)
            block1=SeparableBlock(16, 32, stride=2),  # (n, 32, 14, 14)
            block2=SeparableBlock(32, 32),  # (n, 32, 14, 14), adds its input
            block3=SeparableBlock(32, 96, stride=2),  # (n, 96, 7, 7)
            block4=SeparableBlock(96, 96),  # (n, 96, 7, 7), adds its input
            pool=nn.AdaptiveAvgPool2d(1),  # (n, 96, 1, 1)
            flatten=nn.Flatten(),
            scores=nn.Linear(96, 10),
        )
    )


def seed_cnn_from_keras_weights(arrays: Mapping[str, np.ndarray]) -> nn.Sequential:
    """Return the seed CNN in PyTorch with weights that were trained in Keras.

    The numbers stay the same, their order changes. A kernel of Keras is HWIO (height,
    width, channels in, channels out), one of PyTorch OIHW; a dense layer's is (in, out) in
    Keras, (out, in) in PyTorch. Behind the flatten there is more to do: Keras counts the
    5,408 inputs of the hidden layer through height, width, channels, PyTorch through
    channels, height, width. Left out, nothing fails: the scores are just wrong.

    Parameters
    ----------
    arrays : "layer/kernel" and "layer/bias" → float32, as `keras_models.weights` returns them.

    Returns
    -------
    nn.Sequential
        In evaluation mode.

    Raises
    ------
    ValueError
        If a weight is missing, is one too many, or has another dtype or shape.
    """
    model = seed_cnn()
    _, channels, height, width = model[:3](torch.zeros(1, *INPUT_SHAPE)).shape  # what is flattened
    shapes = {
        "conv/kernel": (3, 3, 1, channels),
        "conv/bias": (channels,),
        "hidden/kernel": (height * width * channels, 128),
        "hidden/bias": (128,),
        "scores/kernel": (128, 10),
        "scores/bias": (10,),
    }
    expected = {name: ("float32", shape) for name, shape in shapes.items()}
    given = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    if given != expected:
        raise ValueError(f"these weights are of another network: expected {expected}, got {given}")
    hidden = arrays["hidden/kernel"].reshape(height, width, channels, 128)
    converted = {
        "conv.weight": arrays["conv/kernel"].transpose(3, 2, 0, 1),  # HWIO → OIHW
        "conv.bias": arrays["conv/bias"],
        "hidden.weight": hidden.transpose(3, 2, 0, 1).reshape(
            128, -1
        ),  # H·W·C rows → C·H·W columns
        "hidden.bias": arrays["hidden/bias"],
        "scores.weight": arrays["scores/kernel"].T,  # (in, out) → (out, in)
        "scores.bias": arrays["scores/bias"],
    }
    model.load_state_dict({name: torch.tensor(array) for name, array in converted.items()})
    return model.eval()


def trained_seed_cnn() -> nn.Sequential:
    """Return the seed CNN in PyTorch with the weights that come with the course, to evaluate.

    They are the ones that were trained in Keras.

    Raises
    ------
    edge_course.data.DataError
        If the file of weights is missing or altered.
    """
    arrays = safetensors.numpy.load(data.read(SEED_CNN_WEIGHTS))
    return seed_cnn_from_keras_weights(arrays)


def trained_depthwise_cnn() -> nn.Sequential:
    """Return the depthwise-separable CNN with the weights that come with the course, to evaluate.

    Raises
    ------
    edge_course.data.DataError
        If the file of weights is missing or altered.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    model = depthwise_cnn()
    model.load_state_dict(safetensors.torch.load(data.read(DEPTHWISE_CNN_WEIGHTS)))
    return model.eval()
