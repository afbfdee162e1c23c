"""The LSTM in PyTorch, where it trains."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.numpy import load
from torch import nn
from tqdm.auto import tqdm

from edge_course import data
from edge_course.language.lstm import LSTMWeights
from edge_course.networks.torch_training import one_thread

LSTM_FILE = "lstm_192.safetensors"
_STREAMS, _STEPS = 32, 64  # places in the text that are read side by side, symbols before an update


class TorchLSTM(nn.Module):
    """Embedding, LSTM and a dense layer.

    Parameters
    ----------
    symbols : how many different codes there are.
    inputs : numbers of an embedding.
    units : numbers of each half of the state.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """

    def __init__(self, symbols: int, inputs: int = 32, units: int = 192):
        super().__init__()
        self.embedding = nn.Embedding(symbols, inputs)
        self.lstm = nn.LSTM(inputs, units, batch_first=True)
        self.out = nn.Linear(units, symbols)

    def forward(self, codes, state=None):
        """Return scores (n, steps, symbols) for codes (n, steps), and the state behind them."""
        hidden, state = self.lstm(self.embedding(codes), state)
        return self.out(hidden), state

    def weights(self) -> LSTMWeights:
        """Return the parameters as NumPy arrays; PyTorch's two biases are added up."""
        own = {name: p.detach().numpy() for name, p in self.named_parameters()}
        return LSTMWeights(
            own["embedding.weight"], own["lstm.weight_ih_l0"].T, own["lstm.weight_hh_l0"].T,
            own["lstm.bias_ih_l0"] + own["lstm.bias_hh_l0"], own["out.weight"].T, own["out.bias"],
        )  # fmt: skip

    def load_weights(self, weights: LSTMWeights) -> None:
        """Take over parameters from NumPy arrays."""
        arrays = (
            weights.embedding, weights.W.T, weights.U.T, weights.b, np.zeros_like(weights.b),
            weights.out.T, weights.out_bias,
        )  # fmt: skip
        with torch.no_grad():
            for parameter, array in zip(self.parameters(), arrays, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(array, np.float32)))


def trained_lstm() -> TorchLSTM:
    """Return the course's LSTM, trained on nine tenths of the novel; stored as float16.

    Raises
    ------
    edge_course.data.DataError
        If the file is missing or altered.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    arrays = {name: array.astype(np.float32) for name, array in load(data.read(LSTM_FILE)).items()}
    weights = LSTMWeights(**arrays)
    model = TorchLSTM(*weights.embedding.shape, len(weights.U))
    model.load_weights(weights)
    return model.eval()


def fit_text(model: TorchLSTM, codes: np.ndarray, *, updates: int, rate: float) -> list[float]:
    """Train a model to predict the next symbol, in place; return the bits of every update.

    The text is cut into 32 streams that are read side by side. After 64 symbols the weights
    change, and the state is carried on: so the model learns to use a long past without looking back
    further than 64 steps. AdamW with a one-cycle rate, as `torch_training.fit`.

    Parameters
    ----------
    model : in any state.
    codes : integers, (n,), more than 32 · 64 of them.
    updates : how often the weights change, at least 1.
    rate : the largest learning rate.

    Raises
    ------
    ValueError
        If the text is too short, or there is no update.

    Taught in: notebooks/18_language_model_lstm.ipynb
    """
    long = (len(codes) - 1) // _STREAMS // _STEPS * _STEPS  # symbols of a stream
    if long < _STEPS or updates < 1:
        raise ValueError(
            f"expected at least {_STREAMS * _STEPS + 1:,} symbols and one update, got "
            f"{len(codes):,} and {updates}"
        )
    text = torch.from_numpy(np.asarray(codes, np.int64))
    inputs = text[: _STREAMS * long].reshape(_STREAMS, long)
    targets = text[1 : _STREAMS * long + 1].reshape(_STREAMS, long)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=updates)
    bits, state = [], None
    model.train()
    with one_thread():
        for update in tqdm(range(updates), desc="training"):
            begin = update * _STEPS % long
            state = None if begin == 0 else tuple(part.detach() for part in state)
            scores, state = model(inputs[:, begin : begin + _STEPS], state)
            wanted = targets[:, begin : begin + _STEPS]
            loss = nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            bits.append(loss.item() / np.log(2))
    model.eval()
    return bits
