"""Unstructured pruning of PyTorch networks: weights are removed, and stay so in training.

To remove a weight is to set it to 0. The network keeps its shapes, and computes as much as
before. Which weights: see `masks` and `importance`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from edge_course import measure
from edge_course.networks import torch_training
from edge_course.pruning.calls import own_weight
from edge_course.pruning.masks import (
    Masks,
    Scores,
    check_schedule,
    global_masks,
    gradual_sparsity,
    layer_mask,
    sparsity,
)


def apply(model: nn.Module, masks: Masks) -> None:
    """Set the weights that masks remove to 0, in the network itself.

    Parameters
    ----------
    model : a PyTorch network.
    masks : name of a convolution or dense layer → bool, the shape of its weight. Layers that
        are not named stay as they are.

    Raises
    ------
    ValueError
        If there is no such layer, its weight is computed from others or is that of another
        layer, or a mask is of another shape or dtype.
    """
    _check_masks(model, masks)
    with torch.no_grad():
        for name, mask in masks.items():
            weight = model.get_submodule(name).weight
            weight.masked_fill_(torch.from_numpy(~mask), 0)  # w · 0 could be −0.0


def pruned(model: nn.Module, masks: Masks) -> nn.Module:
    """Return a copy of a network with the weights that masks remove set to 0; see `apply`.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    _check_masks(model, masks)  # what cannot be pruned cannot always be copied
    fewer = copy.deepcopy(model)
    apply(fewer, masks)
    return fewer


class Keep:
    """Keeps removed weights removed while a network is trained on: ``fit(after_step=Keep(…))``.

    The optimizer moves every weight that has a gradient or momentum, a removed one too. So
    the masks are applied anew after each of its steps.

    Parameters
    ----------
    model : a PyTorch network; the masks are applied at once.
    masks : as in `apply`.

    Raises
    ------
    ValueError
        If a mask does not fit the network.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """

    def __init__(self, model: nn.Module, masks: Masks):
        self.model, self.masks = model, dict(masks)
        apply(model, self.masks)

    def __call__(self, step: int) -> None:
        """Set the removed weights to 0 again."""
        apply(self.model, self.masks)


class Gradual(Keep):
    """Removes more and more weights while a network is trained: ``fit(after_step=Gradual(…))``.

    Every so many steps the sparsity of `gradual_sparsity` decides how many weights are to
    be removed by then, in all layers together, and new scores decide which. What was
    removed stays removed.

    Parameters
    ----------
    model : a PyTorch network.
    score : called without arguments, returns the scores of the layers to prune, at least 0,
        such as ``lambda: importance.of_weights(model, "magnitude")``.
    final : sparsity at the end.
    begin, end : steps between which weights are removed.
    every : so many steps; at ``end`` too.

    Attributes
    ----------
    history : list of (step, sparsity) at which weights were removed.

    Raises
    ------
    ValueError
        If the steps or the sparsity are not as above.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """

    def __init__(
        self,
        model: nn.Module,
        score: Callable[[], Scores],
        *,
        final: float,
        begin: int,
        end: int,
        every: int,
    ):
        check_schedule(begin, end, final)
        if every < 1:
            raise ValueError(f"expected to remove weights every 1 step or more, got {every}")
        super().__init__(model, {name: np.ones(s.shape, bool) for name, s in score().items()})
        self.score, self.final, self.begin, self.end, self.every = score, final, begin, end, every
        self.history: list[tuple[int, float]] = []

    def __call__(self, step: int) -> None:
        """Keep what is removed; remove more if it is time."""
        super().__call__(step)
        inside = self.begin <= step <= self.end
        if not inside or ((step - self.begin) % self.every and step != self.end):
            return
        wanted = gradual_sparsity(step, self.begin, self.end, self.final)
        scores = {n: np.where(self.masks[n], s, -1) for n, s in self.score().items()}
        self.masks = global_masks(scores, wanted)
        self.history.append((step, sparsity(self.masks)))
        apply(self.model, self.masks)


def pruning_sensitivity(
    model: nn.Module,
    scores: Scores,
    sparsities: Sequence[float],
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the accuracy when one layer alone is pruned: name → float64 (sparsities,).

    Parameters
    ----------
    model : a PyTorch network, in evaluation mode; it stays as it is.
    scores : name of a layer → its scores; these layers are tried.
    sparsities : shares to remove, each from 0 to 1.
    images : float32 (n, height, width, channels). Not the test pictures, if you choose by it.
    labels : integer classes (n,).

    Raises
    ------
    ValueError
        If scores do not fit the network, or pictures or labels are of another kind.

    Taught in: notebooks/10_pruning_weights_and_activations.ipynb
    """
    accuracies = {}
    for name, values in scores.items():
        networks = (pruned(model, {name: layer_mask(values, s)}) for s in sparsities)
        answers = (torch_training.scores(n, images).argmax(axis=1) for n in networks)
        accuracies[name] = np.array([measure.accuracy(a, labels).value for a in answers])
    return accuracies


def _check_masks(model: nn.Module, masks: Masks) -> None:
    """Raise a ValueError if masks do not fit the network, or would not stay applied to it."""
    modules, owners = dict(model.named_modules()), {}
    for name, mask in masks.items():
        layer = modules.get(name)
        if getattr(layer, "weight", None) is None or layer.weight.ndim < 2:
            raise ValueError(f"the network has no convolution or dense layer {name!r} to prune")
        weight = own_weight(layer, name)
        if mask.dtype != bool or mask.shape != tuple(weight.shape):
            raise ValueError(
                f"{name}: expected a mask bool {tuple(weight.shape)}, got {mask.dtype} {mask.shape}"
            )
        if owners.setdefault(weight, name) != name:
            raise ValueError(f"{name} and {owners[weight]} share one weight: give one mask for it")
