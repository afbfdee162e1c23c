"""What the tests of `quantization_aware` compute with PyTorch, in a process of its own."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from edge_course import data, fashion_mnist
from edge_course.networks import batch_norm, torch_models, torch_training
from edge_course.pruning import importance, prune
from edge_course.quantization import quant
from edge_course.quantization_aware import export, fake_quantize, sensitivity
from edge_course.quantization_aware.export import ExportStep
from edge_course.quantization_aware.network import QuantizedNetwork, folded
from edge_course.runtimes import litert, ort


class Trained(NamedTuple):
    """A network before or after training, and what it says of the test images."""

    scores: np.ndarray
    file: bytes
    packed: bytes
    steps: list[ExportStep]


def pictures(split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    images, labels = fashion_mnist.load(split)
    return fashion_mnist.preprocess(images[:count]), labels[:count]


@cache
def real() -> nn.Sequential:
    return torch_models.trained_depthwise_cnn()


@cache
def calibrated(bits: int) -> QuantizedNetwork:
    """Not to be changed: it is the same one for all tests."""
    return QuantizedNetwork(real(), bits).calibrate(fashion_mnist.calibration_images())


def fresh(bits: int) -> QuantizedNetwork:
    return QuantizedNetwork(real(), bits).calibrate(fashion_mnist.calibration_images())


def described(network: QuantizedNetwork, count: int | None = None) -> Trained:
    scores = torch_training.scores(network, pictures("test", count)[0])
    file, packed = (export.export_litert(network, packed=packed) for packed in (False, True))
    return Trained(scores, file, packed, list(network.steps()))


def before_and_after(train: int, test: int) -> tuple[np.ndarray, Trained, Trained]:
    """Scores of the real network, and the one with 4-bit weights before and after an epoch."""
    network = fresh(4)
    before = described(network, test)
    torch.manual_seed(0)
    torch_training.fit(network, *pictures("train", train), epochs=1, rate=1e-3)
    scores = torch_training.scores(real(), pictures("test", test)[0])
    return scores, before, described(network, test)


PRUNED = {"stem": [3], "block2.depthwise": [1, 4], "block3.pointwise": [5], "scores": [2]}


def pruned(count: int, export_it: bool) -> tuple[Trained, np.ndarray, bytes]:
    """A network with filters of zeros, its scores without rounding, and its ONNX file if asked."""
    model = torch_models.trained_depthwise_cnn()
    for name, filters in PRUNED.items():
        part = model.get_submodule(name)
        with torch.no_grad():
            getattr(part, "conv", part).weight[filters] = 0
    images = pictures("test", count)[0]
    network = QuantizedNetwork(model).calibrate(fashion_mnist.calibration_images())
    onnx = ort.export(model) if export_it else b""
    return described(network, count), torch_training.scores(model, images), onnx


def training_a_pruned_network() -> float:
    """How far the runtime is from a network that was pruned and trained on, in steps."""
    model = torch_models.trained_depthwise_cnn()
    masks = prune.global_masks(importance.of_weights(model, "magnitude"), 0.9)
    images, labels = pictures("train", 256)
    network = QuantizedNetwork(prune.pruned(model, masks)).calibrate(images)
    torch_training.fit(network, images, labels, epochs=1, rate=1e-3)
    fake = torch_training.scores(network, images)
    real = litert.Runner(export.export_litert(network)).scores(images)
    return float(np.median(np.abs(real - fake)) / np.diff(np.unique(real)).min())


def fake_quantized(x, scale, zero_point, bits, narrow) -> tuple[np.ndarray, np.ndarray]:
    """The numbers, and the gradient of their sum weighted with 1, 2, 3, …"""
    x = torch.tensor(x, requires_grad=True)
    y = fake_quantize.fake_quantize(x, quant.Parameters(scale, zero_point), bits, narrow=narrow)
    (y * torch.arange(1.0, 1 + y.numel()).reshape(y.shape)).sum().backward()
    return y.detach().numpy(), x.grad.numpy()


def folding_has_the_right_gradient() -> bool:
    torch.manual_seed(0)
    layer, norm = nn.Conv2d(2, 3, 3, bias=False).double(), nn.BatchNorm2d(3).double()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)

    def fold(weight, gamma, beta):
        layer.weight, norm.weight, norm.bias = map(_leaf, (weight, gamma, beta))
        return folded(layer, norm)

    for module in (layer, norm):
        for name in list(module._parameters):
            del module._parameters[name]
    layer.bias = None
    shapes = ((3, 2, 3, 3), (3,), (3,))
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    return torch.autograd.gradcheck(fold, given)


def _leaf(x: torch.Tensor) -> torch.Tensor:
    return x


def folded_in_torch_and_numpy() -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = []
    for layer in calibrated(8).layers().values():
        if layer.norm is not None:
            norm = layer.norm
            mine = [t.detach().numpy() for t in folded(layer.layer, norm)]
            arrays = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            theirs = batch_norm.fold_batch_norm(
                layer.layer.weight.detach().numpy(),
                np.zeros(len(norm.weight), np.float32),
                *(a.detach().numpy() for a in arrays),
                epsilon=norm.eps,
            )
            pairs += zip(mine, theirs, strict=True)
    return pairs


def without_rounding(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the network with folded layers that round nothing, and of the real one."""
    rounding = fake_quantize.FakeQuantize.forward
    fake_quantize.FakeQuantize.forward = staticmethod(lambda ctx, x, *_: x)
    try:
        images = pictures("test", count)[0]
        network = QuantizedNetwork(real()).calibrate(images)
        return torch_training.scores(network, images), torch_training.scores(real(), images)
    finally:
        fake_quantize.FakeQuantize.forward = rounding


