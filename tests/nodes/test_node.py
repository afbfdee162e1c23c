"""A node that serves a part: what it answers, refuses and listens on."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import onnx
import psutil
import pytest

from edge_course import fashion_mnist
from edge_course.frameworks import in_pytorch
from edge_course.nodes import addresses, node, transport, wire
from edge_course.nodes.client import Client, Split
from edge_course.nodes.link import Link
from edge_course.nodes.node import Node
from edge_course.nodes.part import Part, cut_name
from edge_course.nodes.server import Server
from edge_course.nodes.transport import NodeError
from edge_course.runtimes import model_files, ort
from edge_course.runtimes.model_files import ModelError
from edge_course.split_layers import cut
from edge_course.split_layers.graph import read_graph
from tests.support.effort import effort
from tests.support.split_checks import (
    HEAD,
    MODEL,
    OTHER_PARTS,
    PARTS,
    WHOLE,
    assert_right,
    inputs,
    no_process_left,
    wait_until,
    within,
)


@pytest.fixture(scope="module")
def running():
    with no_process_left(), Node(PARTS.tail) as found:
        yield found


@pytest.fixture
def client(running):
    with Client(running.address, running.model) as found:
        yield found


def server(model: bytes, **settings) -> tuple[Server, Client]:
    """Return a server in this process and a client of it."""
    part, address = Part(model, **settings), addresses.free_address()
    return Server(part, address), Client(address, part.model)


# Split equals whole --------------------------------------------------------------------------


@pytest.mark.parametrize("network", in_pytorch.TRAINED)
def test_every_cut_over_zenoh_gives_the_scores_of_the_whole_network(call, network):
    model = call(in_pytorch.export_trained, network)
    x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    whole = ort.Runner(model, level=cut.LEVEL).run(x)
    graph = read_graph(model)
    (name,) = graph.inputs
    heads = list(cut.possible_cuts(graph))
    for head in heads[:: effort(-4, -1)]:  # from behind: there nothing is left for a node
        parts = cut.cut_model(model, head)
        if parts.tail is None:
            outputs, by = Split(parts, None).run({name: x})[:2]
            assert by == "device"
        else:
            serving, asking = server(parts.tail)
            outputs, by = within(Split(parts, asking, deadline=30).run, {name: x})[:2]
            asking.close()
            serving.close()
            assert by == "node"
        np.testing.assert_allclose(outputs["scores"], whole, rtol=0, atol=1e-6)


# The narrowest place of each network where more than 4,700 numbers cross. Below that the 180
# bytes that are no numbers show: 3.6 times at 1,568 numbers, 2.2 times at 128.
@pytest.mark.parametrize(
    ("network", "operators", "crossing"),
    [
        ("seed_cnn", 3, {"max_pool2d"}),
        ("depthwise_cnn", 20, {"relu_3"}),
    ],
)
def test_int8_needs_almost_4_times_fewer_bytes_and_costs_less_than_half_a_point(
    call, network, operators, crossing
):
    test = fashion_mnist.load("test")
    count = effort(1000, 2000)
    images = fashion_mnist.preprocess(test.images[:count]).transpose(0, 3, 1, 2)
    labels = test.labels[:count]
    model = call(in_pytorch.export_trained, network)
    parts = cut.cut_model(model, range(operators))
    assert set(parts.crossing) == crossing
    head, tail, (name,) = Part(parts.head), Part(parts.tail), parts.crossing
    right, sizes = {"float32": 0, "int8": 0}, {"float32": 0, "int8": 0}
    for i in range(0, len(images), 200):
        (x,) = head.run({head.inputs[0]: images[i : i + 200]}).values()
        for dtype in right:
            # One picture a message, as a device would send them: each has a scale of its own.
            sent = [
                wire.encode(wire.Message("request", tail.model, name, 0, {name: one}, dtype))
                for one in x[:, None]
            ]
            sizes[dtype] += sum(map(len, sent))
            got = np.concatenate([wire.decode(message).tensors[name] for message in sent])
            scores = tail.run({name: got})["scores"]
            right[dtype] += int((scores.argmax(axis=1) == labels[i : i + 200]).sum())
    assert sizes["float32"] / sizes["int8"] >= 3.85
    assert abs(right["float32"] - right["int8"]) <= 0.005 * len(images)


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-6), ("float16", 0.02), ("int8", 0.3)])
def test_another_process_answers_as_the_whole_network_does(client, dtype, close):
    x = inputs(1, 5)
    answer = within(Split(PARTS, client, dtype=dtype, deadline=30).run, {"x": x})
    assert answer.by == "node" and not answer.error
    assert answer.outputs["scores"].dtype == np.float32
    np.testing.assert_allclose(answer.outputs["scores"], WHOLE.run(x), atol=close)


def test_through_a_link_and_its_counters(running):
    with Link(running.address) as link, Client(link.address, running.model) as client:
        split_here = Split(PARTS, client, deadline=30)
        within(split_here.run, {"x": inputs(0)})
        up, down = link.bytes_up, link.bytes_down
        for seed in range(10):
            assert_right(within(split_here.run, {"x": inputs(seed)}).outputs, inputs(seed))
    crossing = {"c": np.zeros((2, 8), np.float32)}
    asked = wire.Message("request", running.model, running.cut, 0, crossing)
    # Ten whole requests, and little beside them.
    assert len(wire.encode(asked)) < (link.bytes_up - up) / 10 < len(wire.encode(asked)) + 150
    assert link.bytes_down - down > 10 * 2 * 3 * 4  # two rows of three scores


def test_what_the_head_wrote_of_the_outputs_is_in_the_answer():
    model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 18]>
    g (float[n,6] x) => (float[n,6] early, float[n,6] late)
    { early = Relu(x)  half = Neg(early)  late = Abs(half) }""").SerializeToString()
    parts = cut.cut_model(model, (0, 1))
    serving, asking = server(parts.tail)
    outputs = within(Split(parts, asking, deadline=30).run, {"x": inputs(0)}).outputs
    asking.close()
    serving.close()
    assert set(outputs) == {"early", "late"}
    np.testing.assert_array_equal(outputs["late"], np.maximum(inputs(0), 0))


