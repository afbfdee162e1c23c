"""What a service counts, in the text format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)  # fmt: skip
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

disable_created_metrics()  # the moment at which each counter began: twice the lines
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Meters:
    """The counters of one service.

    Parameters
    ----------
    waiting, inside : return how many requests wait, and how many wait or are computed.

    Attributes
    ----------
    requests : by ``outcome``: "answered", or the reason of a refusal.
    seconds : from the first byte to the answer, of those answered.
    batches : their sizes; each batch is one call of the runtime.
    content_type : of the text.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, waiting: Callable[[], int], inside: Callable[[], int]):
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory and processor time, on Linux
        made = {"namespace": "edge", "registry": self._registry}
        self.requests = Counter("requests", "Requests by outcome.", ["outcome"], **made)
        self.seconds = Histogram(
            "answer_seconds", "Seconds to an answer.", buckets=_SECONDS, **made
        )
        self.batches = Histogram("batch_size", "Inputs in a batch.", buckets=_SIZES, **made)
        Gauge("waiting", "Requests that wait.", **made).set_function(waiting)
        Gauge("inside", "Requests that wait or are computed.", **made).set_function(inside)

    def text(self) -> bytes:
        """Return all of them as text."""
        return generate_latest(self._registry)
