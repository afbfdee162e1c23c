"""What each operator of an int8 network is in C: one function, with its sizes as numbers.

The arithmetic is TFLM's, `kernels="micro"` of `integer_inference`. Each function here fills a
template: what can be known before the program is compiled (sizes, multipliers, the range of an
activation) stands in the C as a number.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from string import Template

import numpy as np

from edge_course.integer_inference.step import Step
from edge_course.networks import layout
from edge_course.quantization.fixed_point import quantize_multiplier, quantize_multipliers
from edge_course.runtimes.model_files import ModelError
from edge_course.runtimes.tflite_file import Operator

# Name of an operator → function of a step and of the C function's name → C: constants, and the
# body of a function that reads x (and x1) and writes y.
TO_C: dict[str, Callable[[Step, str], tuple[str, str]]] = {}


def in_c(name: str) -> Callable:
    """Enter the decorated function into the table `TO_C`."""

    def enter(function: Callable) -> Callable:
        TO_C[name] = function
        return function

    return enter


def not_in_c(operator: Operator, reason: str) -> ModelError:
    """Return the error that says why an operator is not written as C."""
    return ModelError(f"cannot write {operator.name} as C ({operator.outputs[0].name!r}): {reason}")


def c_array(name: str, values: np.ndarray) -> str:
    """Return the definition of a constant array of whole numbers."""
    numbers = [str(n) for n in np.ravel(values).tolist()]
    rows = [", ".join(numbers[i : i + 16]) for i in range(0, len(numbers), 16)]
    body = ",\n  ".join(rows)
    return f"static const {values.dtype}_t {name}[{len(numbers)}] = {{\n  {body}}};\n"


def _filled(template: str, **values: object) -> str:
    return Template(template).substitute(values)


def _end(step: Step) -> dict[str, int]:
    """Return the output's zero point and the range of its codes."""
    low, high = step.code_range
    return {"zero_out": int(step.output.zero_points[0]), "low": low, "high": high}


def _zero(step: Step, i: int = 0) -> int:
    return int(step.tensor(i).zero_points[0])


def _weights(step: Step, name: str, per_filter: np.ndarray) -> tuple[str, str]:
    """Return a layer's constants, and the C of its rescaling by filter.

    Parameters
    ----------
    per_filter : what is taken off each bias: z · the sum of a filter's weights where the zero
        point z is folded into the bias, as sum((x - z) * w) is sum(x * w) - z * sum(w).
    """
    bias = np.ravel(step.bias()) - per_filter
    if np.abs(bias).max() >= 2**31:
        raise not_in_c(step.operator, "a bias leaves 32 bits when the zero point is folded in")
    arrays = {"w": step.codes(1), "bias": bias.astype(np.int32)}
    multipliers, shifts = quantize_multipliers(step.product_scale())
    if len(multipliers) == 1:
        rescaling = f"{multipliers[0]}, {shifts[0]}"
    else:
        arrays |= {"multiplier": multipliers.astype(np.int32), "shift": shifts.astype(np.int8)}
        rescaling = f"{name}_multiplier[f], {name}_shift[f]"
    return "".join(c_array(f"{name}_{k}", v) for k, v in arrays.items()), rescaling


# Operators with a window ------------------------------------------------------------------------

_WINDOW = """\
  for (int row = 0; row < $rows; row++)
    for (int column = 0; column < $columns; column++) {
      const int top = row * $stride_h - $pad_top, left = column * $stride_w - $pad_left;
$inside$body    }
"""
# Windows that reach over the edge are cut to the part inside the picture.
_CUT = """\
      const int i0 = top < 0 ? -top : 0, j0 = left < 0 ? -left : 0;
      const int i1 = top + $kernel_h > $height ? $height - top : $kernel_h;
      const int j1 = left + $kernel_w > $width ? $width - left : $kernel_w;
"""
_WHOLE = "      const int i0 = 0, j0 = 0, i1 = $kernel_h, j1 = $kernel_w;\n"


def _window(step: Step, kernel: tuple[int, int]) -> dict[str, int]:
    """Return the numbers of a window that moves over a picture."""
    o = step.options
    if max(getattr(o, "dilationHFactor", 1), getattr(o, "dilationWFactor", 1)) > 1:
        raise not_in_c(step.operator, "it is dilated")
    _, height, width, channels = step.tensor(0).shape
    _, rows, columns, filters = step.output.shape
    sizes = zip((height, width), kernel, (o.strideH, o.strideW), strict=True)
    pads = [layout.same_pads(*size, 1) if o.padding == 0 else (0, 0) for size in sizes]
    return {
        "height": height, "width": width, "channels": channels,
        "rows": rows, "columns": columns, "filters": filters, "multiplied": filters // channels,
        "kernel_h": kernel[0], "kernel_w": kernel[1],
        "stride_h": o.strideH, "stride_w": o.strideW,
        "pad_top": pads[0][0], "pad_left": pads[1][0],
        "padded": int(np.any(pads)),
    }  # fmt: skip


