"""From a PyTorch model to the content of an ``.onnx`` file; used as ``ort.export``."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.onnx_files import (
    draws_random_numbers,
    onnx_errors_explained,
    without_notes,
)
from edge_course.runtimes.ort_session import session

if TYPE_CHECKING:
    import torch

INPUT, OUTPUT = "image", "scores"
TOLERANCE = 1e-4  # of the largest output; rounding in another order gives about 1e-6
ODD = "the exporter has changed or dropped a setting; write that layer with plainer operators"


def export(model: torch.nn.Module, shape: tuple[int, ...] = (1, 28, 28)) -> bytes:
    """Return a PyTorch model as the content of an ``.onnx`` file, for any batch size.

    The exporter folds batch normalisation into the convolution before it. What it wrote is run
    and compared with the model on random inputs.

    Parameters
    ----------
    model : in evaluation mode; one float32 input (n, *shape), one output.
    shape : the shape of one input, without the batch.

    Returns
    -------
    bytes
        A graph with the input "image" and the output "scores".

    Raises
    ------
    ValueError
        If it is no PyTorch model, is in training mode, does not take that shape, or does
        not return one output with a row for each input.
    ModelError
        If PyTorch cannot export it, or not for any batch size; if it draws random numbers, or
        the file computes something else.

    Taught in: notebooks/04_pytorch_to_onnx.ipynb
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"expected a PyTorch model (torch.nn.Module), got {type(model).__name__}")
    if any(module.training for module in model.modules()):
        raise ValueError(
            "the model is in training mode, where batch normalisation and dropout compute "
            "something else: call model.eval() before you export it"
        )
    for batch in (3, 2):
        example = torch.zeros(batch, *shape)
        try:
            with torch.no_grad():
                y = model(example)
        except Exception as error:  # whatever a model's own code raises
            raise ValueError(
                f"the model does not take float32 inputs of shape {tuple(example.shape)}: {error}"
            ) from error
        if not isinstance(y, torch.Tensor) or y.ndim < 1 or len(y) != batch:
            got = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
            raise ValueError(
                f"expected a model with one output ({batch}, …) for {batch} inputs, got {got}"
            )
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                model,
                (example,),  # of two: the exporter would take a batch of one for a constant
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                verbose=False,
            )
    except Exception as error:  # its causes have no common base; the first line names them
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ModelError(f"PyTorch cannot export this model: {reason}") from error
    proto = without_notes(program.model_proto)
    if not proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param:
        raise ModelError(
            "PyTorch has exported this model for a batch of two only; does its code turn "
            "the size of the batch into a plain number?"
        )
    if random := [node.op_type for node in proto.graph.node if draws_random_numbers(node)]:
        raise ModelError(
            f"the model draws random numbers ({random[0]} in ONNX), so that no two answers are "
            "the same: it needs a form without them to be exported"
        )
    content = proto.SerializeToString()
    _check_export(model, content, shape)
    return content


def _check_export(model: torch.nn.Module, content: bytes, shape: tuple[int, ...]) -> None:
    """Raise a ModelError if the file does not compute what the model does."""
    import torch

    def answer(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(x)).numpy()

    exported = session(content)
    for seed, (n, spread) in enumerate(((3, 1.0), (5, 0.1))):
        x = np.random.default_rng(seed).normal(0, spread, (n, *shape)).astype(np.float32)
        with onnx_errors_explained("the exported file", "run", runtime="ONNX Runtime", advice=ODD):
            actual = exported.run(None, {INPUT: x})[0]
        expected = answer(x)
        if _largest_difference(answer(x), expected) > TOLERANCE:
            raise ModelError(
                "the model draws random numbers: it answers the same input in two ways, and a "
                "file could only keep one of them"
            )
        if (difference := _largest_difference(actual, expected)) > TOLERANCE:
            raise ModelError(
                f"the exported file computes something else than the model: on random inputs of "
                f"shape {x.shape} its {OUTPUT!r}, {actual.dtype} {actual.shape}, are off by up to "
                f"{difference:.3g} times the model's largest, {expected.dtype} {expected.shape}; "
                f"{ODD}"
            )


def _largest_difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a share of the largest expected number that is finite."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return np.inf
    actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    if same.all():
        return 0.0
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    with np.errstate(all="ignore"):
        share = np.abs(actual - expected)[~same].max() / largest
    return np.inf if np.isnan(share) else float(share)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep away what the exporter says about itself; what goes wrong is raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