def gradients(bits: int) -> dict[str, tuple[float, float]]:
    """The norm of each parameter's gradient: none may be cut off."""
    network = fresh(bits)
    images, labels = pictures("train", 200)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    loss = nn.functional.cross_entropy(network(x), torch.tensor(labels, dtype=torch.int64))
    loss.backward()
    return {name: p.grad.norm().item() for name, p in network.named_parameters()}


def ranges_of_batches(batches: list[np.ndarray], train: bool) -> list[tuple[float, float]]:
    r = fake_quantize.MovingRange()
    r.train()
    r(torch.tensor(batches[0]))
    r.train(train)
    ranges = []
    for batch in batches[1:]:
        r(torch.tensor(batch))
        ranges.append((r.low.item(), r.high.item()))
    return ranges


def statistics_and_original_after_training() -> tuple[bool, bool]:
    """Whether training kept the normalisation's averages, and the model it started from."""
    model = torch_models.trained_depthwise_cnn()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    network = QuantizedNetwork(model, 4).calibrate(pictures("train", 64)[0])
    torch_training.fit(network, *pictures("train", 256), epochs=1, rate=1e-3)
    stem, kept = network.layers()["stem"], before["stem.norm.running_mean"]
    same = all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    moved = not torch.equal(stem.layer.weight, model.stem.conv.weight)
    return torch.equal(stem.norm.running_mean, kept) and moved, same


def sensitivities() -> tuple[dict, dict, list[int]]:
    network = fresh(8)
    images, labels = pictures("train", 200)
    found = sensitivity.bit_sensitivity(network, images, labels, (2, 8))
    alone = torch_training.scores(network.set_bits({"stem": 2}), images)
    y = torch.tensor(labels, dtype=torch.int64)
    expected = nn.functional.cross_entropy(torch.from_numpy(alone), y).item()
    network.set_bits({"stem": 8})
    return found, {"stem": expected}, [layer.bits for layer in network.layers().values()]


def mixed(bits: dict[str, int]) -> Trained:
    return described(fresh(8).set_bits(bits), 1000)


def almost(change: str) -> None:
    """Copy a network that has all the right names, and one thing else."""
    model = torch_models.depthwise_cnn()
    match change:
        case "another padding":
            model.stem.conv.padding_mode = "reflect"
        case "the last activation":
            model.block1.activation = nn.SiLU()
        case "no averages":
            model.stem.norm = nn.BatchNorm2d(16, track_running_stats=False)
        case "another pool":
            model.pool = nn.AdaptiveMaxPool2d(1)
        case "a larger pool":
            model.pool = nn.AdaptiveAvgPool2d(7)
        case "a function between":
            model = Between(model)
        case "no network":
            model = None
    QuantizedNetwork(model)


class Between(nn.Module):
    """Has the layers of the network, and does something else between them."""

    def __init__(self, model: nn.Sequential):
        super().__init__()
        for name, layer in model.named_children():
            self.add_module(name, layer)


def misuse(what: str) -> None:
    """Do something wrong."""
    images, labels = pictures("train", 8)
    network = calibrated(8)
    match what:
        case "another network":
            QuantizedNetwork(nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(1)))
        case "bits":
            QuantizedNetwork(real(), 9)
        case "other bits":
            fresh(8).set_bits({"stem": 1})
        case "no such layer":
            fresh(8).set_bits({"steam": 4})
        case "no range":
            torch_training.scores(QuantizedNetwork(real()), images)
        case "no range to export":
            export.export_litert(QuantizedNetwork(real()))
        case "training mode":
            torch_training.scores(fresh(8).train(), images)
        case "uint8 pictures":
            torch_training.scores(network, fashion_mnist.load("test").images[:8])
        case "channels first":
            network.calibrate(images.transpose(0, 3, 1, 2))
        case "no pictures":
            network.calibrate(images[:0])
        case "NaN":
            torch_training.scores(network, images * np.float32(np.nan))
        case "too few labels":
            sensitivity.bit_sensitivity(network, images, labels[:-1], (4,))
        case "one-hot labels":
            sensitivity.bit_sensitivity(network, images, np.eye(10)[labels], (4,))
        case "template":
            export.export_litert(network, data.read("seed_cnn_int8.tflite"))
        case "no template":
            export.export_litert(network, b"nothing")
