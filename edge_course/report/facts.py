"""What a report says about a model file. What cannot be told is `Unknown`, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from edge_course.cost_models import roofline
from edge_course.cost_models.roofline import Chip, Work
from edge_course.measure import Accuracy, Spread

_T = TypeVar("_T")


@dataclass(frozen=True)
class Unknown:
    """Something that cannot be told of this file, and why."""

    reason: str

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


def known_or_why(function: Callable[..., _T], *arguments: object) -> _T | Unknown:
    """Return what a function returns, or what its ValueError says as an `Unknown`."""
    try:
        return function(*arguments)
    except ValueError as error:
        return Unknown(" ".join(str(error).split()))


class OperatorRow(NamedTuple):
    """All operators of one name.

    Attributes
    ----------
    name : as in the file.
    count : how many there are.
    macs : multiply-accumulates of all of them, for one input.
    """

    name: str
    count: int
    macs: int | Unknown


@dataclass(frozen=True)
class Contents:
    """What is in a model file.

    Attributes
    ----------
    inputs, outputs : dtype and shape in words.
    operators : one row for each name, the most multiply-accumulates first.
    weights, weight_bytes : numbers that were learned, without scales and zero points.
    alive : bytes of the activations alive while each operator works, in the order of the file;
        of an ONNX file without what `edge_course.cost_models.onnx_work.on_codes` leaves out.
    work : what one input costs.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[OperatorRow, ...]
    weights: int
    weight_bytes: int
    alive: tuple[int, ...] | Unknown
    work: Work | Unknown

    @property
    def counted_macs(self) -> int:
        """Multiply-accumulates of the operators that are counted."""
        return sum(o.macs for o in self.operators if isinstance(o.macs, int))

    @property
    def not_counted(self) -> tuple[OperatorRow, ...]:
        """The operators whose multiply-accumulates are unknown."""
        return tuple(o for o in self.operators if isinstance(o.macs, Unknown))


@dataclass(frozen=True)
class ModelFacts:
    """What one file is and does.

    Attributes
    ----------
    name, format : the path as given; "TFLite" or "ONNX".
    bytes, gzip : of the file, with weights that ONNX keeps in another file.
    contents : what is in it.
    microseconds : for one input on one thread of this machine.
    accuracy : on the labelled data; None if there are no labels.
    """

    name: str
    format: str
    bytes: int
    gzip: int
    contents: Contents | Unknown
    microseconds: Spread | Unknown
    accuracy: Accuracy | Unknown | None


class LayerError(NamedTuple):
    """How far a layer's output lies from that of the float32 file.

    Attributes
    ----------
    name : of the tensor in both files.
    decibels : signal to noise, 10·log₁₀(Σ signal² / Σ error²); infinite if there is no error.
    """

    name: str
    decibels: float


@dataclass(frozen=True)
class LayerErrors:
    """The layers of the float32 file, found in the int8 file by their names or not."""

    matched: tuple[LayerError, ...]
    unmatched: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two files side by side.

    Attributes
    ----------
    other : the file given by ``--against``.
    faster : how many times longer the other one takes, round by round.
    agreement : share of the inputs on which both give one class; None without data.
    layers : the error of each layer against the other file.
    """

    other: ModelFacts
    faster: Spread | Unknown
    agreement: float | Unknown | None
    layers: LayerErrors | Unknown


@dataclass(frozen=True)
class ReportFacts:
    """Everything that a report says.

    Attributes
    ----------
    model : the file.
    samples : how many inputs the data has; 0 without data.
    comparison : None if there is only one file.
    """

    model: ModelFacts
    samples: int = 0
    comparison: Comparison | None = field(default=None)


class ChipFit(NamedTuple):
    """A network on a chip that is not in this room.

    Attributes
    ----------
    chip : the chip.
    fits : whether its memory holds the weights.
    runs : whether its RAM holds the activations that are alive at once.
    seconds : for one input, *modelled*.
    """

    chip: Chip
    fits: bool
    runs: bool | Unknown
    seconds: float | Unknown


def chip_fits(contents: Contents) -> list[ChipFit]:
    """Return for each of the course's chips what fits, and the modelled time."""

    def seconds(chip: Chip) -> float | Unknown:
        if isinstance(contents.work, Unknown):
            return contents.work
        return known_or_why(roofline.modelled_seconds, chip, contents.work)

    def runs(chip: Chip) -> bool | Unknown:
        if isinstance(contents.alive, Unknown):
            return contents.alive
        return max(contents.alive) <= chip.ram_bytes

    return [
        ChipFit(chip, contents.weight_bytes <= chip.memory_bytes, runs(chip), seconds(chip))
        for chip in roofline.CHIPS
    ]
