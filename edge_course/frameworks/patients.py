"""Models and exports that go wrong, for the clinic of notebook 06.

Importing this module does not import PyTorch; calling most of its functions does. So they are
called in a process of their own, see `process.another`.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from edge_course.runtimes import litert, ort

if TYPE_CHECKING:
    import keras
    from torch import nn


def shop_cnn(*, branch: bool) -> nn.Module:
    """Return the trained seed CNN behind a step that turns bright backgrounds dark.

    The network learned from pictures on a dark background; shops photograph on white.

    Parameters
    ----------
    branch : decide with Python's ``if``, for all pictures of a batch alike; else with
        ``torch.where``, for each picture.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    import torch
    from torch import nn

    from edge_course.networks import torch_models

    class ShopCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn = torch_models.trained_seed_cnn()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bright = x[:, :, :1].mean(dim=(1, 2, 3), keepdim=True) > 0.5  # the top row decides
            if not branch:
                x = torch.where(bright, 1 - x, x)
            elif bright.all():
                x = 1 - x
            return self.cnn(x)

    return ShopCNN().eval()


def export_shop(*, branch: bool) -> bytes:
    """Return `shop_cnn` as an ``.onnx`` file, by PyTorch's current exporter.

    Raises
    ------
    edge_course.runtimes.model_files.ModelError
        If the exporter refuses: it does with the branch.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return ort.export(shop_cnn(branch=branch))


def trace_shop() -> bytes:
    """Return `shop_cnn` with its branch as an ``.onnx`` file, by tracing one black picture.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    return trace(shop_cnn(branch=True))


def trace(model: nn.Module, *, keep_mode: bool = False) -> bytes:
    """Return a model as an ``.onnx`` file by PyTorch's older exporter.

    The older exporter runs the model once and writes down what it sees. Most tutorials still
    use it. By default it writes the model as it is in use, whatever mode it is in.

    Parameters
    ----------
    model : takes float32 (n, 1, 28, 28).
    keep_mode : set the exporter's flag that keeps the mode, that of training too.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    import torch

    modes = torch.onnx.TrainingMode
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are what the notebook's reader has to find out
        torch.onnx.export(
            model,
            (torch.zeros(1, 1, 28, 28),),
            file,
            dynamo=False,
            training=modes.PRESERVE if keep_mode else modes.EVAL,
            do_constant_folding=not keep_mode,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
        )
    return file.getvalue()


def in_training_mode(network: str, exporter: str) -> bytes:
    """Return a trained network that nobody called ``eval()`` on, as an ``.onnx`` file.

    Parameters
    ----------
    network : "depthwise", with batch normalisation, or "dropout": the seed CNN, half of whose
        hidden outputs are set to 0 at random.
    exporter : "current" or "older" for that exporter's defaults, "older, flag" for `trace` with
        `keep_mode`.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    import torch
    from torch import nn

    from edge_course.networks import torch_models

    if network == "depthwise":
        model = torch_models.trained_depthwise_cnn()
    else:
        *layers, scores = torch_models.trained_seed_cnn()
        model = nn.Sequential(*layers, nn.Dropout(0.5), scores)
    model.train()
    if exporter != "current":
        return trace(model, keep_mode=exporter == "older, flag")
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(
            model,
            (torch.zeros(2, 1, 28, 28),),
            dynamo=True,
            input_names=["image"],
            output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
    return program.model_proto.SerializeToString()


def unknown_onnx(model: bytes) -> bytes:
    """Return the seed CNN's ``.onnx`` file with a fault that no check of its structure finds.

    The columns of the hidden layer's weights stand in the order of channels last.

    Parameters
    ----------
    model : the seed CNN as `in_pytorch.export_trained` returns it.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    import onnx

    proto = onnx.load_from_string(model)
    for weight in proto.graph.initializer:
        kernel = onnx.numpy_helper.to_array(weight)
        if kernel.shape == (128, 5408):
            moved = kernel.reshape(128, 32, 13 * 13).transpose(0, 2, 1).reshape(128, 5408)
            weight.CopyFrom(onnx.numpy_helper.from_array(moved, weight.name))
    return proto.SerializeToString()


def unknown_tflite(model: keras.Model, pictures: np.ndarray) -> bytes:
    """Return a Keras model as an int8 ``.tflite`` file with a fault that nothing announces.

    It was calibrated on pictures that somebody divided by 255 once too often.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    return litert.convert(model, "int8", pictures / np.float32(255))
