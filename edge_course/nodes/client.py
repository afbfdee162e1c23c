"""The near end of a split network: head here, tail at a node, and what to do without the node.

::

    parts = cut.cut_model(model, head)
    with Node(parts.tail) as node, Link(node.address, Profile(10e6, 0.02)) as link:
        with Client(link.address, node.model) as client:
            network = Split(parts, client, fallback=model, deadline=0.5)
            answer = network.run({"pictures": x})
            answer.outputs["scores"], answer.by, answer.seconds, answer.error

What happens to a request (each ends in a `NodeError`, and that in the fallback's answer, marked):

no reply in time
    Nobody waits any longer than the deadline.
a late reply
    It is thrown away. Each request has a number of its own, and `Client` accepts only the reply
    that repeats it: a late one is never taken for the next.
an altered reply, or one of another model or for another cut
    It is refused, with what is wrong with it.
no node, or a connection that was lost
    The client connects again when it is asked the next time.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_course.nodes import addresses, wire
from edge_course.nodes.part import Part, cut_name
from edge_course.nodes.transport import KEY, NodeError, nobody, open_session
from edge_course.split_layers.cut import Parts

if TYPE_CHECKING:
    import zenoh

DECLARED_SECONDS = 0.5  # after connecting, until a node has said what it answers


class Client:
    """Asks a node, and accepts only its answer to this request, from this model, for this cut.

    It connects when it is first asked and again when the connection was lost.

    Parameters
    ----------
    address : of the node, or of a `Link` to it.
    model : `model_files.fingerprint` of the file that the node must serve.

    Raises
    ------
    ValueError
        If the address is none.

    Taught in: notebooks/14_split_by_layers.ipynb
    """

    def __init__(self, address: str, model: str):
        addresses.check_address(address)
        self.address, self.model = address, model
        self._numbers = itertools.count(secrets.randbits(31))
        self._session: zenoh.Session | None = None
        # zenoh may block while it connects or sends; a deadline has to hold all the same.
        self._thread = ThreadPoolExecutor(1)

    def request(
        self,
        tensors: Mapping[str, np.ndarray],
        *,
        deadline: float = 1.0,
        dtype: str = "float32",
    ) -> dict[str, np.ndarray]:
        """Return what the node makes of some tensors.

        Parameters
        ----------
        tensors : name → float32: what crosses the cut.
        deadline : seconds to wait at most, positive.
        dtype : of the numbers on the wire: "float32", "float16" or "int8".

        Returns
        -------
        dict[str, np.ndarray]
            float32 by name.

        Raises
        ------
        NodeError
            If there is no answer in time (a late one is thrown away), or one that cannot be
            used: altered, for another request, model or cut, or a failure.
        ValueError
            If the tensors cannot be sent, or the deadline is not positive.
        """
        if not 0 < deadline < float("inf"):
            raise ValueError(f"expected a deadline of some seconds, got {deadline}")
        end = time.perf_counter() + deadline
        number = next(self._numbers) % 2**32
        asked = wire.Message(
            "request", self.model, cut_name(tuple(tensors)), number, tensors, dtype
        )
        data = wire.encode(asked)
        future = self._thread.submit(self._ask, data, end)
        try:
            reply = future.result(timeout=max(0.0, end - time.perf_counter()))
        except TimeoutError:
            future.cancel()
            raise NodeError(self._late(deadline)) from None
        if reply is None:
            raise NodeError(self._late(deadline))
        return dict(self._accepted(reply, asked).tensors)

    def _ask(self, data: bytes, end: float) -> bytes | None:
        """Return the bytes of an answer, or None if there was none in time."""
        import zenoh

        connected_before = self._session is not None
        if not connected_before:
            self._session = open_session(connect=self.address)
        start, reply = time.perf_counter(), None
        while reply is None:
            left = end - time.perf_counter()
            if left <= 0:
                return None
            try:
                replies = self._session.get(KEY, payload=data, timeout=left, express=True)
                reply = next(iter(replies), None)
            except zenoh.ZError as error:
                raise NodeError(f"cannot ask the node at {self.address}: {error}") from None
            if connected_before or time.perf_counter() - start > DECLARED_SECONDS:
                break
            time.sleep(0.01)
        if reply is not None:
            answer = reply.result.payload.to_bytes()
            # "Timeout" is zenoh's own word for a deadline that has passed.
            return None if reply.err and answer == b"Timeout" else answer
        self._session.close()  # nobody is at its other end any more
        self._session = None
        if connected_before:  # perhaps somebody is there again: asking twice does no harm
            return self._ask(data, end)
        raise NodeError(nobody(self.address))

    def _late(self, deadline: float) -> str:
        return (
            f"no answer from {self.address} within {deadline:g} s: the node or the link is too "
            "slow, or gone"
        )

    def _accepted(self, data: bytes, asked: wire.Message) -> wire.Message:
        """Return the reply to exactly this request, or say what came instead."""
        try:
            reply = wire.decode(data)
        except wire.WireError as error:
            raise NodeError(f"the answer cannot be used: {error}") from None
        if reply.kind == "failure":
            raise NodeError(f"the node says: {reply.text}")
        for what in ("model", "cut", "request"):
            theirs, ours = getattr(reply, what), getattr(asked, what)
            if theirs != ours:
                raise NodeError(f"the answer is for another {what}: expected {ours}, got {theirs}")
        if reply.kind != "reply":
            raise NodeError(f"the answer is no reply but a {reply.kind}")
        return reply

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Answer(NamedTuple):
    """What a split network answers.

    Attributes
    ----------
    outputs : name → float32.
    by : "node", "fallback", or "device" if nothing was to be sent.
    seconds : "head", "away" (sending, computing there and the way back), "fallback" → seconds.
    error : why the fallback answered; empty if it did not.
    """

    outputs: dict[str, np.ndarray]
    by: str
    seconds: dict[str, float]
    error: str = ""


class Split:
    """A network whose head runs here and whose tail runs at a node.

    Parameters
    ----------
    parts : head and tail, from `cut.cut_model`. Without a head everything is at the node, without a
        tail everything is here.
    client : asks the node that serves the tail; None if there is no tail.
    fallback : what answers when the node does not: a model that takes the network's own input
        (the whole network), or what crosses the cut (the tail, or an early exit); or a `Part`
        of one. None: then the error is raised.
    deadline : seconds to wait for the node.
    dtype : of the numbers on the wire: "float32", "float16" or "int8".
    takes : seconds that every run of the head takes, see `Part`.

    Raises
    ------
    ModelError
        If head or fallback is not such a model.
    ValueError
        If there is a tail but no client.

    Taught in: notebooks/14_split_by_layers.ipynb
    """

    def __init__(
        self,
        parts: Parts,
        client: Client | None,
        *,
        fallback: Part | bytes | str | os.PathLike | None = None,
        deadline: float = 1.0,
        dtype: str = "float32",
        takes: float = 0.0,
    ):
        if parts.tail is not None and client is None:
            raise ValueError("expected a client, to ask the node that serves the tail; got None")
        self._head = None if parts.head is None else Part(parts.head, takes=takes)
        self._crossing = parts.crossing if parts.tail is not None else ()
        if fallback is not None and not isinstance(fallback, Part):
            fallback = Part(fallback)
        self._fallback = fallback
        self._client, self.deadline, self.dtype = client, deadline, dtype

    def run(self, tensors: Mapping[str, np.ndarray]) -> Answer:
        """Return the network's answer and who gave it.

        Parameters
        ----------
        tensors : the network's inputs: name → float32.

        Raises
        ------
        NodeError
            If the node does not answer as it should and there is no fallback.
        ModelError
            If the head or the fallback cannot run on these inputs.
        """
        begin = time.perf_counter()
        known = dict(tensors)
        outputs = {} if self._head is None else self._head.run(known)
        known |= outputs
        seconds = {"head": time.perf_counter() - begin}
        if not self._crossing:
            return Answer(outputs, "device", seconds)
        crossing = {name: known[name] for name in self._crossing}
        begin = time.perf_counter()
        try:
            reply = self._client.request(crossing, deadline=self.deadline, dtype=self.dtype)
        except NodeError as error:
            seconds["away"] = time.perf_counter() - begin
            if self._fallback is None:
                raise
            begin = time.perf_counter()
            outputs = self._fallback.run(known)
            seconds["fallback"] = time.perf_counter() - begin
            return Answer(outputs, "fallback", seconds, str(error))
        seconds["away"] = time.perf_counter() - begin
        # The head may have written some of the network's outputs already.
        outputs = {name: x for name, x in outputs.items() if name not in crossing}
        return Answer(outputs | reply, "node", seconds)
