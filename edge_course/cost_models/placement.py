"""Where to compute: on the device, on an edge node nearby, or in the cloud.

Latency, break-even, queues and availability as small formulas. Units are seconds, bytes and
bits per second throughout. What these return is *modelled*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import NamedTuple

import numpy as np

LIGHT = 299_792_458.0  # metres per second in vacuum, exact by the definition of the metre
FIBRE_INDEX = 1.468  # light in glass fibre is slower by this: Corning SMF-28 product information


def _check(**numbers: float | np.ndarray) -> None:
    """Raise a ValueError if a number, or one in an array, is negative or NaN."""
    for name, value in numbers.items():
        if not np.all(np.asarray(value) >= 0):  # NaN is not >= 0 either
            raise ValueError(f"expected {name} to be a number from 0, got {value}")


def _check_positive(**numbers: float | np.ndarray) -> None:
    for name, value in numbers.items():
        if not np.all(np.asarray(value) > 0):
            raise ValueError(f"expected {name} to be a positive number, got {value}")


def transfer_time(num_bytes: float, bandwidth: float, rtt: float) -> float:
    """Return the seconds from sending a message to having its short answer, without computing.

    rtt + 8 · num_bytes / bandwidth. The answer is taken to be so short that only its way
    counts, and that is in the round-trip time.

    Parameters
    ----------
    num_bytes : bytes to send, at least 0; a number or an array.
    bandwidth : **bits** per second, positive, possibly infinite; a number or an array.
    rtt : round-trip time, the seconds there and back, at least 0; a number or an array.

    Raises
    ------
    ValueError
        If a number is NaN or negative, or the bandwidth is 0.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    _check(num_bytes=num_bytes, rtt=rtt)
    _check_positive(bandwidth=bandwidth)
    return rtt + 8 * num_bytes / bandwidth


def light_rtt(metres: float) -> float:
    """Return the shortest possible round-trip time over so many metres of glass fibre, in seconds.

    2 · metres · n / c, with n the fibre's index of refraction and c the speed of light.

    Raises
    ------
    ValueError
        If the distance is NaN or negative.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    _check(metres=metres)
    return 2 * metres * FIBRE_INDEX / LIGHT


def break_even_bandwidth(
    num_bytes: float, local_seconds: float, remote_seconds: float, rtt: float
) -> float:
    """Return the bandwidth from which on sending data away is faster than computing here.

    Solves rtt + 8 · num_bytes / bandwidth + remote_seconds = local_seconds for the bandwidth.

    Parameters
    ----------
    num_bytes : bytes to send, at least 0.
    local_seconds : time to compute here, at least 0.
    remote_seconds : time to wait and to compute there, at least 0.
    rtt : round-trip time in seconds, at least 0.

    Returns
    -------
    float
        Bits per second; infinity if no bandwidth is enough, because waiting and computing
        there already take as long as computing here, or longer.

    Raises
    ------
    ValueError
        If a number is NaN or negative.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    _check(num_bytes=num_bytes, local_seconds=local_seconds, remote_seconds=remote_seconds, rtt=rtt)
    left_for_sending = local_seconds - remote_seconds - rtt
    if left_for_sending <= 0:
        return inf
    return 8 * num_bytes / left_for_sending


def queue_wait(arrival_rate: float, service_seconds: float) -> float:
    """Return the mean time a request waits before a shared machine begins with it.

    ρ · s / (1 − ρ) with ρ = λ · s, the share of time the machine is busy: the M/M/1 queue
    (Kleinrock 1975, "Queueing Systems, Volume 1: Theory"). *Modelled*: requests arrive
    independently of each other, service times are exponentially distributed, one machine
    serves them one after another.

    Parameters
    ----------
    arrival_rate : λ, requests per second, at least 0.
    service_seconds : s, mean seconds to serve one request, at least 0.

    Returns
    -------
    float
        Mean seconds in the queue, without the service itself; infinity if requests come as
        fast as they can be served, or faster: then the queue grows without end.

    Raises
    ------
    ValueError
        If a number is NaN or negative.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    _check(arrival_rate=arrival_rate, service_seconds=service_seconds)
    busy = arrival_rate * service_seconds
    if busy >= 1:
        return inf
    return busy * service_seconds / (1 - busy)


def waits(gaps: np.ndarray, services: np.ndarray) -> np.ndarray:
    """Return how long each request waits at one machine that serves in order of arrival.

    Lindley (1952), "The theory of queues with a single server": the wait is the previous
    one, plus the previous service, minus the gap between the two arrivals, and never below 0.

    Parameters
    ----------
    gaps : seconds since the previous arrival, shape (n,); the first one does not matter.
    services : seconds that each request takes, shape (n,).

    Returns
    -------
    np.ndarray
        float64, shape (n,), seconds. The first request does not wait.

    Raises
    ------
    ValueError
        If a time is NaN or negative, or the shapes are not the same (n,) with n from 1.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    gaps, services = np.asarray(gaps, np.float64), np.asarray(services, np.float64)
    if gaps.ndim != 1 or gaps.shape != services.shape or not gaps.size:
        raise ValueError(
            f"expected gaps and services of one shape (n,), got {gaps.shape} and {services.shape}"
        )
    _check(gaps=gaps, services=services)
    backlog = np.concatenate([[0.0], np.cumsum(services[:-1] - gaps[1:])])
    # "Never below 0", over and over, is the height above the lowest point so far.
    return backlog - np.minimum.accumulate(backlog)


