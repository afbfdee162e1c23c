"""ONNX Runtime's sessions and the runner on top of them; used as ``ort.session`` and so on."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes import model_files
from edge_course.runtimes.batches import BatchRunner
from edge_course.runtimes.model_files import ModelError, checked_inputs, checked_threads
from edge_course.runtimes.onnx_files import onnx_content, onnx_errors_explained

if TYPE_CHECKING:
    import onnxruntime

LEVELS = ("none", "basic", "extended", "all")
_explained = partial(onnx_errors_explained, runtime="ONNX Runtime")


def session(
    model: bytes | str | os.PathLike,
    *,
    threads: int = 1,
    level: str = "all",
    save_as: str | os.PathLike | None = None,
    profile_as: str | os.PathLike | None = None,
) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's own session of a model, on the CPU.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path.
    threads : threads to compute with.
    level : what the runtime may do to the graph first. "none": nothing; "basic": what
        holds everywhere, such as folding constants; "extended": fusing operators into ones
        that only ONNX Runtime has; "all": also changing the layout of activations to one
        that suits this processor.
    save_as : where to write the graph that runs; not written if not given.
    profile_as : how the file begins that ``end_profiling`` writes; no profile if not given.

    Raises
    ------
    ModelError
        If it is not an ONNX model that this runtime can read.
    ValueError
        If the threads or the level are not as above.
    """
    import onnxruntime

    if level not in LEVELS:
        raise ValueError(f"expected one of the levels {', '.join(LEVELS)}, got {level!r}")
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = checked_threads(threads)
    options.log_severity_level = 4  # what goes wrong is raised; nothing else is printed
    options.graph_optimization_level = {
        "none": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "all": levels.ORT_ENABLE_ALL,
    }[level]
    if save_as is not None:
        options.optimized_model_filepath = str(save_as)
    if profile_as is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_as)
    content = onnx_content(model)
    try:
        with _explained(content.name, "load"):
            return onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
    except ModelError:
        if level == "none":
            raise
        session(model, level="none")  # complains again if it is the model that is at fault
        raise ModelError(
            f"{content.name}: ONNX Runtime loads this model, but not what it makes of it at level "
            f'{level!r}; use level "none"'
        ) from None


class Runner(BatchRunner):
    """An ONNX model that takes and returns float32, as `litert.Runner` does.

    Parameters
    ----------
    model : the content of an ``.onnx`` file, or its path; one input and one output.
    threads : threads to compute with.
    level : "none", "basic", "extended" or "all", see `session`.

    Raises
    ------
    ModelError
        If it is not an ONNX model, has several inputs or outputs, takes or returns
        something else than float32, or an input whose size is open beside the batch.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """

    def __init__(self, model: bytes | str | os.PathLike, *, threads: int = 1, level: str = "all"):
        self._name = model_files.name(model)
        self._session = session(model, threads=threads, level=level)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"{self._name}: expected one input and one output, "
                f"got {len(inputs)} and {len(outputs)}"
            )
        self._input, self._output = inputs[0], outputs[0]
        if {self._input.type, self._output.type} != {"tensor(float)"}:
            raise ModelError(
                f"{self._name}: expected float32 input and output, "
                f"got {self._input.type} and {self._output.type}"
            )
        self.input_dtype = self.output_dtype = np.dtype("float32")
        self.input_shape = tuple(self._input.shape[1:])
        if not self._input.shape or not all(isinstance(size, int) for size in self.input_shape):
            raise ModelError(
                f"{self._name}: expected an input (n, …) of which only the batch n is open, "
                f"got the shape {self._input.shape}"
            )

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of inputs, all computed at once.

        Parameters
        ----------
        x : float32, shape (n, *input_shape), any n from 1; pictures are (n, 1, 28, 28).

        Returns
        -------
        np.ndarray
            float32, shape (n, …).

        Raises
        ------
        ValueError
            If the dtype, the shape or a fixed batch is another one, or there is NaN or infinity.
        ModelError
            If the runtime cannot run the model on these inputs.
        """
        x = checked_inputs(x, self.input_shape, "input")
        batch = self._input.shape[0]
        if isinstance(batch, int) and len(x) != batch:
            raise ValueError(
                f"{self._name}: takes exactly {batch} inputs at once, got {len(x)}: its batch is "
                f"fixed; give it {batch} at a time, or export it with an open batch"
            )
        advice = "do its operators fit inputs of this shape?"
        with _explained(self._name, f"run {len(x)} inputs through", advice=advice):
            return self._session.run(None, {self._input.name: x})[0]

    def check_runs(self, x: np.ndarray) -> None:
        """Raise what `run` would raise: what is timed is not looked at any more."""
        self.run(x)

    def invoker(self, x: np.ndarray) -> Callable[[], None]:
        """Return a function that only computes, on inputs that are set already: to be timed."""
        self.check_runs(x)
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input.name, np.ascontiguousarray(x))
        binding.bind_output(self._output.name)
        return partial(self._session.run_with_iobinding, binding)
