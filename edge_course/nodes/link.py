"""An emulated link: a TCP proxy on this machine that is as slow as a link is.

Bytes that arrive at the proxy wait for those before them, take 8 · bytes / bandwidth to be put
on the link and half the round-trip time to travel; the same the other way. `Shaper` is that
arithmetic, without clock or socket; `Link` keeps to it with real bytes. It runs in user space:
on any system, without root.

What a `Link` does is *modelled*. Losses are the delay that sending again costs, as a program
sees them behind TCP: nothing is missing or in another order. An outage holds everything back,
as TCP does when it sends again. Not modelled: the headers of packets, TCP's slow start, its
drop in rate after losses, and others on the same link.

It runs in threads of this process, which wait nearly all the time. Measured, they keep the times
as well as a process of their own, unless this process computes in Python at the same time: then
whoever waits for the answer in it is late, too.
"""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import threading
import time
from dataclasses import dataclass
from math import inf, isfinite

from edge_course.nodes.addresses import host_and_port

PACKET = 1448  # bytes that an Ethernet frame carries for TCP, which losses come in
_CHUNK, _QUEUE, _PATIENCE = 65_536, 1024, 0.1


@dataclass(frozen=True)
class Profile:
    """What a link is like, in both directions.

    Attributes
    ----------
    bandwidth : **bits** per second, positive, possibly infinite.
    rtt : round-trip time in seconds: half of it is the way there, half the way back.
    jitter : seconds that a packet takes longer at most, evenly spread from 0.
    loss : share of packets that are lost and sent again, from 0 to below 1.
    resend : seconds until a lost packet is sent again, doubled each time it is lost again.
        0.2 is the shortest that Linux waits; the standard asks for 1 (RFC 6298).

    Raises
    ------
    ValueError
        If a number is NaN or out of these ranges.

    Taught in: notebooks/14_split_by_layers.ipynb
    """

    bandwidth: float = inf
    rtt: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    resend: float = 0.2

    def __post_init__(self):
        if not self.bandwidth > 0:
            raise ValueError(f"expected a positive bandwidth, got {self.bandwidth}")
        for name in ("rtt", "jitter", "resend"):
            if not (getattr(self, name) >= 0 and isfinite(getattr(self, name))):
                raise ValueError(f"expected {name} in seconds from 0, got {getattr(self, name)}")
        if not 0 <= self.loss < 1:
            raise ValueError(f"expected loss to be a share from 0 to below 1, got {self.loss}")


class Shaper:
    """One direction of a link: when what arrives at it comes out at the other end.

    Parameters
    ----------
    profile : what the link is like; may be set to another one at any time.
    seed : of jitter and losses.
    """

    def __init__(self, profile: Profile, seed: int = 0):
        self.profile = profile
        self._random = random.Random(seed)
        self._free = self._last = -inf

    def delivery(self, arrival: float, num_bytes: int) -> float:
        """Return when a packet comes out, in seconds on the clock of ``arrival``.

        It is put on the link once it has arrived and the one before is on it, and it comes out
        no earlier than the one before: max(arrival, free) + 8 · num_bytes / bandwidth + rtt / 2.

        Parameters
        ----------
        arrival : when it arrives, in seconds.
        num_bytes : its size.
        """
        profile = self.profile
        self._free = max(arrival, self._free) + 8 * num_bytes / profile.bandwidth
        wait = profile.resend
        due = self._free + profile.rtt / 2 + self._random.uniform(0, profile.jitter)
        while profile.loss and self._random.random() < profile.loss:
            due, wait = due + wait, 2 * wait
        self._last = max(due, self._last)
        return self._last


