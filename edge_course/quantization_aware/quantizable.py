"""Which networks can be trained with their rounding: the checks before `network` copies one."""

from __future__ import annotations

from torch import nn

from edge_course.networks.torch_models import SeparableBlock

FUSED = {nn.Identity: "NONE", nn.ReLU: "RELU", nn.ReLU6: "RELU6"}  # as LiteRT calls them


def check_quantizable(model: nn.Module) -> None:
    """Raise a ValueError if a network is another one than `QuantizedNetwork` can copy.

    It says which layer is not as expected. A layer with the right name and another setting would
    be computed wrongly.
    """
    names = [name for name, _ in model.named_children()] if isinstance(model, nn.Module) else []
    blocks = [name for name in names if name.startswith("block")]
    tail = ["pool", "flatten", "scores"] if "pool" in names else ["flatten", "scores"]
    if not isinstance(model, nn.Sequential) or names != ["stem", *blocks, *tail] or not blocks:
        _refuse(f"a {type(model).__name__} of the layers {', '.join(names) or 'none'}")
    for name in blocks:
        if not isinstance(model.get_submodule(name), SeparableBlock):
            _refuse(f"no SeparableBlock called {name!r}")
        _check_activation(name, model.get_submodule(name).activation)
    parts = [p for b in blocks for p in (f"{b}.depthwise", f"{b}.pointwise")]
    for name in ("stem", *parts):
        _check_conv_norm(name, model.get_submodule(name))
    kinds = {"flatten": nn.Flatten, "scores": nn.Linear, "pool": nn.AdaptiveAvgPool2d}
    for name in tail:
        if not isinstance(model.get_submodule(name), kinds[name]):
            _refuse(f"no {kinds[name].__name__} called {name!r}")
    if "pool" in names and model.pool.output_size not in (1, (1, 1)):
        _refuse(f"a pool to {model.pool.output_size}")
    if model.scores.bias is None:
        _refuse("scores without a bias")


def _check_conv_norm(name: str, part: nn.Module) -> None:
    conv, norm = getattr(part, "conv", None), getattr(part, "norm", None)
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        _refuse(f"no convolution with a normalisation called {name!r}")
    if conv.bias is not None or conv.padding_mode != "zeros":
        _refuse(f"a convolution {name!r} with a bias or a padding of other numbers than zeros")
    if conv.groups not in (1, conv.in_channels) or conv.out_channels % conv.groups:
        _refuse(f"a convolution {name!r} of {conv.groups} groups")
    if norm.weight is None or norm.running_var is None:
        _refuse(f"a normalisation {name!r} without γ and β, or without averages")
    _check_activation(name, getattr(part, "activation", nn.Identity()))


def _check_activation(name: str, activation: nn.Module) -> None:
    if type(activation) not in FUSED:
        _refuse(f"the activation {type(activation).__name__} in {name!r}")


def _refuse(got: str) -> None:
    raise ValueError(
        "QuantizedNetwork takes torch_models.depthwise_cnn and what students.student builds "
        f"(stem, SeparableBlocks, a pool or none, flatten, scores), got {got}"
    )
