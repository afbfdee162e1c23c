"""What the tests of split networks share: a small network, a limit of time, no process left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import onnx
import psutil

from edge_course.nodes import addresses
from edge_course.nodes.transport import KEY, open_session
from edge_course.runtimes import ort
from edge_course.split_layers import cut

LIMIT = 60  # seconds after which something hangs; nothing here takes more than a few


def small_network(seed: int = 0) -> bytes:
    """Return a network with a skip connection: what the Add reads was written far apart."""
    r = np.random.default_rng(seed)

    def weight(*shape: int) -> str:
        values = ", ".join(f"{v:.6f}" for v in r.normal(size=np.prod(shape)))
        return f"float[{','.join(map(str, shape))}] w{len(shape)}{shape[-1]} = {{{values}}}"

    text = f"""<ir_version: 10, opset_import: ["": 18]>
    g (float[n,6] x) => (float[n,3] scores) <{weight(6, 8)}, {weight(8, 9)}, {weight(9, 3)}>
    {{
      a = MatMul(x, w28)
      b = Relu(a)
      c = Add(b, a)
      d = MatMul(c, w29)
      e = Relu(d)
      scores = MatMul(e, w23)
    }}"""
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def small_picture_network() -> bytes:
    """Return two convolutions, a mean and a dense layer, for pictures of 3 colours."""
    r = np.random.default_rng(0)
    shapes = {"a": (6, 3, 3, 3), "b": (8, 6, 3, 3), "c": (8, 5)}
    text = """<ir_version: 10, opset_import: ["": 18]> g (float[n,3,9,7] x) => (float[n,5] scores) {
      p = Conv(x, a) q = Relu(p) s = Conv(q, b) t = Relu(s)
      m = GlobalAveragePool(t) f = Flatten(m) scores = MatMul(f, c)
    }"""
    model = onnx.parser.parse_model(text)
    for name, shape in shapes.items():
        values = r.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return model.SerializeToString()


MODEL = small_network()
WHOLE = ort.Runner(MODEL, level=cut.LEVEL)
HEAD = (0, 1, 2)  # c crosses
PARTS = cut.cut_model(MODEL, HEAD)
OTHER_PARTS = cut.cut_model(small_network(seed=1), HEAD)  # another version of the same network


def inputs(seed: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)


def assert_right(outputs: dict[str, np.ndarray], x: np.ndarray) -> None:
    assert list(outputs) == ["scores"]
    np.testing.assert_allclose(outputs["scores"], WHOLE.run(x), rtol=0, atol=1e-6)


def within(function: Callable, *arguments, limit: float = LIMIT):
    """Return what a function returns or raise what it raises; fail if it hangs."""
    done: list = []

    def run() -> None:
        try:
            done.append((function(*arguments), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    assert done, f"it hangs: nothing after {limit} s"
    value, error = done[0]
    if error is not None:
        raise error
    return value


def wait_until(condition: Callable[[], object], *, limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"it did not happen within {limit} s"
        time.sleep(0.01)


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@contextlib.contextmanager
def no_process_left() -> Iterator[None]:
    before = children()
    yield
    wait_until(lambda: children() <= before)


@contextlib.contextmanager
def impostor(answer: Callable[[bytes], bytes | None], *, fail: bool = False) -> Iterator[str]:
    """Serve whatever a function makes of a request, in this process; None for no answer."""
    address = addresses.free_address()
    session = open_session(listen=address)

    def on_query(query) -> None:
        with query:
            data = answer(query.payload.to_bytes())
            if data is not None:
                (query.reply_err if fail else lambda d: query.reply(KEY, d))(data)

    session.declare_queryable(KEY, on_query)
    try:
        yield address
    finally:
        session.close()
