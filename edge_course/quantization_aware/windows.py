"""What a convolution or a pooling looks at, as LiteRT describes it; other windows are refused."""

from __future__ import annotations

from typing import NamedTuple

from torch import fx, nn

from edge_course.networks.torch_graph import node_refusal


class WindowSettings(NamedTuple):
    """A window that moves over a picture.

    Attributes
    ----------
    kernel, stride : along height and width.
    pads : what is added around the picture: (top, bottom), (left, right).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]


def pair(setting: int | tuple[int, ...]) -> tuple[int, ...]:
    """Return a setting along height and width."""
    return (setting, setting) if isinstance(setting, int) else tuple(setting)


def conv_window(node: fx.Node, conv: nn.Conv2d) -> WindowSettings:
    """Return the window of a convolution.

    Raises
    ------
    ValueError
        If it is padded with other numbers than zeros, or dilated: LiteRT has several operators
        then.
    """
    if conv.padding_mode != "zeros" or conv.dilation != (1, 1):
        raise node_refusal(
            node,
            f"padding_mode {conv.padding_mode!r} and dilation {conv.dilation}: only zeros around "
            "the picture and dilation 1 are one operator of LiteRT",
        )
    if conv.padding == "valid":
        pads = ((0, 0), (0, 0))
    elif conv.padding == "same":  # of an odd number of zeros, one more goes to the end
        pads = tuple(((k - 1) // 2, k // 2) for k in conv.kernel_size)
    else:
        pads = tuple((p, p) for p in conv.padding)
    return WindowSettings(conv.kernel_size, conv.stride, pads)


def pooling_window(node: fx.Node, pool: nn.MaxPool2d | nn.AvgPool2d) -> WindowSettings:
    """Return the window of a pooling.

    Raises
    ------
    ValueError
        If it has a setting that LiteRT does not know.
    """
    kernel, stride, padding = map(pair, (pool.kernel_size, pool.stride, pool.padding))
    if pool.ceil_mode or getattr(pool, "divisor_override", None):
        raise node_refusal(node, "ceil_mode and divisor_override are not known to LiteRT")
    if getattr(pool, "return_indices", False) or pair(getattr(pool, "dilation", 1)) != (1, 1):
        raise node_refusal(node, "expected dilation 1 and no indices")
    if any(padding) and not getattr(pool, "count_include_pad", True):
        raise node_refusal(node, "padding that does not count: set count_include_pad=True")
    return WindowSettings(kernel, stride, tuple((p, p) for p in padding))
