"""The arithmetic by hand against loops, finite differences and Keras."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from edge_course import fashion_mnist
from edge_course.networks import nn

REALS = st.floats(-50, 50, width=32)
LOGITS = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 5)), elements=REALS)


def slopes(function, at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return the gradient of a function by central differences."""
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        ahead, behind = at.copy(), at.copy()
        ahead[i] += step
        behind[i] -= step
        gradient[i] = (function(ahead) - function(behind)) / (2 * step)
    return gradient


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_half_squared_error_by_hand() -> None:
    assert nn.half_squared_error(np.array([1.0, 0.0]), np.array([3.0, -1.0])) == 2.5
    assert nn.half_squared_error(np.array([1, 2]), np.array([1, 2])) == 0.0


def test_half_squared_error_is_half_of_n_times_keras_mean(rng) -> None:
    import keras

    y, y_hat = rng.normal(size=(2, 7))
    mean = float(keras.losses.MeanSquaredError()(y, y_hat))
    assert_allclose(nn.half_squared_error(y, y_hat), 7 * mean / 2, rtol=1e-6)


def test_squared_error_gradient_is_the_slope(rng) -> None:
    X, y, theta = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=3)
    numeric = slopes(lambda t: nn.half_squared_error(y, X @ t), theta)
    assert_allclose(nn.half_squared_error_gradient(X, y, theta), numeric, atol=1e-6)


