"""Distillation in PyTorch: losses by which a student learns from a teacher.

Each is a ``loss(model, pictures, labels)`` for `torch_training.fit`: it asks the teacher about the
very pictures the student sees, mirrored and moved as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from edge_course.distillation import soft_targets
from edge_course.networks.torch_models import INPUT_SHAPE
from edge_course.networks.torch_training import Loss, evaluating, label_loss, scores_loss, taking


def soft_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return `soft_targets.soft_loss` of two batches of scores, so that the student can learn.

    T² times the Kullback–Leibler divergence of softmax(student / T) from softmax(teacher / T),
    the mean over the batch. Hinton, Vinyals, Dean (2015), "Distilling the Knowledge in a
    Neural Network". No gradient goes to the teacher.

    Parameters
    ----------
    student, teacher : scores of the same pictures, float32 (n, classes).
    temperature : T, positive.

    Returns
    -------
    torch.Tensor
        float32, shape ().

    Raises
    ------
    ValueError
        If the shapes differ or the temperature is not positive.

    Taught in: notebooks/12_distillation.ipynb
    """
    soft_targets.check_temperature(temperature)
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(
            f"expected scores (n, classes) of the same pictures and classes, got the student's "
            f"of shape {tuple(student.shape)} and the teacher's of shape {tuple(teacher.shape)}"
        )
    targets = functional.log_softmax(teacher.detach() / temperature, dim=1)
    answers = functional.log_softmax(student / temperature, dim=1)
    divergence = functional.kl_div(answers, targets, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


@dataclass(frozen=True)
class Distillation:
    """The loss ``soft_share · soft_loss + (1 − soft_share) · cross-entropy of the labels``.

    Attributes
    ----------
    teacher : a trained network in evaluation mode. It is asked, never trained.
    temperature : T of the soft loss, positive.
    soft_share : from 0 (labels only) to 1 (teacher only: the labels are not looked at).

    Raises
    ------
    ValueError
        If the temperature or the share is out of its range; when called, if the teacher is in
        training mode or shares memory with the student, or a label is no class.

    Taught in: notebooks/12_distillation.ipynb
    """

    teacher: nn.Module
    temperature: float = 4.0
    soft_share: float = 0.9

    def __post_init__(self):
        soft_targets.check_temperature(self.temperature)
        soft_targets.check_share(self.soft_share)

    def __call__(
        self, model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of a batch; only the student's weights get a gradient."""
        targets = teacher_scores(self.teacher, pictures, student=model)
        answers = model(pictures)
        soft = soft_loss(answers, targets, self.temperature)
        if self.soft_share == 1:
            return soft
        hard = scores_loss(answers, labels)
        return self.soft_share * soft + (1 - self.soft_share) * hard


def teacher_scores(
    teacher: nn.Module, pictures: torch.Tensor, *, student: nn.Module | None = None
) -> torch.Tensor:
    """Return the teacher's scores of pictures, without anything to differentiate.

    Parameters
    ----------
    teacher : in evaluation mode: in training mode, batch normalisation would take its
        statistics from the batch and move its averages, and the teacher would change.
    pictures : float32 (n, channels, height, width).
    student : if given, nothing that it changes may lie in the teacher's memory.

    Raises
    ------
    ValueError
        If a part of the teacher is in training mode, or shares memory with the student.

    Taught in: notebooks/12_distillation.ipynb
    """
    students: set[nn.Module] = set()
    if student is not None:
        check_apart(teacher, student)
        students = set(student.modules())  # what both have, such as a ReLU, follows the student
    if any(module.training for module in set(teacher.modules()) - students):
        raise ValueError("the teacher is in training mode, where it changes: call eval()")
    with torch.no_grad(), evaluating(teacher):
        return teacher(pictures)


def check_apart(teacher: nn.Module, student: nn.Module) -> None:
    """Raise a ValueError if training the student would change the teacher.

    What counts is the memory: tensors that were assigned, not copied, lie in it twice. Parameters
    that do not learn may be shared, and so may modules without any tensor.
    """
    kept = {_storage(tensor) for tensor in (*teacher.parameters(), *teacher.buffers())}
    changing = {name: p for name, p in student.named_parameters() if p.requires_grad}
    changing |= dict(student.named_buffers())
    shared = [name for name, t in changing.items() if t.numel() and _storage(t) in kept]
    if shared:
        raise ValueError(
            f"the teacher and the student share memory ({', '.join(shared)}): what the student "
            "learns would change its targets; give the student tensors of its own (copy.deepcopy)"
        )


def _storage(tensor: torch.Tensor) -> int:
    """Return where the memory of a tensor begins, the same for all views of it."""
    return tensor.untyped_storage().data_ptr()


class WithRegressor(nn.Module):
    """A student together with the 1×1 convolution that translates its features for a teacher.

    Both are trained, and only the student is kept: ``pair.student``. Romero et al. (2015),
    "FitNets: Hints for Thin Deep Nets", section 2.2.

    Parameters
    ----------
    student : takes float32 (n, *shape).
    teacher : likewise; only asked for the number of its channels.
    student_layer, teacher_layer : names of layers, as in ``dict(model.named_modules())``, that are
        computed once and whose output has the shape (n, channels, height, width).
    shape : of one picture: channels, height, width.

    Raises
    ------
    ValueError
        If there is no such layer, it is not computed exactly once, its output has another number
        of dimensions, or a network does not take such pictures.

    Taught in: notebooks/12_distillation.ipynb
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        student_layer: str,
        teacher_layer: str,
        *,
        shape: tuple[int, int, int] = INPUT_SHAPE,
    ):
        super().__init__()
        self.layers = student_layer, teacher_layer
        channels = [
            _channels(model, layer, shape)
            for model, layer in ((student, student_layer), (teacher, teacher_layer))
        ]
        self.student = student
        self.regressor = nn.Conv2d(*channels, kernel_size=1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the student's scores."""
        return self.student(pictures)


@dataclass(frozen=True)
class FeatureMatching:
    """Another loss plus ``weight`` times how far the student's features are from the teacher's.

    The mean squared difference between the regressor's output and the teacher's features; where
    the teacher's maps are larger, the mean of each patch is the target. Romero et al. (2015),
    "FitNets: Hints for Thin Deep Nets", equation 3.

    Attributes
    ----------
    teacher : a trained network in evaluation mode. It is asked, never trained.
    weight : of the features' loss, not negative.
    rest : the loss to which it is added, such as a `Distillation`.

    Raises
    ------
    ValueError
        If the weight is negative or not finite; when called, if the model is no
        `WithRegressor`, a layer is not computed exactly once, or the teacher is in training mode
        or shares memory with the student.

    Taught in: notebooks/12_distillation.ipynb
    """

    teacher: nn.Module
    weight: float = 1.0
    rest: Loss = label_loss

    def __post_init__(self):
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"expected a weight of at least 0, finite, got {self.weight}")

    def __call__(
        self, model: nn.Module, pictures: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of a batch; the student's and the regressor's weights get a gradient."""
        if not isinstance(model, WithRegressor):
            raise ValueError(
                f"expected a student WithRegressor, got {type(model).__name__}: the features "
                "need the 1×1 convolution that is trained with them"
            )
        check_apart(self.teacher, model)
        student_layer, teacher_layer = model.layers
        with (
            captured(self.teacher, teacher_layer) as hints,
            captured(model.student, student_layer) as features,
        ):
            value = self.rest(model, pictures, labels)
            if not hints:  # a Distillation has asked the teacher already
                teacher_scores(self.teacher, pictures, student=model)
        guided = model.regressor(_only(features, student_layer))  # (n, teacher's channels, h, w)
        target = functional.adaptive_avg_pool2d(_only(hints, teacher_layer), guided.shape[2:])
        return value + self.weight * functional.mse_loss(guided, target)


@contextmanager
def captured(model: nn.Module, layer: str) -> Iterator[list[torch.Tensor]]:
    """Collect what a layer of a network returns inside a ``with`` block, one tensor a call.

    Parameters
    ----------
    model : the network.
    layer : name of the layer, as in ``dict(model.named_modules())``, such as "block2".

    Raises
    ------
    ValueError
        If there is no such layer.

    Taught in: notebooks/12_distillation.ipynb
    """
    modules = {name: module for name, module in model.named_modules() if name}
    if layer not in modules:
        raise ValueError(f"there is no layer {layer!r}; there are: {', '.join(modules)}")
    outputs: list[torch.Tensor] = []
    handle = modules[layer].register_forward_hook(lambda _, __, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def _only(outputs: list[torch.Tensor], layer: str) -> torch.Tensor:
    """Return the one output that was captured; refuse a layer that has several, or none."""
    if len(outputs) != 1:
        raise ValueError(
            f"expected a layer that is computed once for each batch, {layer!r} is computed "
            f"{len(outputs)} times: which output is meant? Name another layer"
        )
    return outputs[0]


def _channels(model: nn.Module, layer: str, shape: tuple[int, int, int]) -> int:
    """Return how many channels the output of a layer has; the network stays as it is."""
    picture = torch.zeros(1, *shape)
    with evaluating(model), captured(model, layer) as outputs, torch.no_grad(), taking(picture):
        model(picture)
    output = _only(outputs, layer)
    got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        raise ValueError(
            f"expected a layer whose output has the shape (n, channels, height, width), "
            f"the one of {layer!r} is {got}"
        )
    return output.shape[1]
