"""The place of the network in a service: it computes, and is exchanged while it does."""

from __future__ import annotations

import os
import queue
import time
from typing import NamedTuple

import numpy as np

from edge_course.runtimes import litert, model_files
from edge_course.runtimes.model_files import ModelError


class _Loaded(NamedTuple):
    fingerprint: str
    runners: queue.SimpleQueue
    shapes: tuple[tuple[int, ...], tuple[int, ...]]  # of one input, of one output


class ModelSlot:
    """A network that several threads may ask, and that can be exchanged at any time.

    An interpreter serves one thread at a time, so there is one for each thread.

    Parameters
    ----------
    model : the content of a ``.tflite`` file, or its path; see `litert.Runner`.
    threads : how many may ask at once.
    batch : the most inputs that will be computed at once.
    takes : seconds that an input takes at least: a slower device, emulated.

    Attributes
    ----------
    fingerprint : `model_files.fingerprint` of the network that is there now.
    input_shape, output_shape : of one input and one output.

    Raises
    ------
    ModelError
        If it is no such model, cannot compute so many inputs at once, or computes NaN of zeros.

    Taught in: notebooks/21_edge_service.ipynb
    """

    def __init__(
        self,
        model: bytes | str | os.PathLike,
        *,
        threads: int = 1,
        batch: int = 1,
        takes: float = 0.0,
    ):
        self._threads, self._batch, self._takes = threads, batch, takes
        self._now = self._load(model)
        self.input_shape, self.output_shape = self._now.shapes

    @property
    def fingerprint(self) -> str:
        """Name the network that is there now."""
        return self._now.fingerprint

    def run(self, x: np.ndarray) -> tuple[np.ndarray, str]:
        """Return the outputs for a batch of inputs, and which network computed them.

        Parameters
        ----------
        x : float32, (n, *input_shape), n from 1.

        Returns
        -------
        scores, fingerprint
            float32, (n, *output_shape); all are of one network, and it is this one.

        Raises
        ------
        ModelError
            If it cannot compute them, or there is NaN or infinity in what it computes.
        """
        begin = time.perf_counter()
        now = self._now  # looked at once: what is exchanged from here on is no matter
        runner = now.runners.get()
        try:
            scores = runner.run(x)
        finally:
            now.runners.put(runner)
        if not np.isfinite(scores).all():
            raise ModelError(f"the model {now.fingerprint} computed NaN or infinity")
        time.sleep(max(0.0, begin + self._takes * len(x) - time.perf_counter()))
        return scores, now.fingerprint

    def swap(self, model: bytes | str | os.PathLike) -> str:
        """Put another network there; return its fingerprint.

        The new one is loaded and has computed before the old one goes; whoever is being
        answered by the old one gets that answer.

        Raises
        ------
        ModelError
            If it is no such model, computes NaN of zeros, or its inputs or outputs have another
            shape. Then the old one stays.
        """
        new = self._load(model)
        if new.shapes != (self.input_shape, self.output_shape):
            raise ModelError(
                f"{model_files.name(model)}: it maps {new.shapes[0]} to {new.shapes[1]}, "
                f"the model that is served {self.input_shape} to {self.output_shape}"
            )
        self._now = new
        return new.fingerprint

    def _load(self, model: bytes | str | os.PathLike) -> _Loaded:
        content = model_files.content(model)
        runners = queue.SimpleQueue()
        for _ in range(self._threads):
            runner = litert.Runner(content)
            for n in (self._batch, 1):  # the first run of a size makes room for it
                output = runner.run(np.zeros((n, *runner.input_shape), np.float32))
            runners.put(runner)
        if not np.isfinite(output).all():
            raise ModelError(f"{model_files.name(model)}: it computes NaN or infinity")
        shapes = runner.input_shape, output.shape[1:]
        return _Loaded(model_files.fingerprint(content), runners, shapes)
