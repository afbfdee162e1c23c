"""Plausible wrong answers to the exercises of notebook 18, each a mistake of its own."""

import numpy as np


def _s(x):
    return 1 / (1 + np.exp(-x))


def mean_of_the_inverses(probabilities):
    return float((1 / np.asarray(probabilities)).mean())


def inverse_of_the_mean(probabilities):
    return float(1 / np.mean(probabilities))


def only_the_bits(probabilities):
    return float(-np.log2(probabilities).mean())


def base_e(probabilities):
    return float(2 ** -np.log(probabilities).mean())


def the_sum(probabilities):
    return float(2 ** -np.log2(probabilities).sum())


def forgets_below_the_line(count, total, kinds, shorter):
    return (count + kinds * shorter) / total


def no_smoothing(count, total, kinds, shorter):
    return count / total


def only_if_never_seen(count, total, kinds, shorter):
    return count / total if count else kinds / (total + kinds) * shorter


def one_imagined(count, total, kinds, shorter):
    return (count + shorter) / (total + 1)


def half_and_half(count, total, kinds, shorter):
    return (count / total + shorter) / 2


def _parts(x, h, W, U, b):
    return np.split(np.asarray(x) @ W + np.asarray(h) @ U + b, 4, axis=-1)


def other_order(x, h, c, W, U, b):
    f, i, g, o = _parts(x, h, W, U, b)
    c = _s(f) * np.asarray(c) + _s(i) * np.tanh(g)
    return _s(o) * np.tanh(c), c


def sigmoid_everywhere(x, h, c, W, U, b):
    i, f, g, o = _parts(x, h, W, U, b)
    c = _s(f) * np.asarray(c) + _s(i) * _s(g)
    return _s(o) * np.tanh(c), c


def old_cell_in_the_output(x, h, c, W, U, b):
    i, f, g, o = _parts(x, h, W, U, b)
    return _s(o) * np.tanh(c), _s(f) * np.asarray(c) + _s(i) * np.tanh(g)


def no_tanh_in_the_output(x, h, c, W, U, b):
    i, f, g, o = _parts(x, h, W, U, b)
    c = _s(f) * np.asarray(c) + _s(i) * np.tanh(g)
    return _s(o) * c, c


def state_the_other_way_round(x, h, c, W, U, b):
    i, f, g, o = _parts(x, h, W, U, b)
    c = _s(f) * np.asarray(c) + _s(i) * np.tanh(g)
    return c, _s(o) * np.tanh(c)


def without_bias(x, h, c, W, U, b):
    i, f, g, o = _parts(x, h, W, U, 0)
    c = _s(f) * np.asarray(c) + _s(i) * np.tanh(g)
    return _s(o) * np.tanh(c), c


def overflows(logits, symbols):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log2(p[np.arange(len(p)), symbols])


def natural_logarithm(logits, symbols):
    z = np.asarray(logits) - np.max(logits, axis=1, keepdims=True)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), symbols]


def the_mean(logits, symbols):
    return natural_logarithm(logits, symbols).mean() / np.log(2)


def other_sign(logits, symbols):
    return -natural_logarithm(logits, symbols) / np.log(2)


def softmax_over_the_rows(logits, symbols):
    z = np.asarray(logits) - np.max(logits, axis=0)
    p = np.exp(z) / np.exp(z).sum(axis=0)
    return -np.log2(p[np.arange(len(p)), symbols])


WRONG = {
    "perplexity": [
        mean_of_the_inverses, inverse_of_the_mean, only_the_bits, base_e, the_sum,
    ],
    "witten_bell": [
        forgets_below_the_line, no_smoothing, only_if_never_seen, one_imagined, half_and_half,
    ],
    "lstm_step": [
        other_order, sigmoid_everywhere, old_cell_in_the_output, no_tanh_in_the_output,
        state_the_other_way_round, without_bias,
    ],
    "bits_of_logits": [
        overflows, natural_logarithm, the_mean, other_sign, softmax_over_the_rows,
    ],
}  # fmt: skip
