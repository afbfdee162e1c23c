"""How nodes talk: sessions of zenoh that connect to one address and look for nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edge_course.nodes import wire

if TYPE_CHECKING:
    import zenoh

KEY = "edge_course/part"  # what a part of a network is asked under


class NodeError(RuntimeError):
    """A node cannot be started, does not answer in time, or answers what cannot be used."""


def open_session(*, listen: str | None = None, connect: str | None = None) -> zenoh.Session:
    """Return a zenoh session: of a server, which listens, or of a client, which connects.

    Nobody is looked for (no multicast, no gossip): only the given address counts. Shared
    memory is off: by default zenoh hands larger messages between two processes of one machine
    through memory, past every socket, and so past an emulated link.

    Parameters
    ----------
    listen, connect : one of the two, an address such as "tcp/127.0.0.1:7447".

    Raises
    ------
    NodeError
        If the address is taken, or nobody listens there.
    """
    import zenoh

    config = zenoh.Config()
    settings = {
        "mode": "peer" if listen else "client",
        "listen/endpoints": [listen] if listen else [],
        "connect/endpoints": [connect] if connect else [],
        "connect/retry": {"period_init_ms": 100, "period_max_ms": 1000},
        "scouting/multicast/enabled": False,
        "scouting/gossip/enabled": False,
        "transport/shared_memory/enabled": False,
        "transport/link/rx/max_message_size": wire.MAX_BYTES + 65_536,
    }
    for key, value in settings.items():
        config.insert_json5(key, json.dumps(value))
    try:
        return zenoh.open(config)
    except zenoh.ZError as error:
        if connect:
            raise NodeError(nobody(connect)) from None
        said = str(error).split(" at /")[0].strip()  # without the place in zenoh's source
        raise NodeError(f"cannot listen on {listen}: {said}") from None


def nobody(address: str) -> str:
    """Return what to say when there is no answer, not even a late one."""
    return f"nobody answers at {address}: the node or the way to it is gone"
