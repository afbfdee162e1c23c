"""The arithmetic of neural networks by hand, in NumPy: losses, gradients, layers.

The formulas are those of Goodfellow, Bengio, Courville (2016), "Deep Learning"
(deeplearningbook.org); the section stands with each function.
Taught in: notebooks/02_train_a_cnn.ipynb
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def half_squared_error(y: np.ndarray, y_hat: np.ndarray) -> float:
    """Return L = ½ ‖y − ŷ‖², half the sum of the squared differences.

    The mean squared error of n examples is 2 L / n: the same up to a constant factor, so
    both have their minimum in the same place (section 5.1.4).

    Parameters
    ----------
    y : what is right, real numbers, shape (n,).
    y_hat : what was predicted, shape (n,).

    Raises
    ------
    ValueError
        If the shapes differ or are not (n,), or there is NaN, infinity or nothing at all.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    y, y_hat = _reals("y", y, "(n,)"), _reals("y_hat", y_hat, "(n,)")
    if y.shape != y_hat.shape:
        raise ValueError(f"expected one prediction for each y, got {len(y)} y, {len(y_hat)} ŷ")
    return float(((y - y_hat) ** 2).sum() / 2)


def half_squared_error_gradient(X: np.ndarray, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return the gradient of L = ½ ‖y − ŷ‖² of a linear model ŷ = X θ with respect to θ.

    ∇L = Xᵀ (X θ − y): each example adds its own row of X times how much its prediction is
    too high (section 4.5).

    Parameters
    ----------
    X : one row for each example, real numbers, shape (n, d).
    y : what is right, shape (n,).
    theta : the model's parameters, shape (d,).

    Returns
    -------
    np.ndarray
        float, shape (d,), like ``theta``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is NaN, infinity or nothing at all.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    X, y, theta = _reals("X", X, "(n, d)"), _reals("y", y, "(n,)"), _reals("theta", theta, "(d,)")
    if X.shape != (len(y), len(theta)):
        raise ValueError(
            f"{len(y)} examples y and {len(theta)} parameters theta need an X of shape "
            f"{(len(y), len(theta))}, got {X.shape}"
        )
    return X.T @ (X @ theta - y)


def gradient_step(theta: np.ndarray, gradient: np.ndarray, learning_rate: float) -> np.ndarray:
    """Return the parameters after one step of gradient descent: θ − α ∇L (section 4.3).

    Parameters
    ----------
    theta : real numbers, any shape.
    gradient : ∇L at ``theta``, the same shape.
    learning_rate : α, positive.

    Returns
    -------
    np.ndarray
        A new array, the shape of ``theta``.

    Raises
    ------
    ValueError
        If the shapes differ, the learning rate is not positive, or the gradient is no
        longer finite, as when a learning rate is too large.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    theta, gradient = np.asarray(theta), np.asarray(gradient)
    if theta.shape != gradient.shape:
        raise ValueError(f"the gradient has shape {gradient.shape}, theta has {theta.shape}")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"expected a positive, finite learning rate, got {learning_rate}")
    if not np.isfinite(gradient).all():
        raise ValueError("the gradient has NaN or infinity in it: try a smaller learning rate")
    return theta - learning_rate * gradient


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return scores as probabilities: exp(z) / Σ exp(z) in every row (section 6.2.2.3).

    The largest score of a row is subtracted first. That changes nothing in the result, but
    exp never overflows (section 4.1).

    Parameters
    ----------
    logits : z, real numbers, shape (n, classes).

    Returns
    -------
    np.ndarray
        float, shape (n, classes), from 0 to 1; each row sums to 1.

    Raises
    ------
    ValueError
        If the shape is another one, or there is NaN, infinity or nothing at all.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    logits = _reals("logits", logits, "(n, classes)")
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of −log p, with p the probability that softmax gives the right class.

    Computed as log Σ exp(z) − z[label], so that no probability is rounded to 0 before its
    logarithm is taken (section 6.2.2.3).

    Parameters
    ----------
    logits : z, real numbers, shape (n, classes).
    labels : the right classes, integers from 0 to classes − 1, shape (n,).

    Returns
    -------
    float
        The loss in nats, at least 0; log(classes) if every class is thought equally likely.

    Raises
    ------
    ValueError
        If the shapes do not fit, there is NaN, infinity or nothing at all, or a label is no
        class.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    logits = _reals("logits", logits, "(n, classes)")
    labels = _classes("labels", labels, logits.shape[1])
    if len(labels) != len(logits):
        raise ValueError(f"expected a label for each of {len(logits)} rows, got {len(labels)}")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    right = shifted[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=-1)) - right))


def conv2d(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return what a convolution layer computes before its activation, without padding, stride 1.

    out[n, y, x, o] = bias[o] + Σ images[n, y + i, x + j, c] · kernel[i, j, c, o], summed over
    the kernel's rows i, columns j and the channels c. (Mathematics calls this a
    cross-correlation: its convolution turns the kernel round first; section 9.1.)

    Parameters
    ----------
    images : real numbers, shape (n, height, width, channels_in).
    kernel : shape (rows, columns, channels_in, channels_out).
    bias : shape (channels_out,).

    Returns
    -------
    np.ndarray
        float, shape (n, height − rows + 1, width − columns + 1, channels_out).

    Raises
    ------
    ValueError
        If the shapes do not fit, the kernel is larger than the images, or there is NaN,
        infinity or nothing at all.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    images = _reals("images", images, "(n, height, width, channels_in)")
    kernel = _reals("kernel", kernel, "(rows, columns, channels_in, channels_out)")
    bias = _reals("bias", bias, "(channels_out,)")
    rows, columns, channels_in, channels_out = kernel.shape
    if images.shape[3] != channels_in or len(bias) != channels_out:
        raise ValueError(
            f"a kernel of shape {kernel.shape} needs images with {channels_in} channels and "
            f"{channels_out} biases, got {images.shape[3]} channels and {len(bias)} biases"
        )
    if rows > images.shape[1] or columns > images.shape[2]:
        raise ValueError(
            f"the kernel, {rows}×{columns}, is larger than the images, "
            f"{images.shape[1]}×{images.shape[2]}"
        )
    patches = sliding_window_view(images, (rows, columns), axis=(1, 2))
    return np.einsum("nyxcij,ijco->nyxo", patches, kernel, optimize=True) + bias


def max_pool2d(images: np.ndarray, size: int) -> np.ndarray:
    """Return the largest value of every square of size × size pixels (section 9.3).

    The squares do not overlap; rows and columns left over at the end are dropped.

    Parameters
    ----------
    images : real numbers, shape (n, height, width, channels).
    size : from 1 to the smaller of height and width.

    Returns
    -------
    np.ndarray
        float, shape (n, height // size, width // size, channels).

    Raises
    ------
    ValueError
        If the shape is another one, no square fits, or there is NaN, infinity or nothing.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    images = _reals("images", images, "(n, height, width, channels)")
    count, height, width, channels = images.shape
    if not 1 <= size <= min(height, width):
        raise ValueError(f"expected a size from 1 to {min(height, width)}, got {size}")
    rows, columns = height // size, width // size
    cut = images[:, : rows * size, : columns * size]
    return cut.reshape(count, rows, size, columns, size, channels).max(axis=(2, 4))


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count for every pair of classes how often the first was predicted to be the second.

    Parameters
    ----------
    labels : the right classes, integers from 0 to classes − 1, shape (n,).
    predicted : the predicted ones, likewise.
    classes : number of classes.

    Returns
    -------
    np.ndarray
        int64, shape (classes, classes), [right, predicted]; what is on the diagonal was
        predicted rightly.

    Raises
    ------
    ValueError
        If the lengths differ or are zero, or something is no class.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    labels = _classes("labels", labels, classes)
    predicted = _classes("predicted", predicted, classes)
    if len(labels) != len(predicted):
        raise ValueError(f"got {len(labels)} labels but {len(predicted)} predictions")
    pairs = labels * classes + predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def _reals(name: str, values: np.ndarray, shape: str) -> np.ndarray:
    """Return finite real numbers as floats, or raise what is wrong with them."""
    array = np.asarray(values)
    dimensions = len(shape.strip("(),").split(","))
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected real numbers, got {array.dtype}")
    if array.ndim != dimensions or not array.size:
        raise ValueError(f"{name}: expected shape {shape}, not empty, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: it has NaN or infinity in it, expected finite numbers")
    return array.astype(np.result_type(array, np.float32), copy=False)


def _classes(name: str, values: np.ndarray, classes: int) -> np.ndarray:
    """Return class labels as int64, or raise what is wrong with them."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integer classes, got {array.dtype}")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name}: expected shape (n,), not empty, got {array.shape}")
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(
            f"{name}: expected classes from 0 to {classes - 1}, got {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)
