"""Is the emulated link as slow as its formula says, and as the kernel's own emulation is?

::

    python -m edge_course.nodes.link_check

sends messages through an emulated link and prints predicted beside measured times; on Linux, as
root, the same through netem, the kernel's emulation, in a network namespace of its own. Where
that cannot be done, it says why.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge_course.cost_models.placement import transfer_time
from edge_course.nodes import addresses
from edge_course.nodes.link import Link, Profile

BANDWIDTHS = (1e6, 3e6, 1e7, 3e7, 1e8)  # bits per second
SIZES = (1_000, 20_000, 100_000)  # bytes
RTT = 0.02
_HERE, _THERE = "10.203.77.1", "10.203.77.2"


class UnavailableError(RuntimeError):
    """The kernel's emulation cannot be used here; the message says why."""


class Transfer(NamedTuple):
    """One message and its short answer: seconds by the formula, and measured (median)."""

    num_bytes: int
    bandwidth: float
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """How far the measured time is from the predicted one, as a share of that."""
        return self.measured / self.predicted - 1

    def __str__(self) -> str:
        return (
            f"{self.num_bytes:>9,} bytes {self.bandwidth / 1e6:>6g} Mbit/s "
            f"{1e3 * self.predicted:>9.1f} ms {1e3 * self.measured:>9.1f} ms {self.error:>+7.1%}"
        )


class Acknowledger:
    """A server that answers each message, which begins with its length, with one byte."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0):
        self._listener = socket.create_server((host, port))
        self.address = f"tcp/{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError, EOFError):
            while True:
                _read(connection, int.from_bytes(_read(connection, 8), "little"))
                connection.sendall(b"!")

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def measure(
    address: str, change: Callable[[float], None], *, rounds: int = 5
) -> Iterator[Transfer]:
    """Send messages of several sizes at several bandwidths and yield what it took.

    Parameters
    ----------
    address : of an `Acknowledger`, or of a link to one.
    change : called with a bandwidth in bits per second: makes the link that fast.
    rounds : messages of each kind, of which the median counts.
    """
    client = socket.create_connection(addresses.host_and_port(address), timeout=60)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client:
        for bandwidth in BANDWIDTHS:
            change(bandwidth)
            for size in SIZES:
                message, seconds = size.to_bytes(8, "little") + bytes(size), []
                for _ in range(rounds):
                    begin = time.perf_counter()
                    client.sendall(message)
                    _read(client, 1)
                    seconds.append(time.perf_counter() - begin)
                predicted = transfer_time(len(message) + 1, bandwidth, RTT)
                yield Transfer(size, bandwidth, predicted, float(np.median(seconds)))


def through_link(*, rounds: int = 5) -> Iterator[Transfer]:
    """Measure the emulated link, see `measure`."""
    with contextlib.closing(Acknowledger()) as server, Link(server.address) as link:

        def change(bandwidth: float) -> None:
            link.profile = Profile(bandwidth, RTT)

        yield from measure(link.address, change, rounds=rounds)


def through_kernel(*, rounds: int = 5) -> Iterator[Transfer]:
    """Measure netem, the kernel's emulation, in a network namespace of its own.

    Linux with root only. Nothing of the machine's own network is changed, and the namespace is
    removed at the end.

    Raises
    ------
    UnavailableError
        If it cannot be done here; the message says why.
    """
    with _namespace() as (inside, device), contextlib.ExitStack() as stack:

        def change(bandwidth: float) -> None:
            shape = ["netem", "delay", f"{RTT / 2 * 1e6:.0f}us", "rate", f"{bandwidth:.0f}bit"]
            for prefix, end in (([], device), (inside, "inside")):
                _do([*prefix, "tc", "qdisc", "replace", "dev", end, "root", *shape])

        change(BANDWIDTHS[0])  # says that it cannot, before a server is started
        serve = [*inside, sys.executable, "-m", "edge_course.nodes.link_check", "--serve", _THERE]
        server = stack.enter_context(
            subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        stack.callback(server.kill)
        yield from measure(server.stdout.readline().decode().strip(), change, rounds=rounds)


@contextlib.contextmanager
def _namespace() -> Iterator[tuple[list[str], str]]:
    """Make a namespace with a cable into it; give the prefix of commands in it, and our end."""
    if not sys.platform.startswith("linux"):
        raise UnavailableError("netem is a part of Linux; this is another system")
    if os.geteuid() != 0:
        raise UnavailableError("only root may make a network namespace")
    if missing := [tool for tool in ("ip", "tc") if shutil.which(tool) is None]:
        raise UnavailableError(f"the command {missing[0]} is not installed (package iproute2)")
    name, device = f"edge{os.getpid()}", f"edge{os.getpid()}"
    inside = ["ip", "netns", "exec", name]
    _do(["ip", "netns", "add", name])
    try:
        _do(["ip", "link", "add", device, "type", "veth", "peer", "inside", "netns", name])
        _do(["ip", "address", "add", f"{_HERE}/30", "dev", device])
        _do(["ip", "link", "set", device, "up"])
        _do([*inside, "ip", "address", "add", f"{_THERE}/30", "dev", "inside"])
        _do([*inside, "ip", "link", "set", "inside", "up"])
        yield inside, device
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _do(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UnavailableError(f"`{' '.join(command)}` says: {said}")


def _print(title: str, transfers: Iterator[Transfer]) -> None:
    found, first = [], next(transfers)  # which may say that it cannot be done
    print(f"\n{title}, round-trip time {1e3 * RTT:g} ms\n{'predicted':>38} {'measured':>12}")
    for transfer in itertools.chain([first], transfers):
        found.append(abs(transfer.error))
        print(transfer, flush=True)
    print(f"median error {np.median(found):.1%}")


def main(arguments: list[str] | None = None) -> int:
    """Print predicted and measured times of both emulations, or why one could not be used."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.nodes.link_check", description=main.__doc__
    )
    parser.add_argument("--serve", metavar="HOST", help="only answer: the check starts this itself")
    if (host := parser.parse_args(arguments).serve) is not None:
        print(Acknowledger(host).address, flush=True)
        sys.stdin.read()  # until whoever started this is gone
        return 0
    _print("Emulated link", through_link())
    try:
        _print("Kernel (netem)", through_kernel())
    except UnavailableError as error:
        print(f"\nKernel (netem): not run. {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
