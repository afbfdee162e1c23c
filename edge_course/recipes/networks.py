"""The recipes of the two trained networks in ``data/``: the seed CNN and the depthwise CNN."""

from __future__ import annotations

import safetensors.numpy

from edge_course import fashion_mnist
from edge_course.networks import DEPTHWISE_CNN_WEIGHTS, SEED_CNN_WEIGHTS, keras_models
from edge_course.networks.keras_training import SEED, compute_the_same_everywhere, train_seed_cnn
from edge_course.runtimes import litert


def make_seed_cnn() -> dict[str, bytes]:
    """Train the seed CNN on the 10,000 images; return its weights and its LiteRT files."""
    compute_the_same_everywhere()
    model = train_seed_cnn(SEED)
    return {
        SEED_CNN_WEIGHTS: safetensors.numpy.save(keras_models.weights(model)),
        "seed_cnn_float32.tflite": litert.convert(model, "float32"),
        "seed_cnn_int8.tflite": litert.convert(model, "int8", fashion_mnist.calibration_images()),
    }


def make_depthwise_cnn() -> dict[str, bytes]:
    """Train the depthwise-separable CNN in PyTorch on the 10,000 images; return its weights.

    AdamW with a one-cycle learning rate; every batch is moved by up to one pixel, and half
    of its pictures are mirrored. About two minutes on one core.
    """
    import safetensors.torch
    import torch

    from edge_course.networks import torch_models, torch_training

    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    model = torch_models.depthwise_cnn()
    train = fashion_mnist.load("train")
    images = fashion_mnist.preprocess(train.images)
    torch_training.fit(model, images, train.labels, epochs=20, rate=0.01, augment=True)
    return {DEPTHWISE_CNN_WEIGHTS: safetensors.torch.save(model.state_dict())}


def make_depthwise_cnn_litert() -> dict[str, bytes]:
    """Return the trained depthwise-separable CNN as LiteRT files, by way of ONNX and Keras."""
    from edge_course import process
    from edge_course.frameworks import in_pytorch, onnx_to_keras

    compute_the_same_everywhere()
    with process.another() as call:
        exported = call(in_pytorch.export_trained, "depthwise_cnn")
    model = onnx_to_keras.translate(exported)
    return {
        "depthwise_cnn_float32.tflite": litert.convert(model, "float32"),
        "depthwise_cnn_int8.tflite": litert.convert(
            model, "int8", fashion_mnist.calibration_images()
        ),
    }
