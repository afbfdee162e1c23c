"""One way to measure everything the course quotes.

Bytes (and gzip), multiply-accumulates, accuracy, agreement, peak memory and latency.
Taught in: notebooks/03_keras_to_litert.ipynb
"""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import psutil
from tqdm.auto import tqdm

from edge_course.data import file_content


def file_bytes(model: bytes | str | os.PathLike) -> int:
    """Return the number of bytes of a model file, given its path or its content.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    return len(file_content(model))


def gzip_bytes(model: bytes | str | os.PathLike) -> int:
    """Return the number of bytes of a model file after gzip at its strongest setting.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    return len(gzip.compress(file_content(model), compresslevel=9, mtime=0))


def conv_macs(
    output_shape: tuple[int, int, int],
    kernel_shape: tuple[int, int],
    channels_in: int,
    groups: int = 1,
) -> int:
    """Return the multiply-accumulates of one image through a convolution.

    Each of the ``H·W·C_out`` outputs sums ``K_h·K_w·C_in/groups`` products.

    Parameters
    ----------
    output_shape : (height, width, channels) of the layer's output.
    kernel_shape : (height, width) of the kernel.
    channels_in : number of input channels.
    groups : input and output channels are split into so many independent parts
        (a depthwise convolution has ``groups == channels_in``).

    Raises
    ------
    ValueError
        If a size is not positive or the channels do not divide into the groups.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    height, width, channels_out = output_shape
    if min(height, width, channels_out, *kernel_shape, channels_in, groups) < 1:
        raise ValueError(
            f"every size must be at least 1, got output {output_shape}, "
            f"kernel {kernel_shape}, {channels_in} input channels, {groups} groups"
        )
    if channels_in % groups or channels_out % groups:
        raise ValueError(
            f"{channels_in} input and {channels_out} output channels do not both "
            f"divide into {groups} groups"
        )
    return height * width * channels_out * kernel_shape[0] * kernel_shape[1] * channels_in // groups


def dense_macs(inputs: int, outputs: int) -> int:
    """Return the multiply-accumulates of one input vector through a dense layer."""
    if min(inputs, outputs) < 1:
        raise ValueError(f"every size must be at least 1, got {inputs} inputs, {outputs} outputs")
    return inputs * outputs


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers with its standard error, both between 0 and 1."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % ± {100 * self.standard_error:.1f}"


def _same_labels(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first), np.asarray(second)
    for labels in (first, second):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"expected integer class labels, got {labels.dtype}; "
                "turn scores into labels with .argmax(axis=-1)"
            )
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(
            f"expected two label vectors of one length, got shapes {first.shape} and {second.shape}"
        )
    return first, second


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> Accuracy:
    """Return the share of predictions that are right, with its standard error.

    Parameters
    ----------
    predicted, labels : integer class labels, both of shape (n,).

    Raises
    ------
    ValueError
        If the labels are not integers or the lengths differ or are zero.

    Taught in: notebooks/00_start_here.ipynb
    """
    share = agreement(predicted, labels)
    return Accuracy(share, standard_error(share, len(labels)))


def standard_error(share: float, count: int) -> float:
    """Return the standard error of a share that was counted on ``count`` independent examples.

    √(p·(1−p)/n): how far the share would typically move with another n examples
    (the standard deviation of a binomial share).

    Parameters
    ----------
    share : p, from 0 to 1.
    count : n, at least 1.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1, or nothing was counted.

    Taught in: notebooks/00_start_here.ipynb
    """
    if not 0 <= share <= 1 or count < 1:
        raise ValueError(
            f"expected a share from 0 to 1 of at least 1 example, got {share}, {count}"
        )
    return (share * (1 - share) / count) ** 0.5


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of images on which two models predict the same class.

    Parameters
    ----------
    first, second : integer class labels, both of shape (n,).

    Raises
    ------
    ValueError
        If the labels are not integers or the lengths differ or are zero.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    first, second = _same_labels(first, second)
    return float(np.mean(first == second))


@dataclass(frozen=True)
class Spread:
    """A median with the quartiles around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Return the median and quartiles of some numbers."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True)
class Latency:
    """Interleaved timings of several functions.

    Attributes
    ----------
    seconds : name → array (rounds,) of seconds per call.
    """

    seconds: Mapping[str, np.ndarray]

    def microseconds(self, name: str) -> Spread:
        """Return the median and quartiles of one function in µs per call."""
        return Spread.of(1e6 * self.seconds[name])

    def ratio(self, slow: str, fast: str) -> Spread:
        """Return how many times longer ``slow`` takes than ``fast``, round by round.

        Above 1, ``fast`` really is faster; below 1, it is slower.
        """
        return Spread.of(self.seconds[slow] / self.seconds[fast])