def _over_windows(window: dict[str, int], body: str, **values: object) -> str:
    values |= window
    inside = _filled(_CUT if window["padded"] else _WHOLE, **values)
    return _filled(_WINDOW, **values | {"inside": inside, "body": _filled(body, **values)})


def _convolution(step: Step, name: str, axes: tuple[int, ...], body: str) -> tuple[str, str]:
    """Return a layer with a window; ``axes`` of its weights are those that a filter adds up."""
    kernel = step.codes(1).astype(np.int64)
    window = _window(step, kernel.shape[1:3])
    # What a window lacks at the edge has no weight to be folded: x - z is computed there.
    zero = _zero(step) if window["padded"] else 0
    folded = (_zero(step) - zero) * kernel.sum(axis=axes)
    constants, rescaling = _weights(step, name, folded)
    given = {"name": name, "zero": zero, "rescaling": rescaling}
    return constants, _over_windows(window, body, **given, **_end(step))


@in_c("CONV_2D")
def _conv_2d(step: Step, name: str) -> tuple[str, str]:
    if step.tensor(1).shape[3] != step.tensor(0).shape[3]:
        raise not_in_c(step.operator, "its channels are in groups")
    body = """\
      for (int f = 0; f < $filters; f++) {
        int32_t sum = ${name}_bias[f];
        for (int i = i0; i < i1; i++)
          sum += dot(x + ((top + i) * $width + left + j0) * $channels,
                     ${name}_w + ((f * $kernel_h + i) * $kernel_w + j0) * $channels,
                     (j1 - j0) * $channels, $zero);
        *y++ = code(rescale(sum, $rescaling) + $zero_out, $low, $high);
      }
"""
    return _convolution(step, name, (1, 2, 3), body)


@in_c("DEPTHWISE_CONV_2D")
def _depthwise_conv_2d(step: Step, name: str) -> tuple[str, str]:
    body = """\
      for (int f = 0; f < $filters; f++) {
        int32_t sum = ${name}_bias[f];
        for (int i = i0; i < i1; i++) {
          const int8_t *q = x + ((top + i) * $width + left + j0) * $channels + f / $multiplied;
          const int8_t *w = ${name}_w + (i * $kernel_w + j0) * $filters + f;
          for (int j = j0; j < j1; j++, q += $channels, w += $filters) sum += (*q - $zero) * *w;
        }
        *y++ = code(rescale(sum, $rescaling) + $zero_out, $low, $high);
      }
"""
    return _convolution(step, name, (0, 1, 2), body)


def _pool(step: Step, body: str) -> tuple[str, str]:
    kernel = (step.options.filterHeight, step.options.filterWidth)
    return "", _over_windows(_window(step, kernel), body, **_end(step))


@in_c("MAX_POOL_2D")
def _max_pool_2d(step: Step, _: str) -> tuple[str, str]:
    body = """\
      for (int c = 0; c < $channels; c++) {
        int32_t most = -128;
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++) {
            const int8_t q = x[((top + i) * $width + left + j) * $channels + c];
            if (q > most) most = q;
          }
        *y++ = code(most, $low, $high);
      }
"""
    return _pool(step, body)


@in_c("AVERAGE_POOL_2D")
def _average_pool_2d(step: Step, _: str) -> tuple[str, str]:
    body = """\
      const int32_t count = (i1 - i0) * (j1 - j0);
      for (int c = 0; c < $channels; c++) {
        int32_t sum = 0;
        for (int i = i0; i < i1; i++)
          for (int j = j0; j < j1; j++)
            sum += x[((top + i) * $width + left + j) * $channels + c];
        *y++ = code((sum > 0 ? sum + count / 2 : sum - count / 2) / count, $low, $high);
      }
"""
    return _pool(step, body)


# Operators without ------------------------------------------------------------------------------


