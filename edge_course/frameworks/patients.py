"""PyTorch models and exports that go wrong, for the clinic of notebook 06.

Importing this module does not import PyTorch; calling its functions does. So they are called
in a process of their own, see `process.another`.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING

from edge_course.runtimes import ort

if TYPE_CHECKING:
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


def trace(model: nn.Module) -> bytes:
    """Return a model as an ``.onnx`` file by PyTorch's older exporter, in the mode that it is in.

    The older exporter runs the model once and writes down what it sees. Most tutorials still
    use it.

    Parameters
    ----------
    model : takes float32 (n, 1, 28, 28).

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    import torch

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are what the notebook's reader has to find out
        torch.onnx.export(
            model,
            (torch.zeros(1, 1, 28, 28),),
            file,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=not model.training,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
        )
    return file.getvalue()


def trace_depthwise(*, training: bool) -> bytes:
    """Return the trained depthwise CNN as an ``.onnx`` file, left in training mode or not.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    from edge_course.networks import torch_models

    return trace(torch_models.trained_depthwise_cnn().train(training))


def trace_dropout(*, training: bool) -> bytes:
    """Return the trained seed CNN with dropout as an ``.onnx`` file, left in training mode or not.

    Dropout sets half of the hidden layer's outputs to 0 at random.

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    from torch import nn

    from edge_course.networks import torch_models

    *layers, scores = torch_models.trained_seed_cnn()
    return trace(nn.Sequential(*layers, nn.Dropout(0.5), scores).train(training))
