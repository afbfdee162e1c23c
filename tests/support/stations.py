"""Stations with small models of random numbers, whose answers are known without a process."""

import numpy as np

from edge_course.frameworks.in_tensorflow import with_tensorflow
from edge_course.fusion.forecaster import to_litert
from edge_course.fusion.station import Recording

AHEAD, STEPS = 4, 900
FEATURES = 10  # four counts, a week before, and five of the clock


def recordings(count: int) -> list[Recording]:
    """Return recordings of that many nodes, each with an int8 file of its own."""
    random = np.random.default_rng(count)
    models = [(random.normal(0, 20, FEATURES), 400.0) for _ in range(count)]
    examples = [random.normal(0, 1, (50, FEATURES)).astype(np.float32) for _ in range(count)]
    files = with_tensorflow(to_litert, models, examples)
    start = np.datetime64("2024-04-18T00:00", "m")
    return [
        Recording(
            file, np.full(FEATURES, 20.0), np.full(FEATURES, 10.0), start,
            random.poisson(20, STEPS).astype(float), AHEAD,
        )
        for file in files
    ]  # fmt: skip
