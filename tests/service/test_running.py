"""Real services in processes of their own: under load, overloaded, exchanged, stopped, killed."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_course import data, fashion_mnist
from edge_course.runtimes import litert
from edge_course.runtimes.model_files import ModelError, fingerprint
from edge_course.service.client import ServiceError, fetch, predict
from edge_course.service.intake import encode_input
from edge_course.service.load import Exchanges, closed_loop, open_loop
from edge_course.service.queueing import longest_line
from edge_course.service.running import Service
from edge_course.service.settings import Settings
from tests.support.effort import effort
from tests.support.malformed import malformed

FILES = [data.read(f"{name}.tflite") for name in ("compressed_20", "seed_cnn_int8")]
PICTURES = fashion_mnist.preprocess(fashion_mnist.load("test").images[:500])
SCORES = {fingerprint(file): litert.Runner(file).scores(PICTURES) for file in FILES}
BODIES = [encode_input(x) for x in PICTURES]
PATIENT = Settings(deadline=30.0, waiting=1000)  # on a machine that does other things too


@pytest.fixture(scope="module")
def service():
    with Service(FILES[0], PATIENT) as service:
        yield service


def wrong(found: Exchanges) -> int:
    """How many of the answers differ from what the network that gave them computes here."""
    numbers = found.bodies[found.answered]
    return sum(
        not np.array_equal(np.float32(answer["scores"]), SCORES[answer["model"]][i])
        for answer, i in zip(found.answers(), numbers, strict=True)
    )


def counted(service: Service) -> dict[str, float]:
    text = fetch(service.url, "GET", "/metrics").decode()
    families = text_string_to_metric_families(text)
    return {s.name + "".join(s.labels.values()): s.value for f in families for s in f.samples}


def test_many_requests_none_wrong_none_lost_and_memory_stays(service):
    process = psutil.Process(service.pid)
    warm = closed_loop([service.url], BODIES, clients=32, requests=effort(2000, 4000))
    before = process.memory_info().rss
    found = closed_loop([service.url], BODIES, clients=32, requests=effort(4000, 20_000))
    growth = process.memory_info().rss - before
    assert warm.answered.all() and found.answered.all() and found.lost == 0
    assert wrong(found) == 0
    assert growth < 5e6, growth


def test_malformed_requests_get_a_4xx_each_and_none_reaches_the_runtime(service):
    bodies = [body for body, _ in malformed(PICTURES[0], effort(500, 2000), seed=3)]
    before = counted(service)
    found = closed_loop([service.url], bodies, clients=8, requests=len(bodies))
    after = counted(service)
    assert ((found.status >= 400) & (found.status < 500)).all(), np.unique(found.status)
    assert all(set(json.loads(content)) == {"error", "detail"} for content in found.content)
    assert after["edge_batch_size_count"] == before["edge_batch_size_count"]
    assert predict(service.url, PICTURES[0])["model"] == fingerprint(FILES[0])


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000,
        b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
    ],
)
def test_what_is_no_http_is_refused_and_hung_up_on(service, said):
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as talk:
        talk.sendall(said)
        if not said.endswith(b"\n") and len(said) < 100:
            talk.shutdown(socket.SHUT_WR)  # it may wait for the rest, until nothing more can come
        reply = b""
        while more := talk.recv(1000):
            reply += more
    if reply:
        head, content = reply.split(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and json.loads(content)["error"] == "not_http"
    assert fetch(service.url, "GET", "/health")


def test_a_body_that_never_comes_is_given_up():
    with Service(FILES[0], Settings(deadline=0.3)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as talk:
            talk.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            assert talk.recv(1000).startswith(b"HTTP/1.1 408")
        assert predict(service.url, PICTURES[0])


def test_too_much_is_refused_and_what_is_accepted_is_in_time():
    """Five times what it can: a device that takes 20 ms for a picture, 250 pictures a second."""
    takes, deadline = 0.02, 1.0
    line = longest_line(deadline, takes) // 2  # half of what could wait: this machine is busy too
    settings = Settings(batch=1, waiting=line, deadline=deadline, takes=takes)
    with Service(FILES[0], settings) as service:
        seconds = effort(4, 20)
        found = open_loop([service.url], BODIES, rate=5 / takes, seconds=seconds, seed=4)
        after = counted(service)
    accepted = found.answered
    assert set(np.unique(found.status)) == {200, 503} and wrong(found) == 0
    # By the service's clock: this process, too, is kept waiting when the machine is busy.
    assert after[f"edge_answer_seconds_bucket{deadline}"] >= 0.99 * accepted.sum()
    assert accepted.sum() < 0.35 * len(accepted)  # a fifth, and those that wait at the end
    reasons = {json.loads(found.content[i])["error"] for i in np.flatnonzero(~accepted)}
    assert "full" in reasons <= {"full", "late"}
    assert after["edge_requests_totalanswered"] == accepted.sum() == after["edge_batch_size_sum"]


def test_a_model_is_exchanged_under_load_and_nothing_is_lost_or_wrong():
    with Service(FILES[0], PATIENT) as service:
        done, loads = threading.Event(), []

        def load():
            while not done.is_set():
                loads.append(closed_loop([service.url], BODIES, clients=16, requests=500))

        loading = threading.Thread(target=load)
        loading.start()
        for i in range(effort(20, 50)):
            file = FILES[(i + 1) % 2]
            assert service.swap(file) == fingerprint(file)
            time.sleep(0.05)
        done.set()
        loading.join()
    assert all(found.answered.all() and wrong(found) == 0 for found in loads)
    assert {a["model"] for found in loads for a in found.answers()} == set(SCORES)


def test_a_bad_file_is_refused_and_the_old_one_serves_on(service):
    for bad, words in (
        (b"", "not a TFLite model"),
        (FILES[1][:9000], "cannot load"),
        ("no_such_file.tflite", "cannot read the model"),
    ):
        with pytest.raises(ModelError, match=words):
            service.swap(bad)
        assert predict(service.url, PICTURES[0])["model"] == fingerprint(FILES[0])


def test_killed_in_the_middle_the_client_gets_one_clear_error():
    with Service(FILES[0], Settings(takes=20.0, deadline=30.0)) as service:
        threading.Timer(0.5, service.kill).start()
        begin = time.monotonic()
        with pytest.raises(ServiceError, match="is gone") as error:
            predict(service.url, PICTURES[0])
        assert (error.value.status, error.value.reason) == (0, "lost")
        assert time.monotonic() - begin < 15  # at once, not when an answer would have come
        with pytest.raises(ServiceError, match=r"Connection(Refused|Reset)"):
            predict(service.url, PICTURES[0])
        with pytest.raises(ModelError, match="has ended"):
            service.swap(FILES[1])


def test_who_hangs_up_while_waiting_is_not_computed():
    with Service(FILES[0], Settings(batch=1, takes=0.3, deadline=20.0)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODIES[0])}\r\n\r\n"
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=20) as talk:
                talk.sendall(head.encode() + BODIES[0])
        predict(service.url, PICTURES[0])
        after = counted(service)
    assert after["edge_requests_totalgone"] + after["edge_requests_totalanswered"] == 6
    assert after["edge_batch_size_sum"] <= 3  # the first, if it was seen, and the last


def test_it_stops_when_it_has_answered_those_who_are_inside():
    with Service(FILES[0], Settings(batch=1, takes=0.2, deadline=20.0)) as service:
        found = []

        def load():
            found.append(closed_loop([service.url], BODIES, clients=5, requests=5))

        asking = threading.Thread(target=load)
        asking.start()
        while json.loads(fetch(service.url, "GET", "/health"))["waiting"] < 3:
            time.sleep(0.01)
        service.close()
        asking.join()
    assert found[0].answered.all() and wrong(found[0]) == 0
    with pytest.raises(ServiceError):
        fetch(service.url, "GET", "/health")


def test_it_listens_on_this_machine_only_and_ends_with_it():
    with Service(FILES[0]) as service:
        process = psutil.Process(service.pid)
        listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
        assert [c.laddr.ip for c in listening] == ["127.0.0.1"]
        assert service.url == f"http://127.0.0.1:{listening[0].laddr.port}"
    assert not process.is_running()


@pytest.mark.skipif(psutil.WINDOWS, reason="a signal cannot be sent there")
def test_an_interrupted_cell_is_not_its_end(service):
    psutil.Process(service.pid).send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert predict(service.url, PICTURES[0])["class"] == 9


PARENT = """
import os, sys
from edge_course.service.running import Service
service = Service(sys.argv[1])
print(service.pid, flush=True)
os._exit(1)  # nothing is cleaned up
"""


def test_it_ends_when_whoever_started_it_is_gone():
    path = str(data.FOLDER / "compressed_20.tflite")
    command = [sys.executable, "-c", PARENT, path]
    pid = int(subprocess.run(command, capture_output=True, text=True).stdout)
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(20)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("model", "words"),
    [(b"nonsense" * 9, "not a TFLite model"), (b"", "not a TFLite model")],
)
def test_what_is_no_model_does_not_start(model, words):
    with pytest.raises(ModelError, match=words):
        Service(model)


def command(*options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "edge_course.service.running", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip


@pytest.mark.skipif(psutil.WINDOWS, reason="a signal cannot be sent there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_a_command_it_serves_until_it_is_told_to_stop(number):
    path = str(data.FOLDER / "compressed_20.tflite")
    process = command("--model", path, "--batch", "4", "--deadline", "20")
    url = process.stdout.readline().removeprefix("serving ").strip()
    answer = predict(url, PICTURES[0])
    np.testing.assert_array_equal(np.float32(answer["scores"]), SCORES[answer["model"]][0])
    process.send_signal(number)
    said, complaints = process.communicate(timeout=20)
    assert process.returncode in (0, -number)  # the library passes it on when all is done
    assert not said and "Traceback" not in complaints


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "no_such_file.tflite"], "cannot read the model no_such_file.tflite"),
        (["--model", "-", "--batch", "0"], "batch: expected"),
        (["--model", str(data.FOLDER / "compressed_20.tflite"), "--port", "65536"], "0-65535"),
    ],
)
def test_as_a_command_it_says_what_is_wrong(options, words):
    process = command(*options)
    said, _ = process.communicate()
    assert process.returncode == 1 and words in said and "Traceback" not in said
