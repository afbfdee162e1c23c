"""ONNX files, translated and compared: ``python -m tests.support.compare_networks FILE...``.

Prints a line of JSON for each: its operators, by how much Keras and LiteRT differ from ONNX
Runtime, relative to the largest output, or why it could not be translated.
"""

from __future__ import annotations

import contextlib
import json
import sys

import numpy as np

from edge_course.frameworks import onnx_to_keras
from edge_course.networks import layout
from edge_course.runtimes import litert, ort

BATCHES = ((1, 1.0), (4, 3.0))  # how many inputs, and their standard deviation


def compare(path: str) -> dict:
    """Translate an ONNX file and compare it in three runtimes."""
    operators = [node.op_type for node in ort.read_proto(path).graph.node]
    report = {"file": path, "operators": operators, "problem": "", "keras": 0.0, "litert": 0.0}
    try:
        model = onnx_to_keras.translate(path)
        differences(report, path, model)
    except Exception as error:
        report["problem"] = f"{type(error).__name__}: {error}"
    return report


def differences(report: dict, path: str, model) -> None:
    """Enter the largest relative differences into the report."""
    # As it is written: fusing a padding into the pooling behind it can go wrong in ONNX Runtime.
    original, file = ort.Runner(path, level="none"), litert.Runner(litert.convert(model, "float32"))
    random = np.random.default_rng(1000)
    for n, spread in BATCHES:
        x = random.normal(0, spread, (n, *original.input_shape)).astype(np.float32)
        expected = layout.channels_last(original.run(x))
        x = layout.channels_last(x)
        for name, y in (("keras", np.asarray(model(x))), ("litert", file.run(x))):
            assert y.shape == expected.shape, f"{name}: shape {y.shape}, not {expected.shape}"
            difference = float(np.abs(y - expected).max() / np.abs(expected).max())
            report[name] = max(report[name], difference)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        with contextlib.redirect_stdout(sys.stderr):  # libraries print there too
            report = compare(path)
        print(json.dumps(report), flush=True)
