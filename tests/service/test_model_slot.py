"""The model's place: several threads ask it, and it is exchanged while they do."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edge_course import data, fashion_mnist
from edge_course.runtimes import litert
from edge_course.runtimes.model_files import ModelError, fingerprint
from edge_course.service.model_slot import ModelSlot
from tests.support import tflite_networks, tiny_networks

FILES = [data.read(f"{name}.tflite") for name in ("compressed_20", "seed_cnn_int8")]
PICTURES = fashion_mnist.preprocess(fashion_mnist.load("test").images[:64])
EXPECTED = {fingerprint(file): litert.Runner(file).scores(PICTURES) for file in FILES}


def test_it_computes_what_the_runtime_does_and_says_who_computed():
    for file in FILES:
        slot = ModelSlot(file, batch=64)
        scores, name = slot.run(PICTURES)
        assert name == slot.fingerprint == fingerprint(file)
        np.testing.assert_array_equal(scores, EXPECTED[name])
        assert (slot.input_shape, slot.output_shape) == ((28, 28, 1), (10,))


def test_threads_ask_while_it_is_exchanged_and_no_answer_is_of_two_models():
    slot, ended = ModelSlot(FILES[0], threads=3, batch=4), threading.Event()

    def ask(start: int) -> set[str]:
        names = set()
        while not ended.is_set():
            for i in range(start, 60, 3):
                scores, name = slot.run(PICTURES[i : i + 4])
                np.testing.assert_array_equal(scores, EXPECTED[name][i : i + 4])
                names.add(name)
        return names

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, start) for start in range(3)]
        for i in range(50):
            assert slot.swap(FILES[(i + 1) % 2]) == fingerprint(FILES[(i + 1) % 2])
        ended.set()
        assert set.union(*(future.result() for future in asking)) == set(EXPECTED)


def spoil(model) -> None:
    """NaN in the place of the largest weights."""
    largest = max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data))
    largest.data = np.full(len(largest.data) // 4, np.nan, np.float32).view(np.uint8)


NAN = tflite_networks.changed(data.read("seed_cnn_float32.tflite"), spoil)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (NAN, "it computes NaN"),
        (b"", "not a TFLite model"),
        (FILES[0][:-5000], "cannot load"),
        (tiny_networks.keyword_spotting().content(every_output=False), "the model that is served"),
        ("no_such_file.tflite", "cannot read"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_old_one_stays(other, words):
    slot = ModelSlot(FILES[0])
    with pytest.raises(ModelError, match=words):
        slot.swap(other)
    scores, name = slot.run(PICTURES[:1])
    assert name == fingerprint(FILES[0])
    np.testing.assert_array_equal(scores, EXPECTED[name][:1])


def test_a_slower_device_takes_its_time_for_each_input():
    import time

    slot = ModelSlot(FILES[0], takes=0.02)
    begin = time.perf_counter()
    slot.run(PICTURES[:5])
    assert time.perf_counter() - begin >= 0.1  # at least: it sleeps


def test_other_networks_can_be_served():
    for net in (tiny_networks.keyword_spotting(), tiny_networks.anomaly_detection()):
        content = net.content(every_output=False)
        slot = ModelSlot(content, batch=2)
        x = np.random.default_rng(0).normal(size=(2, *slot.input_shape)).astype("float32")
        np.testing.assert_array_equal(slot.run(x)[0], litert.Runner(content).run(x))


def test_nan_is_no_answer(monkeypatch):
    slot = ModelSlot(FILES[0])
    monkeypatch.setattr(litert.Runner, "run", lambda self, x: np.full((len(x), 10), np.nan))
    with pytest.raises(ModelError, match="NaN"):
        slot.run(PICTURES[:1])
