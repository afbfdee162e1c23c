"""How fast a network can run at best on a chip: Williams, Waterman & Patterson (2009).

"Roofline: An Insightful Visual Performance Model for Multicore Architectures",
Communications of the ACM 52(4). A chip does at most ``peak`` multiply-accumulates a second,
and it can do no more than the memory feeds: ``intensity × memory_bandwidth``.

Everything here is *modelled*: published constants of chips that are not in this room. A
real program stays below its roof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from edge_course import measure
from edge_course.runtimes import tflite_file
from edge_course.runtimes.tflite_file import Operator, Tensor

#: Share of the roof that a real program reaches: an assumption, the same for every chip. It is
#: what Lai, Suda & Chandra (2018), "CMSIS-NN", report for a small CNN on a Cortex-M7 at 216 MHz:
#: 24.7 million operations in 99.1 ms, that is 0.58 of at most 2 multiply-accumulates per cycle.
REACHED = 0.3


@dataclass(frozen=True)
class Chip:
    """The published constants of a chip, for int8 arithmetic.

    Attributes
    ----------
    name : what it is called here.
    clocks : cycles per second, one number per core.
    macs_per_cycle : int8 multiply-accumulates that one core can start in one cycle.
    memory_bandwidth : bytes per second from the memory that holds the weights.
    memory_bytes : size of that memory.
    ram_bytes : size of the memory that activations can be written to, in one piece.
    source : where the numbers come from.
    """

    name: str
    clocks: tuple[float, ...]
    macs_per_cycle: float
    memory_bandwidth: float
    memory_bytes: float
    ram_bytes: float
    source: str

    @property
    def peak(self) -> float:
        """Multiply-accumulates per second if memory were no limit: cores × clock × MACs/cycle."""
        return sum(self.clocks) * self.macs_per_cycle

    @property
    def ridge(self) -> float:
        """MACs per byte from which on arithmetic is the limit, and memory no longer."""
        return self.peak / self.memory_bandwidth


#: A sensor's chip, as it sits in LoRa modules. Not one of `CHIPS`, which notebook 01 compares:
#: notebooks 14 and 15 divide networks over such chips.
SENSOR = Chip(
    "sensor (Cortex-M0+)",
    clocks=(32e6,),
    macs_per_cycle=0.5,
    memory_bandwidth=4 * 32e6 / 2,
    memory_bytes=192 * 2**10,
    ram_bytes=20 * 2**10,
    source="ST STM32L072CZ: datasheet DS10685 (32 MHz, 192 KB of flash, 20 KB of RAM), reference "
    "manual RM0376 (flash is read in words of 4 bytes, 2 cycles each at 32 MHz); Arm Cortex-M0+ "
    "Technical Reference Manual (MULS and ADDS take a cycle each, and there are no instructions "
    "for several small numbers at once)",
)
MICROCONTROLLER = Chip(
    "microcontroller (Cortex-M4)",
    clocks=(168e6,),
    macs_per_cycle=2,
    memory_bandwidth=16 * 168e6 / 6,
    memory_bytes=2**20,
    ram_bytes=128 * 2**10,
    source="ST STM32F407VG: datasheet DS8626 (168 MHz, 1 MiB of flash; 112 + 16 KiB of RAM in one "
    "piece, 64 more apart), reference manual RM0090 (flash is read in lines of 16 bytes, "
    "6 cycles each at 168 MHz); Arm Cortex-M4 Technical Reference Manual (SMLAD: two 16-bit "
    "multiply-accumulates in one cycle)",
)
#: Watts of this microcontroller at work: "as low as 238 µA/MHz at 168 MHz", running from flash
#: (ST's product page of the STM32F407), at 3.3 V.
MICROCONTROLLER_WATTS = 3.3 * 238e-6 * 168

BOARD = Chip(
    "small board (Raspberry Pi 4)",
    clocks=(1.5e9,) * 4,
    macs_per_cycle=8,
    memory_bandwidth=3200e6 * 32 / 8,
    memory_bytes=8 * 2**30,
    ram_bytes=8 * 2**30,
    source="Raspberry Pi 4 Model B specifications (BCM2711, four Cortex-A72 at 1.5 GHz, up to 8 GB "
    "of LPDDR4-3200, here on a bus of 32 bits); Arm Cortex-A72 Software Optimization Guide (one "
    "pipeline multiplies integers: one SMLAL, 8 products of int8, in a cycle)",
)
PHONE = Chip(
    "phone (Snapdragon 855, big cores)",
    clocks=(2.84e9, 2.42e9, 2.42e9, 2.42e9),
    macs_per_cycle=32,
    memory_bandwidth=2 * 2133e6 * 64 / 8,
    memory_bytes=8 * 2**30,
    ram_bytes=8 * 2**30,
    source="Qualcomm Snapdragon 855 product brief (one core at 2.84 and three at 2.42 GHz, "
    "LPDDR4X at 2133 MHz, two transfers a cycle, four channels of 16 bits); Arm Cortex-A76 "
    "Software Optimization Guide (two SDOT, 16 products of int8 each, in a cycle); 8 GB of memory "
    "are assumed. Its graphics and signal processors, which could do more, are left out",
)
SERVER = Chip(
    "server (NVIDIA A100)",
    clocks=(1.41e9,) * 108,
    macs_per_cycle=2048,
    memory_bandwidth=1555e9,
    memory_bytes=40e9,
    ram_bytes=40e9,
    source="NVIDIA A100 Tensor Core GPU datasheet (624 TOPS of int8, 1,555 GB/s, 40 GB) and "
    "architecture whitepaper (108 multiprocessors at 1.41 GHz); one operation of the 624 is half "
    "a multiply-accumulate",
)
CHIPS = (MICROCONTROLLER, BOARD, PHONE, SERVER)


def attainable(peak: float, memory_bandwidth: float, intensity: float) -> float:
    """Return the most multiply-accumulates per second that a chip can do on a task.

    min(peak, intensity × memory_bandwidth): Williams, Waterman & Patterson (2009).

    Parameters
    ----------
    peak : multiply-accumulates per second that the arithmetic can do, positive.
    memory_bandwidth : bytes per second that the memory can deliver, positive.
    intensity : multiply-accumulates that the task does per byte it moves, at least 0;
        a number or an array.

    Returns
    -------
    float or np.ndarray
        MAC/s, the shape of ``intensity``.

    Raises
    ------
    ValueError
        If a number is NaN, the intensity negative, or the peak or the bandwidth not positive.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    if not (peak > 0 and memory_bandwidth > 0 and np.all(np.asarray(intensity) >= 0)):
        raise ValueError(
            "expected a positive peak (MAC/s) and memory bandwidth (byte/s) and an intensity "
            f"(MAC/byte) from 0, got {peak}, {memory_bandwidth}, {intensity}"
        )
    return np.minimum(peak, intensity * memory_bandwidth)