@dataclass(frozen=True)
class Place:
    """Somewhere a network could run, and how to get there.

    Attributes
    ----------
    name : what it is called.
    macs_per_second : how fast it computes, positive.
    bandwidth : of the link to it, in bits per second; infinite if the data is there already.
    rtt : round-trip time of the link in seconds; a number or an array.
    busy : share of time, from 0 to below 1, in which it works for others.

    Raises
    ------
    ValueError
        If a number is NaN or out of these ranges.

    Taught in: notebooks/01_why_the_edge.ipynb
    """

    name: str
    macs_per_second: float
    bandwidth: float | np.ndarray = inf
    rtt: float | np.ndarray = 0.0
    busy: float = 0.0

    def __post_init__(self):
        _check_positive(macs_per_second=self.macs_per_second, bandwidth=self.bandwidth)
        _check(rtt=self.rtt, busy=self.busy)
        if self.busy >= 1:
            raise ValueError(f"expected busy to be a share from 0 to below 1, got {self.busy}")


class ModelledLatency(NamedTuple):
    """Where the time goes: seconds to compute, to transfer and in the queue."""

    compute: float | np.ndarray
    transfer: float | np.ndarray
    queue: float | np.ndarray

    @property
    def total(self) -> float | np.ndarray:
        """The sum of the three, in seconds."""
        return self.compute + self.transfer + self.queue


def modelled_latency(place: Place, macs: float, num_bytes: float) -> ModelledLatency:
    """Return how long a place takes from having the data to having the answer at the device.

    Compute + transfer + queue, where the queue is that of `queue_wait`.

    Parameters
    ----------
    place : where to compute.
    macs : multiply-accumulates of the task, at least 0; a number or an array.
    num_bytes : bytes to send there, at least 0; a number or an array.

    Raises
    ------
    ValueError
        If a number is NaN or negative.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    _check(macs=macs)
    compute = macs / place.macs_per_second
    queue = compute * place.busy / (1 - place.busy)
    return ModelledLatency(compute, transfer_time(num_bytes, place.bandwidth, place.rtt), queue)


def fastest(places: Sequence[Place], macs: float, num_bytes: float) -> np.ndarray:
    """Return the index of the place with the least latency; of equals, the first.

    Parameters
    ----------
    places : at least one; their bandwidths and round-trip times may be arrays.
    macs, num_bytes : the task, as for `modelled_latency`; arrays are combined by broadcasting.

    Returns
    -------
    np.ndarray
        int64, of the shape to which all arrays broadcast; shape () for numbers.

    Raises
    ------
    ValueError
        If there is no place, or a number is NaN or negative.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    if not places:
        raise ValueError("expected at least one place to choose from, got none")
    totals = np.broadcast_arrays(
        *(modelled_latency(place, macs, num_bytes).total for place in places)
    )
    return np.argmin(totals, axis=0)


def chain_availability(availabilities: Sequence[float]) -> float:
    """Return the share of time in which every link of a chain works.

    The product of the shares: right if the links fail independently of each other.

    Parameters
    ----------
    availabilities : the share of time in which each link works, from 0 to 1; at least one.

    Raises
    ------
    ValueError
        If there is no link, or a share is NaN or not from 0 to 1.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    if not len(availabilities):
        raise ValueError("expected at least one availability, got none")
    if not all(0 <= share <= 1 for share in availabilities):
        raise ValueError(f"expected availabilities from 0 to 1, got {list(availabilities)}")
    return prod(availabilities)
