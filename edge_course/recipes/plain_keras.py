"""The recipe of the plain Keras networks: what one would train without this course."""

from __future__ import annotations

import numpy as np

from edge_course import data, fashion_mnist
from edge_course.compression.shipped import PLAIN, PLAIN_WIDTHS, SEEDS
from edge_course.networks import keras_models, keras_training
from edge_course.runtimes import litert

PLAIN_EPOCHS, PLAIN_RATE = 40, 5e-3


def make_plain_cnns() -> dict[str, bytes]:
    """Train the plain CNN in three widths from three seeds; return one file of each, and answers.

    40 epochs, mirrored and moved pictures, Adam with a cosine schedule, int8 after training. The
    file is that of the first seed, as the converter writes it. About a minute a network.
    """
    keras_training.compute_the_same_everywhere()
    unseen = fashion_mnist.preprocess(fashion_mnist.load("test").images)
    files, rows = {}, {}
    for width in PLAIN_WIDTHS:
        made = [_trained(width, seed) for seed in SEEDS]
        files[f"plain_cnn_{width}.tflite"] = made[0]
        answers = [litert.Runner(file).predict(unseen) for file in made]
        rows[f"width_{width}"] = np.stack(answers).astype(np.uint8)
    return files | {PLAIN: data.npz({"seeds": np.array(SEEDS, np.uint8)} | rows)}


def _trained(width: int, seed: int) -> bytes:
    """Return one plain CNN as an int8 ``.tflite`` file."""
    import keras
    from keras import layers

    keras.utils.clear_session()  # it counts tensors, and the file would hold the count
    keras.utils.set_random_seed(seed)
    train = fashion_mnist.load("train")
    model = keras_models.plain_cnn(width)
    moving = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(1 / 28, 1 / 28, fill_mode="constant"),
            model,
        ]
    )
    steps = PLAIN_EPOCHS * -(-len(train.labels) // keras_training.BATCH)
    moving.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(PLAIN_RATE, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    moving.fit(
        fashion_mnist.preprocess(train.images), train.labels,
        batch_size=keras_training.BATCH, epochs=PLAIN_EPOCHS, verbose=2,
    )  # fmt: skip
    return litert.convert(model, "int8", fashion_mnist.calibration_images())
