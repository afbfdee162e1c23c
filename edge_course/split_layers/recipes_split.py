"""The recipe of the network that is made to be cut, see `edge_course.split_layers.bottleneck`."""

from __future__ import annotations

from edge_course import data
from edge_course.runtimes import onnx_conversion

SEED, EPOCHS, RATE = 20, 20, 0.01
NETWORK, EXIT, CODES = "bottleneck_cnn.onnx", "bottleneck_exit.onnx", "codes"


def bottleneck_cnn() -> dict[str, bytes]:
    """Train the bottleneck CNN on the 10,000 images; return it and its early exit as ONNX.

    AdamW with a one-cycle learning rate; every batch is moved by up to one pixel, and half
    of its pictures are mirrored. About two minutes on one core.
    """
    return train(10_000, EPOCHS)


def train(count: int, epochs: int) -> dict[str, bytes]:
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
    torch.manual_seed(SEED)
    model = bottleneck.BottleneckCnn()
    train = data.fashion_mnist("train")
    torch_training.fit(
        model,
        data.preprocess(train.images[:count]),
        train.labels[:count],
        epochs=epochs,
        rate=RATE,
        loss=bottleneck.loss,
        augment=True,
    )
    exit_ = onnx_conversion.export(model.exit, bottleneck.CODES)
    return {
        NETWORK: _with_codes(onnx_conversion.export(model)),
        EXIT: _renamed(exit_, onnx_conversion.INPUT, CODES),
    }


def _with_codes(network: bytes) -> bytes:
    """Return the network with the name "codes" for what its third activation gives."""
    nodes = onnx_conversion.read_proto(network).graph.node
    third = [node.output[0] for node in nodes if node.op_type == "Clip"][2]
    return _renamed(network, third, CODES)


def _renamed(model: bytes, before: str, after: str) -> bytes:
    """Return an ONNX model with another name for one of its tensors."""
    proto = onnx_conversion.read_proto(model)
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = [after if name == before else name for name in names]
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        if value.name == before:
            value.name = after
    return proto.SerializeToString()
