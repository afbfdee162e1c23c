"""One operator of an int8 network: what can be computed of it, its scales, its rescaling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edge_course.quantization.accumulator import HIGHEST, LOWEST
from edge_course.quantization.fixed_point import quantize_multipliers
from edge_course.runtimes.tflite_file import Operator, Tensor


class Step(NamedTuple):
    """One operator that is about to be computed.

    Attributes
    ----------
    operator : what the file says of it.
    values : index of a tensor → its codes, of all that were computed before.
    kernels : "default", "reference" or "micro", see `operators`.

    Taught in: notebooks/08_integer_only_inference.ipynb
    """

    operator: Operator
    values: dict[int, np.ndarray]
    kernels: str

    @property
    def fixed_point(self) -> bool:
        """Whether these kernels rescale with whole numbers, not with one float32 number."""
        return self.kernels != "default"

    @property
    def options(self) -> Any:
        """The operator's settings."""
        return self.operator.options

    @property
    def output(self) -> Tensor:
        """What the file says of the output."""
        return self.operator.outputs[0]

    def tensor(self, i: int) -> Tensor:
        """Return what the file says of an input."""
        return self.operator.inputs[i]

    def codes(self, i: int) -> np.ndarray:
        """Return an input as it is: computed, or a constant of the file."""
        tensor = self.tensor(i)
        return self.values.get(tensor.index, tensor.values)

    def centred(self, i: int) -> np.ndarray:
        """Return an input less its zero point, int32."""
        return self.codes(i).astype(np.int32) - self.tensor(i).zero_points.astype(np.int32)

    def bias(self) -> np.ndarray | int:
        """Return the third input, int32, or 0 if it is left out."""
        return self.codes(2) if len(self.operator.inputs) > 2 else 0

    def scale(self, tensor: Tensor) -> np.ndarray:
        """Return a scale in the precision in which these kernels compute with it."""
        return tensor.scales.astype(np.float64 if self.fixed_point else np.float32)

    def ratio(self) -> np.ndarray:
        """Return by what an input has to be multiplied: s₀ / s_out."""
        return self.scale(self.tensor(0)) / self.scale(self.output)

    def product_scale(self) -> np.ndarray:
        """Return by what a sum of products has to be multiplied: s₀ · s₁ / s_out."""
        return self.scale(self.tensor(0)) * self.scale(self.tensor(1)) / self.scale(self.output)

    def within(self, real: np.ndarray, low: float, high: float) -> Step:
        """Return this step, with the reference kernels if a multiplier is out of a range.

        XNNPACK refuses such an operator, and LiteRT falls back on its own kernel.
        """
        inside = np.all((low <= np.abs(real)) & (np.abs(real) < high))
        return self if inside else self._replace(kernels="reference")

    def rescaled(self, total: np.ndarray, real: np.ndarray, rescale: Callable) -> np.ndarray:
        """Return sums multiplied by a real number for all or for each channel, as codes.

        Parameters
        ----------
        total : int32 or int64.
        real : in the precision of `scale`.
        rescale : of `quantization.fixed_point`, for kernels in whole numbers.
        """
        if self.fixed_point:
            return self.clipped(rescale(total, *quantize_multipliers(real)))
        return self.clipped(np.rint(total.astype(np.float32) * real).astype(np.int64))

    def clipped(self, total: np.ndarray) -> np.ndarray:
        """Return a whole number as a code: plus zero point, within the activation's range."""
        return np.clip(total + int(self.output.zero_points[0]), *self.code_range).astype(np.int8)

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code that the activation at the operator's end lets pass."""
        low, high = LOWEST, HIGHEST
        zero_point = int(self.output.zero_points[0])
        activation = fused_activation(self.operator)
        if activation in ("RELU", "RELU6"):
            low = max(low, zero_point)
        if activation == "RELU6":
            six = np.float32(6) / self.output.scales[0]
            high = min(high, zero_point + math.floor(six + 0.5))
        return low, high


def fused_activation(operator: Operator) -> str:
    """Return the activation at an operator's end, such as "RELU"; RELU alone is its own."""
    from ai_edge_litert.schema_py_generated import ActivationFunctionType

    if operator.name in ("RELU", "RELU6"):
        return operator.name
    names = {number: name for name, number in vars(ActivationFunctionType).items()}
    return names[getattr(operator.options, "fusedActivationFunction", 0)]
