"""Six chips, their memories, and how to compile for the processor cores inside them."""

from __future__ import annotations

from typing import NamedTuple

from edge_course.cost_models.roofline import MICROCONTROLLER, SENSOR

KIB = 2**10


class Core(NamedTuple):
    """A processor core in a chip.

    Attributes
    ----------
    name : of the core.
    chip : a chip with that core.
    zig_target, zig_cpu : what Zig's compiler calls it.
    unicorn_cpu : what the emulator Unicorn calls an Arm core; empty for RISC-V.
    flash_start, flash_bytes : the memory for program and constants.
    ram_start, ram_bytes : the memory for everything that changes, in one piece.
    clock : cycles a second, at most.
    source : where the numbers come from.
    """

    name: str
    chip: str
    zig_target: str
    zig_cpu: str
    unicorn_cpu: str
    flash_start: int
    flash_bytes: int
    ram_start: int
    ram_bytes: int
    clock: float
    source: str


_ARM = "thumb-freestanding-eabi"
M0_PLUS = Core(
    "Cortex-M0+", "STM32L072CZ", _ARM, "cortex_m0plus", "CORTEX_M0",
    0x0800_0000, SENSOR.memory_bytes, 0x2000_0000, SENSOR.ram_bytes, SENSOR.clocks[0],
    SENSOR.source,
)  # fmt: skip
M4 = Core(
    "Cortex-M4", "STM32F407VG", _ARM, "cortex_m4", "CORTEX_M4",
    0x0800_0000, MICROCONTROLLER.memory_bytes, 0x2000_0000, MICROCONTROLLER.ram_bytes,
    MICROCONTROLLER.clocks[0], MICROCONTROLLER.source,
)  # fmt: skip
M7 = Core(
    "Cortex-M7", "STM32F746NG", _ARM, "cortex_m7", "CORTEX_M7",
    0x0800_0000, 1024 * KIB, 0x2001_0000, 256 * KIB, 216e6,
    "ST datasheet DS10916: 216 MHz, 1 MiB of flash, SRAM1 and SRAM2 (240 + 16 KiB) in one piece "
    "behind 64 KiB of tightly coupled memory",
)  # fmt: skip
M33 = Core(
    "Cortex-M33", "nRF9160", _ARM, "cortex_m33+dsp", "CORTEX_M33",
    0x0000_0000, 1024 * KIB, 0x2000_0000, 256 * KIB, 64e6,
    "Nordic nRF9160 Product Specification: 64 MHz, 1 MB of flash, 256 KB of RAM",
)  # fmt: skip
RISC_V = Core(
    "RV32IMC", "GD32VF103CB", "riscv32-freestanding-none", "generic_rv32+m+c", "",
    0x0800_0000, 128 * KIB, 0x2000_0000, 32 * KIB, 108e6,
    "GigaDevice GD32VF103 datasheet: RV32IMAC at 108 MHz, 128 KB of flash, 32 KB of RAM",
)  # fmt: skip
CORES = (M0_PLUS, M4, M7, M33, RISC_V)
# A core for an operating system, here without one. It has no flash: the boot loader copies the
# program into the RAM, and two pieces of that are all that is used.
A53 = Core(
    "Cortex-A53", "BCM2837", "aarch64-freestanding-none", "cortex_a53", "A53",
    0x0008_0000, 1024 * KIB, 0x0020_0000, 1024 * KIB, 1.2e9,
    "Raspberry Pi documentation, Processors and Booting: Raspberry Pi 3, 1.2 GHz, 1 GB of RAM, "
    "64-bit programs start at 0x80000",
)  # fmt: skip
