"""How the seed CNN of the course is trained in Keras."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from edge_course import fashion_mnist, measure
from edge_course.networks import keras_models

if TYPE_CHECKING:
    import keras

SEED = 20
EPOCHS = 5
BATCH = 64
# Standard deviation of the test accuracy over trainings that differ in their seed only:
# measure_run_spread(32).
RUN_SPREAD = 0.006


def train_seed_cnn(seed: int) -> keras.Model:
    """Return a new seed CNN, trained on the 10,000 images from this seed on."""
    import keras

    keras.utils.set_random_seed(seed)
    train = fashion_mnist.load("train")
    model = keras_models.seed_cnn()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images = fashion_mnist.preprocess(train.images)
    model.fit(images, train.labels, batch_size=BATCH, epochs=EPOCHS, verbose=2)
    return model


def measure_run_spread(count: int) -> float:
    """Return the standard deviation of the test accuracy over trainings from ``count`` seeds.

    It is how `RUN_SPREAD` was measured; allow 15 seconds for each seed.
    """
    compute_the_same_everywhere()
    test = fashion_mnist.load("test")
    images = fashion_mnist.preprocess(test.images)
    shares = []
    for seed in range(count):
        predicted = train_seed_cnn(seed).predict(images, verbose=0).argmax(axis=-1)
        shares.append(measure.accuracy(predicted, test.labels).value)
        print(f"seed {seed}: {100 * shares[-1]:.2f} % of the test images", flush=True)
    return float(np.std(shares, ddof=1))


def compute_the_same_everywhere() -> None:
    """Take one thread and no oneDNN: the order of additions, and so the last bit, stays."""
    use_one_thread()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def use_one_thread() -> None:
    """Let TensorFlow compute with one thread and without oneDNN in this process.

    Raises
    ------
    RuntimeError
        If it has begun to compute already, with the threads that it has.
    """
    os.environ.update(TF_ENABLE_ONEDNN_OPTS="0", TF_CPP_MIN_LOG_LEVEL="3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
