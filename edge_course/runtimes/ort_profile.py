"""How long each operator of an ONNX model takes, as ONNX Runtime's own profiler has it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_course.runtimes import ort

_ENDING = "_kernel_time"  # of the events that stand for an operator's computation


class OperatorTime(NamedTuple):
    """How long one operator takes.

    Attributes
    ----------
    name : the node's name in the graph that runs.
    operator : what it computes: "Conv", "QLinearConv", …
    microseconds : median over the runs. The profiler counts in whole microseconds, and
        looking at the clock takes time itself: compare with others of the same profile.
    """

    name: str
    operator: str
    microseconds: float


def operator_times(
    model: bytes | str | os.PathLike, x: np.ndarray, *, runs: int = 200, level: str = "all"
) -> list[OperatorTime]:
    """Return the time of every operator in the order in which they run, on one thread.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path; one input.
    x : a batch of inputs, float32 (n, …), computed at once.
    runs : how often to run it; before that it runs a tenth as often to warm up.
    level : "none", "basic", "extended" or "all", see `ort.session`.

    Raises
    ------
    ModelError
        If it is not an ONNX model that this runtime can read.
    ValueError
        If there is less than one run, no such level, or the inputs do not fit.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    if runs < 1:
        raise ValueError(f"expected at least 1 run, got {runs}")
    ort.Runner(model, level=level).check_runs(x)
    warm_up = runs // 10
    with tempfile.TemporaryDirectory() as folder:
        session = ort.session(model, level=level, profile_as=Path(folder, "profile"))
        inputs = {session.get_inputs()[0].name: x}
        for _ in range(warm_up + runs):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[tuple[str, str], list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_ENDING):
            node = event["name"].removesuffix(_ENDING), event["args"]["op_name"]
            times.setdefault(node, []).append(event["dur"])
    return [OperatorTime(*node, float(np.median(t[warm_up:]))) for node, t in times.items()]
