"""The application, asked by the library's own test client: answers, refusals, health, metrics."""

import json
import re

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from edge_course import data, fashion_mnist
from edge_course.runtimes import litert
from edge_course.runtimes.model_files import fingerprint
from edge_course.service.app import build_app
from edge_course.service.intake import encode_input
from edge_course.service.model_slot import ModelSlot
from edge_course.service.settings import Settings
from tests.support.effort import effort
from tests.support.malformed import malformed

FILE = data.read("compressed_20.tflite")
PICTURES = fashion_mnist.preprocess(fashion_mnist.load("test").images[:50])
SCORES = litert.Runner(FILE).scores(PICTURES)


@pytest.fixture
def slot():
    return ModelSlot(FILE)


@pytest.fixture
def client(slot):
    with TestClient(build_app(slot, Settings(batch=1, deadline=20.0))) as client:
        yield client


def metrics(client) -> dict[str, float]:
    """What is counted: name and labels → number."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {s.name + "".join(s.labels.values()): s.value for f in families for s in f.samples}


def test_answers_are_what_the_runtime_computes(client):
    for x, scores in zip(PICTURES, SCORES, strict=True):
        response = client.post("/predict", content=encode_input(x))
        assert response.status_code == 200
        answer = response.json()
        np.testing.assert_array_equal(np.float32(answer["scores"]), scores)
        assert answer["class"] == scores.argmax() and answer["model"] == fingerprint(FILE)


def test_malformed_requests_never_reach_the_runtime(client):
    cases = malformed(PICTURES[0], effort(300, 5000), seed=2)
    for body, reasons in cases:
        response = client.post("/predict", content=body)
        assert 400 <= response.status_code < 500, response.text
        said = response.json()
        assert set(said) == {"error", "detail"} and said["error"] in reasons, (said, reasons)
        assert 0 < len(said["detail"]) < 500 and "Traceback" not in said["detail"]
    counted = metrics(client)
    assert counted["edge_batch_size_count"] == 0
    refused = sum(v for k, v in counted.items() if k.startswith("edge_requests_total"))
    assert refused == len(cases)


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/predict", 405, "method_not_allowed"),
        ("PUT", "/predict", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("POST", "/predict/../..//etc", 404, "not_found"),
    ],
)
def test_other_addresses_are_refused_alike(client, method, path, status, error):
    response = client.request(method, path)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert "POST /predict" in response.json()["detail"]


def test_health_says_what_is_served(client, slot):
    assert client.get("/health").json() == {
        "status": "ok", "model": fingerprint(FILE), "input": ["float32", 28, 28, 1], "waiting": 0,
    }  # fmt: skip
    other = data.read("seed_cnn_int8.tflite")
    slot.swap(other)
    assert client.get("/health").json()["model"] == fingerprint(other)
    answer = client.post("/predict", content=encode_input(PICTURES[0])).json()
    assert answer["model"] == fingerprint(other)


def test_prometheus_own_parser_reads_what_is_counted(client):
    for _ in range(3):
        client.post("/predict", content=encode_input(PICTURES[0]))
    client.post("/predict", content=b"nonsense")
    client.post("/predict", content=bytes(10_000))
    counted = metrics(client)
    assert counted["edge_requests_totalanswered"] == 3
    assert counted["edge_requests_totalnot_npy"] == counted["edge_requests_totaltoo_long"] == 1
    assert counted["edge_batch_size_count"] == counted["edge_batch_size_sum"] == 3
    assert counted["edge_answer_seconds_count"] == 3
    assert counted["edge_inside"] == counted["edge_waiting"] == 0
    content_type = client.get("/metrics").headers["content-type"]
    assert re.match(r"text/plain; version=\d", content_type)


@pytest.fixture
def broken(slot, monkeypatch):
    def run(x):
        raise ValueError("broken")

    monkeypatch.setattr(slot, "run", run)
    with TestClient(build_app(slot, Settings())) as client:
        yield client


def test_a_failure_of_the_model_is_a_500_and_the_service_goes_on(broken):
    for _ in range(3):
        response = broken.post("/predict", content=encode_input(PICTURES[0]))
        assert response.status_code == 500
        assert json.loads(response.text)["error"] == "failed"
    assert metrics(broken)["edge_requests_totalfailed"] == 3
    assert broken.get("/health").status_code == 200


def test_who_comes_after_the_end_is_told_so(slot):
    app = build_app(slot, Settings())
    with TestClient(app) as client:
        assert client.get("/health").status_code == 200
    late = TestClient(app)  # the application has stopped
    response = late.post("/predict", content=encode_input(PICTURES[0]))
    assert (response.status_code, response.json()["error"]) == (503, "stopping")
    assert response.headers["retry-after"] == "1"
    health = late.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "stopping")