class Link:
    """A way to a server that is as slow as a link: connect to its `address` instead.

    ::

        with Link(server.address, Profile(bandwidth=10e6, rtt=0.02)) as link:
            ...  # connect to link.address
            link.profile = Profile(bandwidth=1e6, rtt=0.02)  # from now on slower
            link.cut()  # nothing passes any more …
            link.restore()  # … until now

    Parameters
    ----------
    target : where to forward to: "tcp/127.0.0.1:7447".
    profile : what the link is like; a perfect one if not given.
    seed : of jitter and losses.

    Attributes
    ----------
    address : where to connect to, on this machine only.
    bytes_up, bytes_down : bytes that came from clients and from the target so far.

    Raises
    ------
    ValueError
        If the target is no address.

    Taught in: notebooks/14_split_by_layers.ipynb
    """

    def __init__(self, target: str, profile: Profile | None = None, *, seed: int = 0):
        self._target = host_and_port(target)
        profile = profile or Profile()
        self._up, self._down = Shaper(profile, 2 * seed), Shaper(profile, 2 * seed + 1)
        self.bytes_up = self.bytes_down = 0
        self._whole, self._closed = threading.Event(), threading.Event()
        self._whole.set()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_PATIENCE)  # so that it sees when it is to end
        self.address = f"tcp/127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    @property
    def profile(self) -> Profile:
        """What the link is like; set it to change it while it is in use."""
        return self._up.profile

    @profile.setter
    def profile(self, profile: Profile) -> None:
        self._up.profile = self._down.profile = profile

    def cut(self) -> None:
        """Let nothing pass any more, in either direction. Connections stay open."""
        self._whole.clear()

    def restore(self) -> None:
        """Let pass again what waits and what comes."""
        self._whole.set()

    def disconnect(self) -> None:
        """Close all connections that pass; new ones can be made."""
        for end in list(self._sockets):
            self._drop(end)

    def close(self) -> None:
        """Close everything. What has not arrived yet never will."""
        self._closed.set()
        self._whole.set()
        self._listener.close()
        self.disconnect()
        for thread in self._threads:
            thread.join(timeout=5)

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _start(self, function, *arguments) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()  # as if there were no proxy: nobody is there
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.add(end)
            for source, sink, up in ((client, server, True), (server, client, False)):
                waiting = queue.Queue(_QUEUE)
                self._start(self._read, source, waiting, up)
                self._start(self._write, waiting, sink, self._up if up else self._down)

    def _read(self, source: socket.socket, waiting: queue.Queue, up: bool) -> None:
        """Note when bytes arrive, at once: they must not wait in the sender for ours."""
        data = b"first"
        while data and not self._closed.is_set():
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            arrival = time.perf_counter()
            if up:
                self.bytes_up += len(data)
            else:
                self.bytes_down += len(data)
            while not self._closed.is_set():
                with contextlib.suppress(queue.Full):
                    waiting.put((arrival, data), timeout=_PATIENCE)
                    break

    def _write(self, waiting: queue.Queue, sink: socket.socket, shaper: Shaper) -> None:
        """Hand bytes on when they are due; many at once if the clock is coarser than they."""
        while not self._closed.is_set():
            try:
                arrival, data = waiting.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
            ready = bytearray()
            for i in range(0, max(len(data), 1), PACKET):
                packet = data[i : i + PACKET]
                due = shaper.delivery(arrival, len(packet))
                if due > time.perf_counter() or not self._whole.is_set():
                    self._send(sink, ready)
                    ready = bytearray()
                    self._sleep_until(due)
                while not self._whole.is_set() and not self._closed.is_set():
                    self._whole.wait()
                    arrival = time.perf_counter()
                    self._sleep_until(shaper.delivery(arrival, len(packet)))
                ready += packet
            self._send(sink, ready)
            if not data:  # the sender has closed
                self._drop(sink)
                return

    def _sleep_until(self, due: float) -> None:
        while not self._closed.is_set() and (left := due - time.perf_counter()) > 0:
            time.sleep(min(left, _PATIENCE))  # unlike waiting for an event, exact on Windows too

    def _send(self, sink: socket.socket, data: bytearray) -> None:
        if data and not self._closed.is_set():
            try:
                sink.sendall(data)
            except OSError:
                self._drop(sink)

    def _drop(self, end: socket.socket) -> None:
        self._sockets.discard(end)
        with contextlib.suppress(OSError):  # it may be closed already
            end.shutdown(socket.SHUT_RDWR)
        end.close()