@dataclass(frozen=True)
class Work:
    """What one input through a network costs.

    Attributes
    ----------
    macs : multiply-accumulates.
    weight_bytes : bytes of weights and biases, read once however many inputs go through.
    activation_bytes : bytes of every layer's input and output.
    """

    macs: int
    weight_bytes: int
    activation_bytes: int

    def intensity(self, batch: int = 1) -> float:
        """Return MACs per byte moved when ``batch`` inputs share one reading of the weights.

        Raises
        ------
        ValueError
            If the batch is smaller than 1.
        """
        if batch < 1:
            raise ValueError(f"expected a batch of at least 1 input, got {batch}")
        return batch * self.macs / (self.weight_bytes + batch * self.activation_bytes)


def modelled_seconds(chip: Chip, work: Work) -> float:
    """Return the time of one int8 input on a chip: *modelled*, `REACHED` of its roof.

    Parameters
    ----------
    chip : for example one of `CHIPS`.
    work : of the network, with at least one multiply-accumulate.

    Raises
    ------
    ValueError
        If there is nothing to multiply: then the roofline says nothing.
    """
    if not work.macs:
        raise ValueError("expected at least one multiply-accumulate, got none to model a time of")
    return work.macs / (REACHED * attainable(chip.peak, chip.memory_bandwidth, work.intensity()))


