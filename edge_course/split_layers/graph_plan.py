"""Where to cut a network whose operators branch: by a minimum cut.

Seconds, bytes and bits per second, as in `chain_plan`. What these return is *modelled*.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import NamedTuple

from edge_course.cost_models import placement
from edge_course.split_layers import graph, max_flow
from edge_course.split_layers.chain_plan import check_numbers
from edge_course.split_layers.max_flow import Pipe


class Load(NamedTuple):
    """What a tensor costs if it crosses.

    Attributes
    ----------
    writer : the number of the operator that writes it; None for the network's input.
    readers : the numbers of the operators that read it.
    num_bytes : what is sent, once, if at least one reader is on the other machine.
    """

    writer: int | None
    readers: Collection[int]
    num_bytes: float


def loads(
    network: graph.Network, dtype: str = "float32", *, as_stored: int | None = None
) -> list[Load]:
    """Return what each tensor of a network costs if it crosses.

    Parameters
    ----------
    network : from `graph.read_graph`.
    dtype, as_stored : how tensors are sent, see `cut.crossing_bytes`.

    Raises
    ------
    ValueError
        If the dtype is another one.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    stored = as_stored is not None
    return [
        Load(
            network.writer(name),
            network.readers(name),
            as_stored if stored and name in network.inputs else tensor.wire_bytes(dtype),
        )
        for name, tensor in network.tensors.items()
        if network.readers(name)
    ]


class Plan(NamedTuple):
    """Which operators the device computes, and the seconds that it all takes.

    Attributes
    ----------
    head : numbers of the operators on the device.
    seconds : from the input to the answer, *modelled*.
    work : what finding it took.
    """

    head: frozenset[int]
    seconds: float
    work: max_flow.Effort


def best_plan(
    device: Sequence[float],
    server: Sequence[float],
    loads: Sequence[Load],
    bandwidth: float,
    rtt: float,
) -> Plan:
    """Return the best cut of a graph of operators, without listing all cuts.

    Hu et al. (2019), "Dynamic Adaptive DNN Surgery for Inference Acceleration on the Edge":
    a cut between source (device) and sink (server) costs what the pipes carry that it cuts.

    * source → operator: its seconds on the server; operator → sink: its seconds on the
      device. Wherever an operator goes, the cut pays for its time there.
    * operator → crossing → each reader: the tensor's seconds on the link, then infinite. With one
      reader or many on the server, the cut pays for the tensor once.
    * reader → writer, infinite: nothing comes back from the server.

    The round-trip time is the same for all cuts that use the link, and comes on top.

    Parameters
    ----------
    device, server : seconds of each of n operators on either.
    loads : the tensors; see `loads` for those of a network.
    bandwidth : bits per second, positive, possibly infinite.
    rtt : round-trip time in seconds.

    Raises
    ------
    ValueError
        If there is no such operator, the lengths differ, a number is NaN or negative, or the
        bandwidth is 0.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    check_numbers("seconds", device)
    check_numbers("seconds", server)
    count = len(device)
    if len(server) != count or not count:
        raise ValueError(f"expected the seconds of as many operators, got {count}, {len(server)}")
    round_trip = placement.transfer_time(0, bandwidth, rtt)
    pipes, source, sink = [], count, count + 1
    for n in range(count):
        pipes += [Pipe(source, n, float(server[n])), Pipe(n, sink, float(device[n]))]
    # Each tensor's crossing is a place of its own.
    for place, load in enumerate(loads, sink + 1):
        check_numbers("bytes", load.num_bytes)
        for n in {load.writer, *load.readers} - {None}:
            if n not in range(count):
                raise ValueError(f"expected operators from 0 to {count - 1}, got {n}")
        writer = source if load.writer is None else load.writer
        pipes.append(Pipe(writer, place, 8 * load.num_bytes / bandwidth))
        for reader in load.readers:
            pipes += [Pipe(place, reader, inf), Pipe(reader, writer, inf)]
    cut = max_flow.minimum_cut(sink + 1 + len(loads), pipes, source, sink)
    head, everything = frozenset(n for n in cut.side if n < count), frozenset(range(count))
    if cut.value + round_trip < sum(device) and head != everything:
        return Plan(head, cut.value + round_trip, cut.work)
    return Plan(everything, float(sum(device)), cut.work)


def bytes_across(num_bytes: Sequence[int], edges: Sequence[tuple[int, int]], head: set[int]) -> int:
    """Return the bytes that cross from some operators to all others.

    What an operator of the head writes crosses if at least one operator that is not in the head
    reads it: once, however many they are.

    Parameters
    ----------
    num_bytes : of what each of n operators writes.
    edges : pairs (writer, reader) of operators, which are called 0 to n − 1.
    head : the operators in the head.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    crossing = {writer for writer, reader in edges if writer in head and reader not in head}
    return sum(num_bytes[writer] for writer in crossing)


def least_seconds(
    device: Sequence[float],
    server: Sequence[float],
    num_bytes: Sequence[int],
    edges: Sequence[tuple[int, int]],
    bandwidth: float,
    rtt: float,
) -> float:
    """Return the least time in which device and server together compute a graph.

    By `best_plan`. To try all sets of operators on the device gives the same, in 2ⁿ steps:
    all sets that have, with each operator, those whose results it reads.

    Parameters
    ----------
    device, server : seconds of each of n operators on either.
    num_bytes : of what each writes. What only the device can do, such as taking the picture,
        is an operator whose seconds on the server are infinite.
    edges : pairs (writer, reader) of operators, which are called 0 to n − 1.
    bandwidth : bits per second.
    rtt : round-trip time in seconds, spent if the server computes at least one operator.

    Raises
    ------
    ValueError
        As `best_plan`.

    Taught in: notebooks/14_split_by_layers.ipynb
    """
    readers: dict[int, set[int]] = {}
    for writer, reader in edges:
        readers.setdefault(writer, set()).add(reader)
    tensors = [Load(writer, read, num_bytes[writer]) for writer, read in readers.items()]
    return best_plan(device, server, tensors, bandwidth, rtt).seconds
