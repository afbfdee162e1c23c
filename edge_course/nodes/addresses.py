"""Where the parts of a network run: on this machine, unless addresses are given."""

from __future__ import annotations

import os
import socket

VARIABLE = "EDGE_COURSE_NODES"


def addresses() -> list[str]:
    """Return the addresses of nodes on other machines; none of them unless they were given.

    They are given once, in the environment variable EDGE_COURSE_NODES, with commas between
    them: "tcp/192.168.1.20:7447,tcp/192.168.1.21:7447".

    Raises
    ------
    ValueError
        If one of them is no address.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    given = [part.strip() for part in os.environ.get(VARIABLE, "").split(",") if part.strip()]
    for address in given:
        check_address(address)
    return given


def host_and_port(address: str) -> tuple[str, int]:
    """Return host and port of an address such as "tcp/192.168.1.20:7447".

    Raises
    ------
    ValueError
        If it is none.
    """
    host, _, port = str(address).removeprefix("tcp/").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535 or not str(address).startswith("tcp/"):
        raise ValueError(f'expected an address such as "tcp/192.168.1.20:7447", got {address!r}')
    return host.strip("[]"), int(port)


def check_address(address: str) -> None:
    """Raise a ValueError if it is no address such as "tcp/192.168.1.20:7447"."""
    host_and_port(address)


def is_loopback(address: str) -> bool:
    """Return whether only this machine can connect to an address.

    Raises
    ------
    ValueError
        If it is none.
    """
    host, _ = host_and_port(address)
    return host in ("localhost", "::1") or host.startswith("127.")


def free_address() -> str:
    """Return an address on this machine on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"tcp/127.0.0.1:{listener.getsockname()[1]}"
