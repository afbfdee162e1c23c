"""The recipes that made the files in ``data/``.

Each returns file name → content. They are run by `python -m edge_course.data --rebuild`.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy

from edge_course import data, download, measure
from edge_course.frameworks import in_tensorflow
from edge_course.networks import models
from edge_course.runtimes import litert

if TYPE_CHECKING:
    import keras

SEED = 20
EPOCHS = 5
BATCH = 64
CALIBRATION_PER_CLASS = 20
# Standard deviation of the test accuracy over trainings that differ in their seed only:
# measure_run_spread(32).
RUN_SPREAD = 0.006


def fashion_mnist() -> dict[str, bytes]:
    """Return 1,000 training images of each class, and the whole test set, as .npz files."""
    train, test = download.fashion_mnist("train"), download.fashion_mnist("t10k")
    kept = data.first_of_each_class(train.labels, 1000)
    subset = data.LabelledImages(train.images[kept], train.labels[kept])
    return {
        "fashion_mnist_train.npz": npz(subset._asdict()),
        "fashion_mnist_test.npz": npz(test._asdict()),
    }


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an .npz file. NumPy's own would use zlib, whose bytes differ between versions."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that the bytes stay the same
            info.compress_type = zipfile.ZIP_BZIP2
            info.create_system = 3  # else Windows and Linux write different headers
            archive.writestr(info, member.getvalue())
    return file.getvalue()


def seed_cnn() -> dict[str, bytes]:
    """Train the seed CNN on the 10,000 images; return its weights and its LiteRT files."""
    compute_the_same_everywhere()
    model = train_seed_cnn(SEED)
    return {
        models.SEED_CNN_WEIGHTS: safetensors.numpy.save(models.weights(model)),
        "seed_cnn_float32.tflite": litert.convert(model, "float32"),
        "seed_cnn_int8.tflite": litert.convert(model, "int8", calibration_images()),
    }


def train_seed_cnn(seed: int) -> keras.Model:
    """Return a new seed CNN, trained on the 10,000 images from this seed on."""
    import keras

    keras.utils.set_random_seed(seed)
    train = data.fashion_mnist("train")
    model = models.seed_cnn()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images = data.preprocess(train.images)
    model.fit(images, train.labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    return model


def measure_run_spread(count: int) -> float:
    """Return the standard deviation of the test accuracy over trainings from ``count`` seeds.

    It is how `RUN_SPREAD` was measured; allow 15 seconds for each seed.
    """
    compute_the_same_everywhere()
    test = data.fashion_mnist("test")
    images = data.preprocess(test.images)
    shares = []
    for seed in range(count):
        predicted = train_seed_cnn(seed).predict(images, verbose=0).argmax(axis=-1)
        shares.append(measure.accuracy(predicted, test.labels).value)
        print(f"seed {seed}: {100 * shares[-1]:.2f} % of the test images", flush=True)
    return float(np.std(shares, ddof=1))


def compute_the_same_everywhere() -> None:
    """Take one thread and no oneDNN: the order of additions, and so the last bit, stays."""
    in_tensorflow.one_thread()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def depthwise_cnn() -> dict[str, bytes]:
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
    train = data.fashion_mnist("train")
    images = data.preprocess(train.images)
    torch_training.fit(model, images, train.labels, epochs=20, rate=0.01, augment=True)
    return {torch_models.DEPTHWISE_CNN_WEIGHTS: safetensors.torch.save(model.state_dict())}


def depthwise_cnn_litert() -> dict[str, bytes]:
    """Return the trained depthwise-separable CNN as LiteRT files, by way of ONNX and Keras."""
    from edge_course import process
    from edge_course.frameworks import in_pytorch, onnx_to_keras

    compute_the_same_everywhere()
    with process.another() as call:
        exported = call(in_pytorch.export, "depthwise_cnn")
    model = onnx_to_keras.translate(exported)
    return {
        "depthwise_cnn_float32.tflite": litert.convert(model, "float32"),
        "depthwise_cnn_int8.tflite": litert.convert(model, "int8", calibration_images()),
    }


def calibration_images() -> np.ndarray:
    """Return 20 training images of each class, float32 (200, 28, 28, 1), to calibrate with."""
    train = data.fashion_mnist("train")
    chosen = data.first_of_each_class(train.labels, CALIBRATION_PER_CLASS)
    return data.preprocess(train.images[chosen])
