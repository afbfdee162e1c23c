"""One step of an LSTM in NumPy, PyTorch, Keras and LiteRT, and a whole text step by step."""

import numpy as np
import pytest
import torch

from edge_course.frameworks.in_tensorflow import with_tensorflow
from edge_course.language import lstm, torch_lstm
from edge_course.language.litert_lstm import STEP_MODES, StepRunner, step_files
from edge_course.language.reading import WARM_UP, read_bits
from edge_course.novel import load_novel
from edge_course.runtimes.model_files import ModelError

SYMBOLS, UNITS = 11, 24


@pytest.fixture(scope="module")
def model() -> torch_lstm.TorchLSTM:
    torch.manual_seed(0)
    return torch_lstm.TorchLSTM(SYMBOLS, 8, UNITS).eval()


@pytest.fixture(scope="module")
def text() -> np.ndarray:
    return np.random.default_rng(0).integers(0, SYMBOLS, 600)


@pytest.fixture(scope="module")
def examples(model, text) -> dict[str, np.ndarray]:
    weights, rows = model.weights(), []
    h, c = weights.start(1)
    for code in text[:150]:
        rows.append((np.eye(SYMBOLS, dtype=np.float32)[code], h[0], c[0]))
        _, h, c = weights.step(np.array([code]), h, c)
    columns = zip(*rows, strict=True)
    return {n: np.float32(v) for n, v in zip(("symbol", "h", "c"), columns, strict=True)}


@pytest.fixture(scope="module")
def files(model, examples) -> dict[str, bytes]:
    return with_tensorflow(step_files, model.weights()._asdict(), STEP_MODES, examples)


def test_a_step_is_that_of_pytorchs_cell() -> None:
    torch.manual_seed(1)
    cell = torch.nn.LSTMCell(5, 7)
    x, h, c = torch.randn(3, 5), torch.randn(3, 7), torch.randn(3, 7)
    expected = [part.detach().numpy() for part in cell(x, (h, c))]
    W, U, b1, b2 = (p.detach().numpy() for p in cell.parameters())
    found = lstm.lstm_step(x.numpy(), h.numpy(), c.numpy(), W.T, U.T, b1 + b2)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_step_is_that_of_keras_cell() -> None:
    def keras_step(tf, x, h, c, W, U, b):
        import keras

        cell = keras.layers.LSTMCell(h.shape[-1])
        cell.build(x.shape)
        cell.set_weights([W, U, b])
        _, (h, c) = cell(x, [h, c])
        return h.numpy(), c.numpy()

    random = np.random.default_rng(2)
    x, h, c, W, U, b = (
        random.normal(size=s).astype(np.float32)
        for s in ((3, 5), (3, 7), (3, 7), (5, 28), (7, 28), 28)
    )
    expected = with_tensorflow(keras_step, x, h, c, W, U, b)
    for ours, theirs in zip(lstm.lstm_step(x, h, c, W, U, b), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_step_by_step_is_the_whole_sequence(model, text, files) -> None:
    """PyTorch's scores of 600 symbols at once, against NumPy and LiteRT with the state outside."""
    codes = text[np.newaxis]
    with torch.no_grad():
        expected = model(torch.from_numpy(codes))[0].numpy()[0]
    weights, runner = model.weights(), StepRunner(files["float32"])
    for step, start in ((weights.step, weights.start(1)), (runner.step, runner.start())):
        h, c = start
        for t, code in enumerate(text):
            logits, h, c = step(np.array([code]), h, c)
            np.testing.assert_allclose(logits[0], expected[t], atol=1e-5)


def test_files_of_whole_numbers_stay_close(model, text, files) -> None:
    """int8 weights move the scores little, int16 activations hardly more, int8 ones most."""
    weights = model.weights()
    h, c = weights.start(4)
    codes = text.reshape(4, -1)
    expected = []
    for column in codes.T:
        logits, h, c = weights.step(column, h, c)
        expected.append(logits)
    off = {}
    for mode, file in files.items():
        runner = StepRunner(file, streams=4)
        h, c = runner.start()
        found = []
        for column in codes.T:
            logits, h, c = runner.step(column, h, c)
            found.append(logits)
        off[mode] = np.abs(np.array(found) - expected).mean()
    assert off["float32"] < 1e-6
    assert off["dynamic"] < 0.01 and off["int16"] < 0.01
    assert off["int8"] < 0.05


def test_reading_in_streams_is_reading_in_one_piece(model, text) -> None:
    """But for what a state of zeros forgets: 128 symbols are enough for this network."""
    weights = model.weights()
    whole = read_bits(weights.step, weights.start(1), text, 1)
    parts = read_bits(weights.step, weights.start(3), text, 3)
    assert len(whole) == len(text) - WARM_UP - 1
    np.testing.assert_allclose(parts, whole[: len(parts)], atol=1e-3)
    with pytest.raises(ValueError, match="more than 131 symbols"):
        read_bits(weights.step, weights.start(3), text[:131], 3)


def test_training_lowers_the_bits_and_a_short_text_is_refused() -> None:
    torch.manual_seed(0)
    pattern = np.tile([0, 1, 2, 1, 3], 2000)
    model = torch_lstm.TorchLSTM(4, 4, 16)
    bits = torch_lstm.fit_text(model, pattern, updates=60, rate=0.02)
    assert np.mean(bits[:5]) > 1.5 and np.mean(bits[-5:]) < 0.6
    with pytest.raises(ValueError, match="at least 2,049 symbols"):
        torch_lstm.fit_text(model, pattern[:2048], updates=1, rate=0.01)


def test_weights_go_to_numpy_and_back(model) -> None:
    other = torch_lstm.TorchLSTM(SYMBOLS, 8, UNITS).eval()
    other.load_weights(model.weights())
    codes = torch.arange(10)[None]
    torch.testing.assert_close(other(codes)[0], model(codes)[0], atol=1e-6, rtol=0)


def test_the_shipped_model_has_read_the_novel() -> None:
    novel, model = load_novel(), torch_lstm.trained_lstm()
    weights = model.weights()
    found = read_bits(weights.step, weights.start(8), novel.test[:9000], 8).mean()
    assert 1.9 < found < 2.25
    assert novel.text(novel.codes("Call me Ishmael.")) == "Call me Ishmael."
    with pytest.raises(ValueError, match="not among the 81 symbols"):
        novel.codes("€")


def test_weights_that_do_not_fit_are_refused() -> None:
    zeros = np.zeros
    with pytest.raises(ValueError, match="expected h and c of one shape"):
        lstm.lstm_step(
            zeros((1, 2)), zeros((1, 3)), zeros((1, 3)), zeros((2, 9)), zeros((3, 12)), zeros(12)
        )


def test_another_file_is_refused() -> None:
    from edge_course import data

    with pytest.raises(ModelError, match="expected a step that takes symbol, h and c"):
        StepRunner(data.read("seed_cnn_float32.tflite"))
