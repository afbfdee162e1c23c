"""The networks in PyTorch: shapes, parameters, weights. PyTorch runs in a process of its own."""

import numpy as np
import pytest

from edge_course import fashion_mnist
from edge_course.frameworks import in_pytorch
from edge_course.networks import keras_models


def output_shapes(network: str, batches: tuple[int, ...]) -> list[tuple[int, ...]]:
    import torch

    from edge_course.networks import torch_models

    model = getattr(torch_models, network)()
    return [tuple(model(torch.zeros(n, *torch_models.INPUT_SHAPE)).shape) for n in batches]


def parameters(network: str) -> int:
    from edge_course.networks import torch_models

    return sum(p.numel() for p in getattr(torch_models, network)().parameters())


def trains(network: str) -> bool:
    from edge_course.networks import torch_models

    model = getattr(torch_models, f"trained_{network}")()
    return any(module.training for module in model.modules())


def block(channels_in: int, channels_out: int, stride: int) -> tuple[tuple[int, ...], bool]:
    """The shape of a block's output, and whether it hands on its input where it learned nothing."""
    import torch

    from edge_course.networks import torch_models

    made = torch_models.SeparableBlock(channels_in, channels_out, stride=stride).eval()
    x = torch.rand(2, channels_in, 8, 6)
    torch.nn.init.zeros_(made.pointwise.conv.weight)
    with torch.no_grad():
        y = made(x)
    return tuple(y.shape), y.shape == x.shape and torch.equal(y, x)


def multiplications(network: str) -> dict[str, int]:
    """Multiply-accumulates of each convolution and dense layer, counted while it runs."""
    import torch

    from edge_course.networks import torch_models

    model, counts = getattr(torch_models, network)().eval(), {}

    def count(name):
        def hook(module, _, y):
            counts[name] = y[0].numel() * module.weight[0].numel()

        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count(name))
    model(torch.zeros(1, *torch_models.INPUT_SHAPE))
    return counts


def seed_cnn_with(arrays: dict[str, np.ndarray]) -> None:
    from edge_course.networks import torch_models

    torch_models.seed_cnn_from_keras_weights(arrays)


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return keras_models.weights(keras_models.trained_seed_cnn())


@pytest.mark.parametrize(
    ("network", "expected"), [("seed_cnn", 693_962), ("depthwise_cnn", 17_418)]
)
def test_shapes_and_parameters(call, network, expected) -> None:
    assert call(output_shapes, network, (2, 1, 7)) == [(2, 10), (1, 10), (7, 10)]
    assert call(parameters, network) == expected


@pytest.mark.parametrize(
    ("sizes", "shape", "adds"),
    [((4, 4, 1), (2, 4, 8, 6), True), ((4, 5, 1), (2, 5, 8, 6), False),
     ((4, 4, 2), (2, 4, 4, 3), False)],
)  # fmt: skip
def test_block_adds_its_input_where_the_shapes_agree(call, sizes, shape, adds) -> None:
    assert call(block, *sizes) == (shape, adds)


def test_depthwise_separable_convolutions_are_cheaper(call) -> None:
    counts = call(multiplications, "depthwise_cnn")
    assert len(counts) == 10
    # A 3×3 convolution from 96 to 96 channels, in one step and in two.
    whole = 7 * 7 * 96 * 96 * 9
    assert counts["block4.depthwise.conv"] == 7 * 7 * 96 * 9
    assert counts["block4.pointwise.conv"] == 7 * 7 * 96 * 96
    assert counts["block4.depthwise.conv"] + counts["block4.pointwise.conv"] < whole / 8


@pytest.mark.parametrize(
    ("network", "low", "high"), [("seed_cnn", 0.86, 0.89), ("depthwise_cnn", 0.89, 0.91)]
)
def test_trained_weights_classify(call, network, low, high) -> None:
    test = fashion_mnist.load("test")
    x = fashion_mnist.preprocess(test.images).transpose(0, 3, 1, 2)
    scores = call(in_pytorch.trained_scores, network, x)
    assert scores.shape == (10_000, 10) and scores.dtype == np.float32
    assert low < np.mean(scores.argmax(axis=1) == test.labels) < high
    assert not call(trains, network)


def test_weights_of_keras_keep_their_numbers(call, arrays) -> None:
    moved = call(in_pytorch.trained_weights, "seed_cnn")
    for name, array in arrays.items():
        kind = name.replace("/", ".").replace("kernel", "weight")
        assert np.array_equal(np.sort(moved[kind], axis=None), np.sort(array, axis=None))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays.pop("scores/bias"),
        lambda arrays: arrays.update(more=np.zeros(3, np.float32)),
        lambda arrays: arrays.update({"conv/bias": np.zeros(32)}),
        lambda arrays: arrays.update({"conv/bias": np.zeros(31, np.float32)}),
        lambda arrays: arrays.update({"conv/kernel": arrays["conv/kernel"].T}),
    ],
)
def test_weights_of_another_network_are_refused(call, arrays, spoil) -> None:
    arrays = dict(arrays)
    spoil(arrays)
    with pytest.raises(ValueError, match="these weights are of another network: expected"):
        call(seed_cnn_with, arrays)