def latency(
    functions: Mapping[str, Callable[[], object]], *, rounds: int = 30, seconds: float = 3.0
) -> Latency:
    """Time functions in turn, A B A B …, so that a drifting machine hits them alike.

    Each function first warms up; then every round calls each function often enough
    for its share of ``seconds`` and notes the mean time of one call. Each round begins
    with the next function, so that none keeps its place among the others.

    Parameters
    ----------
    functions : name → function without arguments.
    rounds : number of timings of each function, at least 4.
    seconds : time to spend in all, roughly.

    Raises
    ------
    ValueError
        If there is nothing to time, or fewer than 4 rounds.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    if not functions or rounds < 4 or seconds <= 0:
        raise ValueError(
            f"expected at least one function, 4 rounds and a positive time, "
            f"got {len(functions)} functions, {rounds} rounds, {seconds} s"
        )
    share = seconds / rounds / len(functions)
    calls = {}
    for name, function in functions.items():
        function()
        calls[name] = max(1, int(share / max(_time(function, 3), 1e-9)))
    timings = {name: [] for name in functions}
    names = list(functions)
    for round_ in tqdm(range(rounds), desc="timing", disable=seconds < 2):
        first = round_ % len(names)
        for name in names[first:] + names[:first]:
            timings[name].append(_time(functions[name], calls[name]))
    return Latency({name: np.array(values) for name, values in timings.items()})


def seconds_per_call(function: Callable[[], object], *, seconds: float = 0.05) -> float:
    """Return the mean seconds of a call, after a warm-up, of as many calls as fit ``seconds``.

    For what `latency` cannot time in turn, as it runs in another process: ask for one number
    here, one there, and so on, and put the rounds into a `Latency`.

    Raises
    ------
    ValueError
        If the time is not positive.

    Taught in: notebooks/05_crossing_frameworks.ipynb
    """
    if seconds <= 0:
        raise ValueError(f"expected a positive time, got {seconds} s")
    _time(function, 3)  # a graph may rewrite itself in its first calls
    calls = max(1, int(seconds / max(_time(function, 1), 1e-9)))
    return _time(function, calls)


def _time(function: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begin) / calls


def resident_bytes(process: psutil.Process, *, shared_once: bool = False) -> int:
    """Return the resident memory of a process and all its children, in bytes.

    A child that was only just forked, and runs no program of its own yet, shows its parent's
    memory once more: it is left out.

    Parameters
    ----------
    process : the process.
    shared_once : count what several processes share, such as libraries, once, as the system does;
        this takes longer, and only Linux tells it.
    """
    total = 0
    for member in [process, *_children(process)]:
        try:
            if member == process or member.cmdline() != psutil.Process(member.ppid()).cmdline():
                if shared_once and psutil.LINUX:
                    total += member.memory_full_info().pss
                else:
                    total += member.memory_info().rss
        except psutil.Error:  # it ended between being listed and being asked
            continue
    return total


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that some processes have had so far, their children left out.

    What a piece of work costs is the difference of two such numbers; other processes on this
    machine make the work take longer, but hardly make it cost more.

    Parameters
    ----------
    pids : the numbers of the processes.

    Returns
    -------
    float
        Seconds, in the steps in which the system counts: often a hundredth.

    Raises
    ------
    psutil.NoSuchProcess
        If one of them has ended.

    Taught in: notebooks/21_edge_service.ipynb
    """
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(time_.user + time_.system for time_ in times)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


class PeakMemory:
    """The largest resident memory seen so far, in bytes; see `peak_memory`."""

    def __init__(self, process: psutil.Process):
        self.process, self._most, self.bytes = process, 0, 0
        self.sample()

    def sample(self) -> None:
        """Look once more: closely, if it seems to be more than ever."""
        if (seen := resident_bytes(self.process)) > self._most:
            self._most = seen
            self.bytes = max(self.bytes, resident_bytes(self.process, shared_once=True))


@contextmanager
def peak_memory(pid: int | None = None, *, every: float = 0.05) -> Iterator[PeakMemory]:
    """Watch the memory of a process and its children while a ``with`` block runs.

    Parameters
    ----------
    pid : the process to watch; this one if not given.
    every : seconds between two looks, so that a shorter peak can be missed.

    Yields
    ------
    PeakMemory
        Its ``bytes`` holds the largest resident memory seen so far.
    """
    peak = PeakMemory(psutil.Process(pid))
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            peak.sample()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        peak.sample()
        ended.set()
        watcher.join()