@in_c("FULLY_CONNECTED")
def _fully_connected(step: Step, name: str) -> tuple[str, str]:
    kernel = step.codes(1).astype(np.int64)  # (units, inputs)
    units, inputs = kernel.shape
    constants, rescaling = _weights(step, name, _zero(step) * kernel.sum(axis=1))
    body = """\
  for (int row = 0; row < $rows; row++)
    for (int f = 0; f < $units; f++) {
      const int32_t sum = dot(x + row * $inputs, ${name}_w + f * $inputs, $inputs, 0);
      *y++ = code(rescale(sum + ${name}_bias[f], $rescaling) + $zero_out, $low, $high);
    }
"""
    sizes = {"rows": prod(step.tensor(0).shape) // inputs, "units": units, "inputs": inputs}
    return constants, _filled(body, name=name, rescaling=rescaling, **sizes, **_end(step))


@in_c("ADD")
def _add(step: Step, _: str) -> tuple[str, str]:
    shapes = {step.tensor(0).shape, step.tensor(1).shape}
    if len(shapes) > 1:
        raise not_in_c(step.operator, f"it adds other shapes to each other: {shapes}")
    first, second = (float(step.tensor(i).scales[0]) for i in (0, 1))
    common = 2 * max(first, second)  # 20 bits behind the point of the smaller input are kept
    real = (first / common, second / common, common / (2**20 * float(step.output.scales[0])))
    by = [", ".join(map(str, quantize_multiplier(r))) for r in real]
    body = """\
  for (int k = 0; k < $size; k++) {
    const int32_t a = rescale((x[k] - $zero) * (1 << 20), $by_first);
    const int32_t b = rescale((x1[k] - $zero_second) * (1 << 20), $by_second);
    y[k] = code(rescale(a + b, $by_sum) + $zero_out, $low, $high);
  }
"""
    return "", _filled(
        body, size=prod(step.output.shape), zero=_zero(step), zero_second=_zero(step, 1),
        by_first=by[0], by_second=by[1], by_sum=by[2], **_end(step),
    )  # fmt: skip


@in_c("MEAN")
def _mean(step: Step, _: str) -> tuple[str, str]:
    shape = step.tensor(0).shape
    if len(shape) != 4 or {int(a) % 4 for a in np.ravel(step.codes(1))} != {1, 2}:
        raise not_in_c(step.operator, "it is not over the rows and the columns of a picture")
    count = shape[1] * shape[2]
    multiplier, shift = quantize_multiplier(float(step.ratio()[0]))
    # As many bits as the count has are made room for before the whole multiplier is divided.
    room = min(count.bit_length() - 1, 32, 31 + shift)
    body = """\
  for (int c = 0; c < $channels; c++) {
    int32_t sum = 0;
    for (int k = 0; k < $count; k++) sum += x[k * $channels + c] - $zero;
    *y++ = code(rescale(sum, $multiplier, $shift) + $zero_out, $low, $high);
  }
"""
    return "", _filled(
        body, channels=shape[3], count=count, zero=_zero(step),
        multiplier=(multiplier << room) // count, shift=shift - room, **_end(step),
    )  # fmt: skip


@in_c("PAD")
def _pad(step: Step, _: str) -> tuple[str, str]:
    borders = [tuple(pair) for pair in step.codes(1).tolist()]
    if len(borders) != 4 or any(borders[0] + borders[3]):
        raise not_in_c(step.operator, "it pads something else than rows and columns of a picture")
    if len(step.operator.inputs) > 2:
        raise not_in_c(step.operator, "it pads with a number of its own")
    _, height, width, channels = step.tensor(0).shape
    rows = step.output.shape[1]
    body = """\
  for (int row = 0; row < $rows; row++) {
    const int inside = row >= $top && row < $top + $height;
    for (int k = 0; k < $left; k++) *y++ = $zero_out;
    for (int k = 0; k < $width; k++) *y++ = inside ? *x++ : $zero_out;
    for (int k = 0; k < $right; k++) *y++ = $zero_out;
  }
"""
    (top, _), (left, right) = borders[1:3]
    return "", _filled(
        body, rows=rows, top=top, height=height, left=left * channels, width=width * channels,
        right=right * channels, zero_out=_end(step)["zero_out"],
    )  # fmt: skip


@in_c("EXPAND_DIMS")
@in_c("RESHAPE")
@in_c("SQUEEZE")
def _reshape(step: Step, _: str) -> tuple[str, str]:
    return "", f"  for (int k = 0; k < {prod(step.output.shape)}; k++) y[k] = x[k];\n"


@in_c("SOFTMAX")
def _softmax(step: Step, name: str) -> tuple[str, str]:
    step_size = float(step.tensor(0).scales[0]) * step.options.beta
    table = np.rint(2.0**30 * np.exp(-step_size * np.arange(256))).astype(np.uint32)
    size = step.output.shape[-1]
    body = """\
  for (int row = 0; row < $rows; row++, x += $size) {
    int32_t most = -128;
    uint64_t total = 0;
    for (int k = 0; k < $size; k++) most = x[k] > most ? x[k] : most;
    for (int k = 0; k < $size; k++) total += ${name}_powers[most - x[k]];
    for (int k = 0; k < $size; k++) {
      const uint64_t share = (256 * (uint64_t)${name}_powers[most - x[k]] + total / 2) / total;
      *y++ = code((int32_t)share - 128, -128, 127);
    }
  }
"""
    rows = prod(step.output.shape[:-1])
    return c_array(f"{name}_powers", table), _filled(body, rows=rows, size=size, name=name)