# These say in another shape what is in memory already.
_MOVE_NOTHING = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
# These add, compare, copy or look up; none multiplies and adds the product to a sum.
_NO_MACS = (
    "ADD", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CONCATENATION", "DEQUANTIZE", "GATHER",
    "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PACK", "PAD", "QUANTIZE",
    "RELU", "RELU6", "SOFTMAX", "SPACE_TO_BATCH_ND", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE",
)  # fmt: skip


def work(operators: Sequence[Operator]) -> Work:
    """Return multiply-accumulates, weight bytes and activation bytes of a TFLite model.

    Every layer is taken to read its input and its weights once and to write its output
    once; nothing is kept in a cache from one layer to the next. Padding is multiplied like other
    numbers, as is usual in published counts. What only works out shapes costs nothing, and
    4-bit weights count as a byte each, as they are computed with.

    Parameters
    ----------
    operators : the model's operators as `edge_course.runtimes.tflite_file.read_tflite` returns
        them, of a model for one input at a time.

    Raises
    ------
    ValueError
        If there are none, the model takes several inputs at a time, or it has an operator
        that is not counted here.

    Taught in: notebooks/01_why_the_edge.ipynb
    """
    if not operators:
        raise ValueError("there are no operators to count: expected those of a TFLite model")
    _check_one_input_at_a_time(operators)
    shapes = tflite_file.shape_tensors(operators)
    macs = weight_bytes = activation_bytes = 0
    for operator in operators:
        if operator.outputs[0].index in shapes:
            continue
        macs += operator_macs(operator)
        if operator.name not in _MOVE_NOTHING:
            moved = [t for t in (*operator.given, *operator.outputs) if t.index not in shapes]
            weight_bytes += sum(_bytes(t) for t in moved if is_weight(t))
            activation_bytes += sum(_bytes(t) for t in moved if t.values is None)
    return Work(macs, weight_bytes, activation_bytes)


def _check_one_input_at_a_time(operators: Sequence[Operator]) -> None:
    """Refuse a network whose own inputs, which no operator writes, come several at a time."""
    written = {t.index for o in operators for t in o.outputs}
    for operator in operators:
        for t in operator.given:
            if t.values is None and t.index not in written and t.shape[:1] not in ((), (1,)):
                raise ValueError(
                    f"expected a model for one input at a time, got {t.shape[0]} in {operator.name}"
                )


def operator_macs(operator: Operator) -> int:
    """Return the multiply-accumulates of one operator, by the shapes that the schema states.

    Raises
    ------
    ValueError
        If the operator is not counted here.
    """
    output = operator.outputs[0].shape
    if operator.name == "CONV_2D":  # the kernel is (channels out, height, width, channels in)
        _, height, width, channels = operator.inputs[1].shape
        return output[0] * measure.conv_macs(output[1:], (height, width), channels)
    if operator.name == "DEPTHWISE_CONV_2D":  # the kernel is (1, height, width, channels out)
        kernel, channels = operator.inputs[1].shape[1:3], operator.inputs[0].shape[3]
        return output[0] * measure.conv_macs(output[1:], kernel, channels, groups=channels)
    if operator.name == "FULLY_CONNECTED":  # the kernel is (outputs, inputs), for each row
        return prod(output[:-1]) * measure.dense_macs(*reversed(operator.inputs[1].shape))
    if operator.name not in (*_NO_MACS, *_MOVE_NOTHING):
        raise ValueError(f"cannot count the operator {operator.name}")
    return 0


def is_weight(tensor: Tensor) -> bool:
    """Return whether a tensor is learned, and no setting such as axes or the width of a border."""
    return tensor.values is not None and (tensor.dtype.kind == "f" or len(tensor.scales) > 0)


def _bytes(tensor: Tensor) -> int:
    return prod(tensor.shape) * tensor.dtype.itemsize
