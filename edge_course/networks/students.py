"""Small networks to be taught by larger ones, in PyTorch: pictures are float32 (n, 1, 28, 28)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from edge_course.networks.torch_models import INPUT_SHAPE, SeparableBlock, conv_norm

CLASSES = 10
SIZE = INPUT_SHAPE[-1]  # pixels along height and width
STRIDE = 2  # of the stem


def student(
    channels: int, blocks: Sequence[tuple[int, int]], *, pool: bool = True
) -> nn.Sequential:
    """Return an untrained student: a stem, separable blocks, a dense layer.

    Its layers have the names of `torch_models.depthwise_cnn`. What makes it fast is that the stem,
    the first convolution, has stride 2 already: all that follows has a quarter of the places to
    compute.

    Parameters
    ----------
    channels : of the stem, at least 1.
    blocks : channels and stride of each `torch_models.SeparableBlock`, at least one block.
        A block of stride 1 that keeps the number of channels adds its input.
    pool : hand the mean over each channel to the dense layer; else all numbers, so that it
        knows where in the picture something is, for more weights.

    Returns
    -------
    nn.Sequential
        Input float32 (n, 1, 28, 28) from 0 to 1; output float32 (n, 10), one score per class.

    Raises
    ------
    ValueError
        If there is no block, or a number is no whole number from 1 on.

    Taught in: notebooks/12_distillation.ipynb
    """
    if not blocks or any(len(block) != 2 for block in blocks):
        raise ValueError(
            f"expected blocks, each as (channels, stride), at least one, got {blocks!r}"
        )
    sizes = [channels, *(number for block in blocks for number in block)]
    if any(not isinstance(n, int) or n < 1 for n in sizes):
        raise ValueError(
            f"expected channels and strides of at least 1, got {channels} channels in the stem "
            f"and blocks {blocks}"
        )
    layers = OrderedDict(stem=conv_norm(1, channels, 3, stride=STRIDE, activation=nn.ReLU6()))
    size = -(-SIZE // STRIDE)
    for number, (channels_out, block_stride) in enumerate(blocks, 1):
        layers[f"block{number}"] = SeparableBlock(channels, channels_out, stride=block_stride)
        channels, size = channels_out, -(-size // block_stride)
    if pool:
        layers["pool"], size = nn.AdaptiveAvgPool2d(1), 1
    layers["flatten"] = nn.Flatten()
    layers["scores"] = nn.Linear(channels * size * size, CLASSES)
    return nn.Sequential(layers)


def pocket_cnn() -> nn.Sequential:
    """Return the student of distillation, untrained: 5,546 parameters.

    28 × 28 pixels become 14 × 14 places in the stem and 7 × 7 in the first block.

    Taught in: notebooks/12_distillation.ipynb
    """
    return student(16, [(32, 2), (32, 1), (64, 1)])


def swift_cnn() -> nn.Sequential:
    """Return the student of the compression pipeline, untrained: 10,378 parameters.

    28 × 28 pixels become 14 × 14 places in the stem and 5 × 5 in the first block. The dense
    layer reads all 25 places, which takes most of the weights and hardly any time.

    Taught in: notebooks/13_compress_for_real.ipynb
    """
    return student(16, [(32, 3), (32, 1)], pool=False)
