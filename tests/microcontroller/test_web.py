"""The page: its WebAssembly, run by wasmtime, against the engine; and what it may ask for."""

import re
import socket
import urllib.request

import numpy as np
import pytest
import wasmtime

from edge_course import data, fashion_mnist
from edge_course.integer_inference.model import IntegerModel
from edge_course.microcontroller import web
from edge_course.microcontroller.to_c import to_c
from edge_course.runtimes import litert
from edge_course.runtimes.model_files import ModelError
from tests.support import tiny_networks
from tests.support.effort import effort

FILE = "compressed_20.tflite"


def outputs(wasm: bytes, x: np.ndarray, size: int) -> np.ndarray:
    """What WebAssembly's own runtime returns for codes."""
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, wasm), []).exports(store)
    memory, found = exports["memory"], []

    def place(name: str) -> int:
        at = exports[name].value(store)
        return int.from_bytes(memory.read(store, at, at + 4), "little")

    for one in x:
        memory.write(store, one.tobytes(), place("model_input"))
        exports["model_run"](store)
        out = place("model_output")
        found.append(bytes(memory.read(store, out, out + size)))
    return np.frombuffer(b"".join(found), np.int8).reshape(len(x), size)


def test_its_bytes_are_those_of_the_engine() -> None:
    file = data.read(FILE)
    images = fashion_mnist.load("test").images[: effort(300, 2000)]
    x = litert.Runner(file).encode(fashion_mnist.preprocess(images))
    expected = IntegerModel.from_file(file).run(x, "micro")
    assert np.array_equal(outputs(web.to_wasm(to_c(file)), x, 10), expected)


@pytest.fixture(scope="module")
def page() -> str:
    images = fashion_mnist.load("test").images[:10]
    return web.web_page(data.read(FILE), fashion_mnist.CLASS_NAMES, images)


def test_the_page_is_small_and_asks_nobody(page) -> None:
    assert len(page.encode()) <= 60_000
    assert not re.search(r"https?:|src=|href=|fetch|import\b|XMLHttp|WebSocket", page)
    assert "default-src 'none'" in page


def test_it_is_served_on_this_machine_as_long_as_the_block_lasts(page) -> None:
    with web.served(page) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read().decode() == page
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=10)


def test_who_closes_the_tab_while_it_loads_is_no_error(capfd) -> None:
    with web.served("x" * 10_000_000) as address:
        port = int(address.rstrip("/").rsplit(":")[-1])
        with socket.create_connection(("127.0.0.1", port)) as tab:
            tab.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert tab.recv(100)  # the rest is never read: closing resets the connection
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert len(answer.read()) == 10_000_000
    assert "Traceback" not in capfd.readouterr().err


def test_names_of_classes_do_not_become_part_of_the_page() -> None:
    labels = ["</script><b>", *fashion_mnist.CLASS_NAMES[1:]]
    page = web.web_page(data.read(FILE), labels, fashion_mnist.load("test").images[:1])
    assert "<b>" not in page and page.count("</script>") == 1


@pytest.mark.parametrize(
    ("labels", "pictures", "message"),
    [
        (10, np.zeros((2, 28, 28), np.float32), r"uint8 \(n, 28, 28\), got float32"),
        (10, np.zeros((2, 32, 32), np.uint8), r"got uint8 \(2, 32, 32\)"),
        (9, np.zeros((2, 28, 28), np.uint8), "expected 10 labels, got 9"),
    ],
)
def test_what_does_not_suit_the_network_is_refused(labels, pictures, message) -> None:
    with pytest.raises(ValueError, match=message):
        web.web_page(data.read(FILE), ["a"] * labels, pictures)


def test_colour_pictures_are_refused() -> None:
    file = tiny_networks.NETWORKS["image_classification"]().content(every_output=False)
    with pytest.raises(ModelError, match="grey pictures"):
        web.web_page(file, ["a"] * 10, np.zeros((1, 32, 32), np.uint8))
