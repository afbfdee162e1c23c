"""A network and a text that are not in the notebook: prices in columns of digits."""

import numpy as np

from edge_course.language.torch_lstm import TorchLSTM


def network():
    """Return a function to an LSTM of other sizes."""
    return lambda symbols: TorchLSTM(symbols, inputs=5, units=20)


def data() -> str:
    """Return lines of numbers, in which each follows from the one before."""
    random, lines, price = np.random.default_rng(3), [], 500
    for day in range(2500):
        price += int(random.integers(-3, 4))
        lines.append(f"day {day % 7}: {price} €")
    return "\n".join(lines)
