"""A node at a detector: its recording, its small model, and a process that answers with forecasts.

What leaves the node is one number a quarter of an hour; the recording stays.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edge_course import data, terminal
from edge_course.crossing import QUARTERS_A_WEEK
from edge_course.fusion.cleaning import fill_gaps
from edge_course.fusion.forecaster import clock, features
from edge_course.nodes import addresses
from edge_course.nodes.child import ServingChild, serve_parent
from edge_course.runtimes import litert, litert_conversion, model_files


class Recording(NamedTuple):
    """What a node has: its counts, and its model with what the model's file does not hold.

    Attributes
    ----------
    file : the content of an int8 LiteRT file that takes normalised features.
    mean, scale : of each feature, float64 (features,), see `forecaster.LinearModel`.
    start : when the first count began, datetime64[m].
    counts : float64, (t,), NaN where nothing was recorded.
    ahead : steps from now to what is forecast.
    """

    file: bytes
    mean: np.ndarray
    scale: np.ndarray
    start: np.datetime64
    counts: np.ndarray
    ahead: int


class Station:
    """Forecasts from one node's recording; it can be served like a part of a network.

    Parameters
    ----------
    recording : what the node has.
    takes : seconds that each forecast takes on a device that is slower than this machine.

    Attributes
    ----------
    model : `model_files.fingerprint` of its file.
    inputs : what it is asked with.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If the file is none.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """

    inputs = ("step",)

    def __init__(self, recording: Recording, *, takes: float = 0.0):
        self.model = model_files.fingerprint(recording.file)
        self._recording, self._takes = recording, takes
        self._counts = fill_gaps(recording.counts, QUARTERS_A_WEEK)
        self._runner = litert.Runner(recording.file, require_int8=True)

    def forecast(self, steps: np.ndarray) -> np.ndarray:
        """Return what will be counted ``ahead`` of each step, float32 (n,).

        Parameters
        ----------
        steps : whole numbers, (n,), see `forecaster.features`.

        Raises
        ------
        ValueError
            If a step is too early or too late.
        """
        own = self._recording
        then = own.start + (np.asarray(steps) + own.ahead) * np.timedelta64(15, "m")
        x = features(self._counts, steps, own.ahead, clock(then))
        return self._runner.run(((x - own.mean) / own.scale).astype(np.float32))[:, 0]

    def run(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return ``{"forecast": …}`` for ``{"step": …}``, both float32 (n,).

        Raises
        ------
        ValueError
            As `forecast`.
        """
        time.sleep(self._takes)
        return {"forecast": self.forecast(tensors["step"].astype(int))}


class StationProcess(ServingChild):
    """A station as a process of its own, which ends with this object.

    Parameters
    ----------
    recording, takes : see `Station`.

    Raises
    ------
    NodeError
        If the process does not start.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """

    def __init__(self, recording: Recording, *, takes: float = 0.0):
        arrays = {name: np.asarray(value) for name, value in recording._asdict().items()}
        arrays["file"] = np.frombuffer(recording.file, np.uint8)
        arrays["start"] = np.array(str(recording.start))
        super().__init__(
            "edge_course.fusion.station", data.npz(arrays), model_files.fingerprint(recording.file),
            addresses.free_address(), "--takes", str(takes),
        )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Serve a station, which comes through the standard input, until that closes."""
    parser = argparse.ArgumentParser(prog="python -m edge_course.fusion.station")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--takes", type=float, default=0.0)
    options = parser.parse_args(arguments)

    def make(content: bytes) -> Station:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = {name: found[name] for name in Recording._fields}
        arrays["file"] = arrays["file"].tobytes()
        arrays["start"] = np.datetime64(str(arrays["start"]), "m")
        arrays["ahead"] = int(arrays["ahead"])
        with litert_conversion.quietly():  # LiteRT greets; an error is told to the parent
            return Station(Recording(**arrays), takes=options.takes)

    return serve_parent(make, options.listen)


if __name__ == "__main__":
    terminal.run_command(main)
