"""How the network that is made to be cut is trained, and the names of its files in ``data/``."""

from __future__ import annotations

from edge_course import fashion_mnist
from edge_course.runtimes import onnx_conversion
from edge_course.runtimes.onnx_files import read_proto

BOTTLENECK_SEED, BOTTLENECK_EPOCHS, BOTTLENECK_RATE = 20, 20, 0.01
RATES_FILE = "split_rates.npz"
NETWORK_FILE, EXIT_FILE, CODES_TENSOR = "bottleneck_cnn.onnx", "bottleneck_exit.onnx", "codes"


def train_bottleneck(count: int, epochs: int) -> dict[str, bytes]:
    """Train the bottleneck CNN on the first images; return it and its early exit as ONNX.

    What crosses between head and tail is the tensor "codes"; the early exit takes it.

    Parameters
    ----------
    count : images to train on.
    epochs : how often to go through them.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    import torch

    from edge_course.networks import torch_training
    from edge_course.split_layers import bottleneck

    torch.use_deterministic_algorithms(True)
    torch.manual_seed(BOTTLENECK_SEED)
    model = bottleneck.BottleneckCnn()
    train = fashion_mnist.load("train")
    torch_training.fit(
        model,
        fashion_mnist.preprocess(train.images[:count]),
        train.labels[:count],
        epochs=epochs,
        rate=BOTTLENECK_RATE,
        loss=bottleneck.loss,
        augment=True,
    )
    exit_ = onnx_conversion.export(model.exit, bottleneck.CODES)
    return {
        NETWORK_FILE: _with_codes(onnx_conversion.export(model)),
        EXIT_FILE: _renamed(exit_, onnx_conversion.INPUT, CODES_TENSOR),
    }


def _with_codes(network: bytes) -> bytes:
    """Return the network with the name "codes" for what its third activation gives."""
    nodes = read_proto(network).graph.node
    third = [node.output[0] for node in nodes if node.op_type == "Clip"][2]
    return _renamed(network, third, CODES_TENSOR)


def _renamed(model: bytes, before: str, after: str) -> bytes:
    """Return an ONNX model with another name for one of its tensors."""
    proto = read_proto(model)
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = [after if name == before else name for name in names]
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        if value.name == before:
            value.name = after
    return proto.SerializeToString()