def test_squared_error_gradient_is_that_of_automatic_differentiation(rng) -> None:
    import tensorflow as tf

    X, y, theta = rng.normal(size=(9, 3)), rng.normal(size=9), tf.Variable(rng.normal(size=3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((y - tf.linalg.matvec(X, theta)) ** 2) / 2
    expected = tape.gradient(loss, theta).numpy()
    assert_allclose(nn.half_squared_error_gradient(X, y, theta.numpy()), expected, rtol=1e-12)


def test_gradient_steps_reach_the_least_squares_solution(rng) -> None:
    X, y, theta = rng.normal(size=(20, 2)), rng.normal(size=20), np.zeros(2)
    for _ in range(500):
        gradient = nn.half_squared_error_gradient(X, y, theta)
        theta = nn.gradient_step(theta, gradient, 0.02)
    assert_allclose(theta, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-9)


def test_gradient_step_leaves_its_input_alone() -> None:
    theta = np.array([1.0, 2.0])
    stepped = nn.gradient_step(theta, np.array([10.0, -10.0]), 0.1)
    assert stepped.tolist() == [0.0, 3.0]
    assert theta.tolist() == [1.0, 2.0]


@given(LOGITS, st.floats(-1000, 1000))
def test_softmax_rows_are_probabilities_and_a_shift_changes_nothing(logits, shift) -> None:
    p = nn.softmax(logits)
    assert (p >= 0).all()
    assert_allclose(p.sum(axis=-1), 1, rtol=1e-12)
    assert_allclose(nn.softmax(logits + shift), p, atol=1e-12)


@given(LOGITS)
def test_softmax_keeps_the_order(logits) -> None:
    p = nn.softmax(logits)
    higher = logits[:, :, None] > logits[:, None]
    assert (p[:, :, None] >= p[:, None])[higher].all()


def test_softmax_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        p = nn.softmax(np.array([[1e4, 0.0], [-1e4, -1e4]]))
    assert_allclose(p, [[1, 0], [0.5, 0.5]])


def test_float32_stays_float32(rng) -> None:
    images = rng.random((1, 4, 4, 1), dtype=np.float32)
    kernel, bias = rng.random((2, 2, 1, 3), dtype=np.float32), np.zeros(3, np.float32)
    assert nn.softmax(images[0, :, :, 0]).dtype == np.float32
    assert nn.conv2d(images, kernel, bias).dtype == np.float32
    assert nn.max_pool2d(images, 2).dtype == np.float32


@given(LOGITS, st.data())
def test_cross_entropy_is_minus_the_log_of_the_right_probability(logits, draw) -> None:
    n, classes = logits.shape
    labels = draw.draw(arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    p = nn.softmax(logits)[np.arange(n), labels]
    loss = nn.cross_entropy(logits, labels)
    assert loss >= 0
    assert_allclose(loss, np.mean(-np.log(p)), rtol=1e-9, atol=1e-12)


@given(arrays(np.float64, (3, 4), elements=st.floats(-5, 5)), st.permutations(range(4)))
def test_cross_entropy_gradient_is_softmax_minus_one_hot(logits, order) -> None:
    labels = np.array(order[:3])
    expected = (nn.softmax(logits) - np.eye(4)[labels]) / 3
    assert_allclose(slopes(lambda z: nn.cross_entropy(z, labels), logits), expected, atol=1e-7)


def test_cross_entropy_is_keras(rng) -> None:
    import keras

    logits, labels = rng.normal(0, 5, (8, 10)), rng.integers(0, 10, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert_allclose(nn.cross_entropy(logits, labels), float(loss(labels, logits)), rtol=1e-5)


def test_cross_entropy_of_no_idea_and_of_a_hopeless_case() -> None:
    assert_allclose(nn.cross_entropy(np.zeros((2, 10)), np.array([3, 9])), np.log(10))
    assert nn.cross_entropy(np.array([[0.0, 1e5]]), np.array([0], np.uint8)) == 1e5


@given(st.data())
def test_conv2d_is_the_sum_in_its_definition(draw) -> None:
    n, rows, columns, channels_in, channels_out = draw.draw(st.tuples(*[st.integers(1, 3)] * 5))
    small = st.integers(-3, 3).map(float)
    images = draw.draw(arrays(float, (n, 4, 3, channels_in), elements=small))
    kernel = draw.draw(arrays(float, (rows, columns, channels_in, channels_out), elements=small))
    bias = draw.draw(arrays(float, channels_out, elements=small))
    expected = np.zeros((n, 5 - rows, 4 - columns, channels_out))
    for m, y, x, o in np.ndindex(expected.shape):
        expected[m, y, x, o] = bias[o]
        for i, j, c in np.ndindex(rows, columns, channels_in):
            expected[m, y, x, o] += images[m, y + i, x + j, c] * kernel[i, j, c, o]
    assert_allclose(nn.conv2d(images, kernel, bias), expected)


def test_conv2d_and_max_pool2d_are_keras(rng) -> None:
    from keras import layers

    images = rng.normal(size=(2, 9, 8, 3)).astype(np.float32)
    conv = layers.Conv2D(5, (3, 2))
    expected = conv(images)
    kernel, bias = (w.numpy() for w in conv.weights)
    bias = bias + np.arange(5, dtype=np.float32)
    assert_allclose(nn.conv2d(images, kernel, bias), expected + np.arange(5), atol=1e-5)
    for size in (1, 2, 3):
        assert_allclose(nn.max_pool2d(images, size), layers.MaxPooling2D(size)(images))


def test_the_shipped_network_by_hand_is_the_network_in_keras() -> None:
    from edge_course.networks import keras_models

    model = keras_models.trained_seed_cnn()
    w = keras_models.weights(model)
    x = fashion_mnist.preprocess(fashion_mnist.load("test").images[:20])
    maps = np.maximum(nn.conv2d(x, w["conv/kernel"], w["conv/bias"]), 0)
    flat = nn.max_pool2d(maps, 2).reshape(len(x), -1)
    hidden = np.maximum(flat @ w["hidden/kernel"] + w["hidden/bias"], 0)
    logits = hidden @ w["scores/kernel"] + w["scores/bias"]
    assert_allclose(logits, model.predict(x, verbose=0), atol=1e-4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_confusion_matrix_counts_pairs(pairs) -> None:
    labels, predicted = np.array(pairs).T
    counts = nn.confusion_matrix(labels, predicted, 4)
    assert counts.tolist() == [[pairs.count((i, j)) for j in range(4)] for i in range(4)]


def test_confusion_matrix_does_not_wrap_small_labels() -> None:
    labels = np.array([99, 50], np.uint8)  # 99 · 100 does not fit into a uint8
    assert nn.confusion_matrix(labels, labels, 100)[99, 99] == 1


IMAGE, KERNEL, BIAS = np.zeros((1, 3, 3, 2)), np.zeros((2, 2, 2, 4)), np.zeros(4)
Z = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.half_squared_error(np.zeros(2), np.zeros(3)), "2 y, 3 ŷ"),
        (lambda: nn.half_squared_error(np.zeros(0), np.zeros(0)), "y: expected shape"),
        (lambda: nn.half_squared_error(np.zeros(1), np.array([np.nan])), "y_hat: it has NaN"),
        (lambda: nn.half_squared_error_gradient(Z, np.zeros(2), np.zeros(2)), r"got \(2, 3\)"),
        (lambda: nn.half_squared_error_gradient(Z[0], np.zeros(2), np.zeros(2)), "X: expected"),
        (lambda: nn.gradient_step(Z, Z[0], 0.1), "the gradient has shape"),
        (lambda: nn.gradient_step(Z, Z, 0.0), "positive, finite learning rate, got 0"),
        (lambda: nn.gradient_step(Z, Z, np.nan), "learning rate, got nan"),
        (lambda: nn.gradient_step(Z, Z + np.inf, 0.1), "try a smaller learning rate"),
        (lambda: nn.softmax(np.zeros(3)), r"expected shape \(n, classes\)"),
        (lambda: nn.softmax(np.array([[np.inf, 0]])), "NaN or infinity"),
        (lambda: nn.softmax(np.array([["a"]])), "expected real numbers"),
        (lambda: nn.cross_entropy(Z, np.array([0, 3])), "classes from 0 to 2, got 0 to 3"),
        (lambda: nn.cross_entropy(Z, np.array([0, -1])), "got -1 to 0"),
        (lambda: nn.cross_entropy(Z, np.array([0.0, 1.0])), "expected integer classes"),
        (lambda: nn.cross_entropy(Z, np.array([0])), "a label for each of 2 rows, got 1"),
        (lambda: nn.cross_entropy(Z, np.zeros((2, 3), int)), "labels: expected shape"),
        (lambda: nn.conv2d(IMAGE[0], KERNEL, BIAS), "images: expected shape"),
        (lambda: nn.conv2d(IMAGE[..., :1], KERNEL, BIAS), "got 1 channels and 4 biases"),
        (lambda: nn.conv2d(IMAGE, KERNEL, BIAS[:3]), "got 2 channels and 3 biases"),
        (lambda: nn.conv2d(IMAGE[:, :1], KERNEL, BIAS), "2×2, is larger than the images, 1×3"),
        (lambda: nn.max_pool2d(IMAGE, 4), "a size from 1 to 3, got 4"),
        (lambda: nn.max_pool2d(IMAGE, 0), "a size from 1 to 3, got 0"),
        (lambda: nn.max_pool2d(IMAGE[0], 2), "images: expected shape"),
        (lambda: nn.confusion_matrix(np.array([0]), np.array([0, 1]), 2), "1 labels but 2"),
        (lambda: nn.confusion_matrix(np.array([2]), np.array([0]), 2), "labels: expected classes"),
        (lambda: nn.confusion_matrix(np.array([0]), np.array([2]), 2), "predicted: expected"),
        (lambda: nn.confusion_matrix(np.array([], int), np.array([], int), 2), "not empty"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
