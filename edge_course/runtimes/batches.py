"""More inputs than fit memory at once: what the runners of both runtimes share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


class BatchRunner(ABC):
    """A model that runs: all inputs at once, or a batch at a time."""

    @abstractmethod
    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs, all computed at once."""

    def scores(self, x: np.ndarray, *, batch: int = 200) -> np.ndarray:
        """Return what `run` returns, computed a batch at a time so that it fits memory."""
        starts = range(0, max(1, len(x)), batch)
        return np.concatenate([self.run(x[i : i + batch]) for i in starts])

    def predict(self, x: np.ndarray, *, batch: int = 200) -> np.ndarray:
        """Return the most likely class of each input, int64 (n,), in batches that fit memory."""
        return self.scores(x, batch=batch).argmax(axis=-1)
