"""Plausible wrong answers to the exercises of notebook 04, each a mistake of its own."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from onnxruntime import InferenceSession, quantization

from edge_course.runtimes.onnx_calibration import dense_model


def _averages(gradient, m, v, beta1, beta2):
    return beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2


def _corrected(m, v, t, beta1, beta2):
    return m / (1 - beta1**t), v / (1 - beta2**t)


def goes_uphill(theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _averages(gradient, m, v, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta + learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def forgets_that_the_averages_start_at_zero(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta1, beta2)
    return theta - learning_rate * m / (np.sqrt(v) + epsilon), m, v


def forgets_the_root(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (v_hat + epsilon), m, v


def puts_epsilon_under_the_root(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / np.sqrt(v_hat + epsilon), m, v


def forgets_epsilon(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return theta - learning_rate * m_hat / np.sqrt(v_hat), m, v


def averages_the_slope_instead_of_its_square(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * np.abs(gradient)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def counts_steps_from_zero(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta1, beta2)
    with np.errstate(invalid="ignore", divide="ignore"):
        m_hat, v_hat = np.divide(m, 1 - beta1 ** (t - 1)), np.divide(v, 1 - beta2 ** (t - 1))
        return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def hands_on_the_corrected_averages(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _corrected(*_averages(gradient, m, v, beta1, beta2), t, beta1, beta2)
    return theta - learning_rate * m / (np.sqrt(v) + epsilon), m, v


def swaps_the_betas(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta2, beta1)
    m_hat, v_hat = _corrected(m, v, t, beta2, beta1)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def returns_the_parameters_only(
    theta, gradient, m, v, t, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = _averages(gradient, m, v, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)


def _fold(weight, bias, s, beta, mean):
    return s.reshape(-1, *[1] * (weight.ndim - 1)) * weight, s * (bias - mean) + beta


def divides_by_the_variance(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    return _fold(weight, bias, gamma / (variance + epsilon), beta, mean)


def adds_epsilon_behind_the_root(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    return _fold(weight, bias, gamma / (np.sqrt(variance) + epsilon), beta, mean)


def leaves_gamma_out(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    return _fold(weight, bias, 1 / np.sqrt(variance + epsilon), beta, mean)


def leaves_beta_out(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    return _fold(weight, bias, gamma / np.sqrt(variance + epsilon), 0 * beta, mean)


def adds_the_mean(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    return _fold(weight, bias, gamma / np.sqrt(variance + epsilon), beta, -mean)


def drops_the_bias_of_the_layer(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    return _fold(weight, 0 * bias, gamma / np.sqrt(variance + epsilon), beta, mean)


def does_not_scale_bias_and_mean(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    s = gamma / np.sqrt(variance + epsilon)
    return s.reshape(-1, *[1] * (weight.ndim - 1)) * weight, bias - mean + beta


def scales_beta_too(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    s = gamma / np.sqrt(variance + epsilon)
    return s.reshape(-1, *[1] * (weight.ndim - 1)) * weight, s * (bias - mean + beta)


def multiplies_along_the_last_axis(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    s = gamma / np.sqrt(variance + epsilon)
    return s * weight, s * (bias - mean) + beta


def leaves_the_weight_as_it_is(weight, bias, gamma, beta, mean, variance, epsilon=1e-5):
    s = gamma / np.sqrt(variance + epsilon)
    return weight.copy(), s * (bias - mean) + beta


def takes_one_scale_for_all_channels(weight):
    return np.full(len(weight), np.abs(weight).max() / 127, np.float32)


def forgets_the_sign(weight):
    return weight.reshape(len(weight), -1).max(axis=1) / np.float32(127)


def takes_128_codes(weight):
    return np.abs(weight).reshape(len(weight), -1).max(axis=1) / np.float32(128)


def takes_the_whole_range(weight):
    flat = weight.reshape(len(weight), -1)
    return (flat.max(axis=1) - flat.min(axis=1)) / np.float32(255)


def scales_the_input_channels(weight):
    return np.abs(np.moveaxis(weight, 1, 0)).reshape(weight.shape[1], -1).max(axis=1) / 127


def scales_the_last_axis(weight):
    return np.abs(weight).reshape(-1, weight.shape[-1]).max(axis=0) / 127


def gives_zeros_a_scale_of_zero(weight):
    return np.abs(weight).reshape(len(weight), -1).max(axis=1) / np.float32(127)


def keeps_the_axes(weight):
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    return np.where(largest > 0, largest / np.float32(127), np.float32(1))


def divides_the_wrong_way(weight):
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    return np.where(largest > 0, 127 / np.maximum(largest, np.float32(1e-9)), np.float32(1))


# int8_outputs


def _quantized(weight, rows, x, at_a_time=1, **changes):
    left = iter([rows[i : i + at_a_time] for i in range(0, len(rows), at_a_time)])

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            batch = next(left, None)
            return None if batch is None else {"x": batch}

    types = {
        "weight_type": quantization.QuantType.QInt8,
        "activation_type": quantization.QuantType.QUInt8,
    }
    settings = {"per_channel": True} | types | changes
    with TemporaryDirectory() as folder:
        made = Path(folder, "int8.onnx")
        quantization.quantize_static(dense_model(weight), made, Reader(), **settings)
        return InferenceSession(made.read_bytes()).run(None, {"x": x})[0]


def one_scale_for_the_layer(weight, calibration, x):
    return _quantized(weight, calibration, x, per_channel=False)


def calibrates_with_the_first_row_only(weight, calibration, x):
    return _quantized(weight, calibration[:1], x)


def calibrates_with_what_it_computes(weight, calibration, x):
    return _quantized(weight, x, x)


def forgets_the_last_row(weight, calibration, x):
    return _quantized(weight, calibration[: max(1, len(calibration) - 1)], x)


def calibrates_with_scaled_rows(weight, calibration, x):
    return _quantized(weight, calibration / 255, x)


def stays_in_float32(weight, calibration, x):
    return x @ weight.T


def returns_the_calibration_outputs(weight, calibration, x):
    return _quantized(weight, calibration, calibration)


def a_row_without_its_batch(weight, calibration, x):
    return _quantized(weight, calibration.ravel(), x)


WRONG: dict[str, list[Callable]] = {
    "adam_step": [
        goes_uphill,
        forgets_that_the_averages_start_at_zero,
        forgets_the_root,
        puts_epsilon_under_the_root,
        forgets_epsilon,
        averages_the_slope_instead_of_its_square,
        counts_steps_from_zero,
        hands_on_the_corrected_averages,
        swaps_the_betas,
        returns_the_parameters_only,
    ],
    "fold_batch_norm": [
        divides_by_the_variance,
        adds_epsilon_behind_the_root,
        leaves_gamma_out,
        leaves_beta_out,
        adds_the_mean,
        drops_the_bias_of_the_layer,
        does_not_scale_bias_and_mean,
        scales_beta_too,
        multiplies_along_the_last_axis,
        leaves_the_weight_as_it_is,
    ],
    "channel_scales": [
        takes_one_scale_for_all_channels,
        forgets_the_sign,
        takes_128_codes,
        takes_the_whole_range,
        scales_the_input_channels,
        scales_the_last_axis,
        gives_zeros_a_scale_of_zero,
        keeps_the_axes,
        divides_the_wrong_way,
    ],
    "int8_outputs": [
        one_scale_for_the_layer,
        calibrates_with_the_first_row_only,
        calibrates_with_what_it_computes,
        forgets_the_last_row,
        calibrates_with_scaled_rows,
        stays_in_float32,
        returns_the_calibration_outputs,
        a_row_without_its_batch,
    ],
}