# What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"c": np.zeros((1, 7), "float32")}, "ONNX Runtime cannot run"),
        ({"c": np.zeros((1, 2, 4), "float32")}, "ONNX Runtime cannot run"),
        ({"other": np.zeros((1, 8), "float32")}, "serves the cut c, the request is for other"),
        (
            {name: np.zeros((1, 8), "float32") for name in ("c", "d")},
            r"the cut c, the request is for c\+d",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_one_clear_error(client, tensors, words):
    with pytest.raises(NodeError, match=f"the node says: .*{words}"):
        within(client.request, tensors)
    assert_right(within(Split(PARTS, client, deadline=30).run, {"x": inputs(2)}).outputs, inputs(2))


def test_another_version_of_the_model_is_refused_by_the_node(running):
    other = Part(OTHER_PARTS.tail).model
    with Client(running.address, other) as client, pytest.raises(NodeError) as caught:
        within(client.request, {"c": np.zeros((1, 8), "float32")})
    assert running.model in str(caught.value) and other in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x80\x04N.", b"x" * 1000])
def test_what_is_no_request_gets_a_failure(running, data):
    session = transport.open_session(connect=running.address)
    try:
        reply = within(lambda: list(session.get(transport.KEY, payload=data, timeout=10)))[0]
        assert wire.decode(reply.err.payload.to_bytes()).kind == "failure"
    finally:
        session.close()


def test_a_reply_is_no_request():
    serving = Server(Part(PARTS.tail), addresses.free_address())
    message = wire.Message("reply", Part(PARTS.tail).model, "c", 1, {"c": np.ones((1, 8), "f4")})
    answer = serving.answer(wire.encode(message))
    serving.close()
    assert answer.kind == "failure" and "expected a request, got a reply" in answer.text


def test_nan_from_the_model_is_a_failure_and_not_an_answer():
    model = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 18]>
    g (float[n,2] x) => (float[n,2] y) { y = Log(x) }""").SerializeToString()
    serving, asking = server(model)
    with pytest.raises(NodeError, match="the outputs cannot be sent: 'y' has NaN"):
        within(asking.request, {"x": np.float32([[-1, 1]])})
    assert within(asking.request, {"x": np.float32([[1, 1]])})["y"].tolist() == [[0, 0]]
    asking.close()
    serving.close()


def test_an_overloaded_node_says_so_at_once_and_serves_again(monkeypatch):
    monkeypatch.setattr("edge_course.nodes.server.MAX_WAITING", 2)
    release = threading.Event()
    part = Part(PARTS.tail)
    run = part.run
    part.run = lambda tensors: (release.wait(30), run(tensors))[1]
    address = addresses.free_address()
    serving = Server(part, address)
    clients = [Client(address, part.model) for _ in range(8)]
    got = []

    def ask(client):
        try:
            got.append(Split(PARTS, client, deadline=30).run({"x": inputs(3)}).outputs)
        except NodeError as error:
            got.append(str(error))

    threads = [threading.Thread(target=ask, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    # One is computed and two wait: the other five are told at once, before anything is released.
    wait_until(lambda: len(got) == 5)
    assert all("overloaded: 2 requests wait already" in text for text in got)
    release.set()
    for thread in threads:
        thread.join(30)
    assert len(got) == 8
    for outputs in got[5:]:
        assert_right(outputs, inputs(3))
    for client in clients:
        client.close()
    serving.close()


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_no_deadline(client, wrong):
    with pytest.raises(ValueError, match="expected a deadline"):
        client.request({"c": np.zeros((1, 8), "float32")}, deadline=wrong)


def test_parts_that_are_none():
    with pytest.raises(ModelError):
        Part(b"no model")
    with pytest.raises(ModelError, match="x is missing"):
        Part(MODEL).run({"y": inputs(0)})
    with pytest.raises(ValueError, match="expected a client"):
        Split(PARTS, None)
    with pytest.raises(ValueError, match="expected an address"):
        Client("127.0.0.1:80", "ab" * 16)
    whole_numbers = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 18]>
    g (int64[n] x) => (int64[n] y) { y = Neg(x) }""")
    with pytest.raises(ModelError, match=r"float32 input, x is tensor\(int64\)"):
        Part(whole_numbers.SerializeToString())
    assert cut_name(("b", "a")) == "a+b"
    long = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 18]>
    g (float[n] {"x" * 256}) => (float[n] y) {{ y = Neg({"x" * 256}) }}""")
    with pytest.raises(ValueError, match="cut's name must have 1 to 255 bytes"):
        Server(Part(long.SerializeToString()), addresses.free_address())


def test_a_slower_device_really_waits(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    Part(MODEL, takes=1000).run({"x": inputs(0)})
    assert len(slept) == 1 and 900 < slept[0] < 1000
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="takes in seconds from 0"):
            Part(MODEL, takes=wrong)


# Starting, listening, ending -----------------------------------------------------------------


def test_it_listens_on_this_machine_only(running):
    assert addresses.is_loopback(running.address)
    process = psutil.Process(running.process.pid)
    listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert {c.laddr.port for c in listening} == {addresses.host_and_port(running.address)[1]}
    datagrams = [c for c in process.net_connections("udp") if not c.laddr.ip.startswith("127.")]
    assert not datagrams  # nobody is looked for by multicast


def test_on_another_machine_nothing_is_started(running):
    with Node(PARTS.tail, address=running.address) as there:
        assert there.process is None and there.model == running.model
        with Client(there.address, there.model) as client:
            network = Split(PARTS, client, deadline=30)
            assert_right(within(network.run, {"x": inputs(4)}).outputs, inputs(4))
        there.kill()  # not ours to end
    assert running.process.poll() is None


def test_an_address_that_is_taken_is_said(running):
    with pytest.raises(NodeError, match="did not start: cannot listen on"):
        within(lambda: Node(PARTS.tail, listen=running.address))


def test_what_cannot_be_served_is_said():
    with no_process_left():
        with pytest.raises(ModelError):
            Node(b"no model")
        with pytest.raises(ValueError, match="expected an address"):
            Node(PARTS.tail, listen="127.0.0.1:1")


def test_a_process_that_never_serves_is_ended(monkeypatch):
    monkeypatch.setattr("edge_course.nodes.child.START_SECONDS", 0.5)
    monkeypatch.setattr(sys, "executable", sys.executable)
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **settings: real(
            [command[0], "-c", "import time; time.sleep(600)"], **settings
        ),
    )
    with no_process_left(), pytest.raises(NodeError, match="ended without a word"):
        within(lambda: Node(PARTS.tail))


@pytest.mark.parametrize("cut_there", [False, True])
def test_the_command_for_a_second_machine(tmp_path, cut_there):
    file = tmp_path / "network.onnx"
    file.write_bytes(MODEL if cut_there else PARTS.tail)
    address = addresses.free_address()
    command = [sys.executable, "-m", "edge_course.nodes.node"]
    command += ["--listen", address, "--model", str(file)]
    if cut_there:
        command += ["--head", str(len(HEAD))]
    with no_process_left():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            said = within(process.stdout.readline).decode().strip()
            assert said == f"serving {model_files.fingerprint(PARTS.tail)}"
            with Client(address, model_files.fingerprint(PARTS.tail)) as client:
                network = Split(PARTS, client, deadline=30)
                assert_right(within(network.run, {"x": inputs(5)}).outputs, inputs(5))
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "nowhere.onnx"], "cannot read the model"),
        (["--model", "FILE", "--listen", "here"], "expected an address"),
        (["--model", "FILE", "--takes", "-1"], "takes in seconds from 0"),
        (["--model", "FILE", "--head", "99"], "expected operators from 0 to"),
        (["--model", "FILE", "--head", "3"], "nothing comes after 3 operators"),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path, capsys, arguments, words):
    file = tmp_path / "tail.onnx"
    file.write_bytes(PARTS.tail)
    assert node.main([str(file) if a == "FILE" else a for a in arguments]) == 1
    said = capsys.readouterr().out
    assert words in said and said.count("\n") == 1


PARENT = """
import json, sys, time
from pathlib import Path
from edge_course.nodes.node import Node
if __name__ == "__main__":
    node = Node(Path(sys.argv[1]).read_bytes(), takes=float(sys.argv[2]))
    print(json.dumps([node.process.pid, node.address, node.model]), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("busy", [False, True])
def test_a_node_ends_when_its_parent_is_killed(tmp_path, busy):
    file, script = tmp_path / "tail.onnx", tmp_path / "parent.py"
    file.write_bytes(PARTS.tail)
    script.write_text(PARENT, encoding="utf-8")
    takes = 1e5 if busy else 0.0
    parent = subprocess.Popen(
        [sys.executable, str(script), str(file), str(takes)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    pid, address, model = json.loads(within(parent.stdout.readline))
    orphan = psutil.Process(pid)
    if busy:  # in the middle of a request that takes hours
        with Client(address, model) as client, pytest.raises(NodeError, match="within 1 s"):
            within(Split(PARTS, client, deadline=1).run, {"x": inputs(0)})
    assert orphan.is_running()
    parent.kill()
    parent.communicate()
    wait_until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
