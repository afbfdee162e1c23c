"""A part of a network in ONNX Runtime, on a machine that may be slower than this one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import numpy as np

from edge_course.runtimes import model_files, ort
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_files import onnx_content, onnx_errors_explained
from edge_course.split_layers.cut import LEVEL


def cut_name(names: list[str] | tuple[str, ...]) -> str:
    """Return what a cut is called: the names of the tensors that cross it, with + between."""
    return "+".join(sorted(names))


class Part:
    """A part of a network: tensors by name in, tensors by name out.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path; float32 in and out.
    takes : seconds that every run takes if this machine is faster. They are really waited: an
        emulated slow device, whose times are as steady as a small chip's.

    Attributes
    ----------
    model : `model_files.fingerprint` of the file with all its weights in it.
    inputs, outputs : names of the tensors that it takes and returns.

    Raises
    ------
    ModelError
        If it is not an ONNX model, or takes or returns something else than float32.
    ValueError
        If it is to take less than no time, or for ever.

    Taught in: notebooks/14_split_by_layers.ipynb
    """

    def __init__(self, model: bytes | str | os.PathLike, *, takes: float = 0.0):
        if not 0 <= takes < float("inf"):
            raise ValueError(f"expected takes in seconds from 0, got {takes}")
        content = onnx_content(model)
        self._name, self._takes = content.name, takes
        self._session = ort.session(content, level=LEVEL)
        ends = {"input": self._session.get_inputs(), "output": self._session.get_outputs()}
        for end, tensors in ends.items():
            if wrong := [t for t in tensors if t.type != "tensor(float)"]:
                raise ModelError(
                    f"{self._name}: expected a float32 {end}, {wrong[0].name} is {wrong[0].type}"
                )
        self.model = model_files.fingerprint(content)
        self.inputs = tuple(tensor.name for tensor in ends["input"])
        self.outputs = tuple(tensor.name for tensor in ends["output"])

    def run(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name, float32.

        Parameters
        ----------
        tensors : name → float32; more than the part takes are left out.

        Raises
        ------
        ModelError
            If one is missing, or the runtime cannot run the model on them.
        """
        if missing := [name for name in self.inputs if name not in tensors]:
            raise ModelError(
                f"{self._name}: it takes {', '.join(self.inputs)}; {missing[0]} is missing "
                f"in {', '.join(tensors) or 'nothing'}"
            )
        begin = time.perf_counter()
        with onnx_errors_explained(self._name, "run", runtime="ONNX Runtime"):
            outputs = self._session.run(None, {name: tensors[name] for name in self.inputs})
        done = time.perf_counter() - begin
        time.sleep(max(self._takes - done, 0.0))
        return dict(zip(self.outputs, outputs, strict=True))
