"""Firmware on an emulated core (Unicorn): its output, its instructions, its stack, its faults.

An emulator runs the same instructions as the chip and knows nothing of their time: no wait states
of the flash, no pipeline. Instructions are counted, cycles are not.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

import numpy as np
import unicorn
from unicorn import arm64_const, arm_const, riscv_const

from edge_course.microcontroller.compiler import CSource
from edge_course.microcontroller.firmware import Firmware

PAINT = b"\xa5"


class CoreError(RuntimeError):
    """A program that faulted or did not end; the message says at which address and in what."""


class CallCost(NamedTuple):
    """What one call took.

    Attributes
    ----------
    instructions : that the core executed.
    stack_bytes : the deepest that the stack reached.
    """

    instructions: int
    stack_bytes: int


class _Kind(NamedTuple):
    """What the emulator must be told about a kind of core, and what it calls its registers."""

    architecture: int
    mode: int
    constants: ModuleType
    prefix: str  # of the names of cores and registers in there
    names: tuple[str, ...]  # counter, stack, where a function returns to, four arguments
    thumb: int  # 1: the last bit of a function's address says "Thumb code"
    long: Callable[[int], bool]  # whether an instruction that begins so has four bytes, not two

    @property
    def registers(self) -> list[int]:
        return [getattr(self.constants, f"UC_{self.prefix}_REG_{name}") for name in self.names]


_KINDS = {  # the first word of Zig's target → the kind
    "thumb": _Kind(
        unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS, arm_const, "ARM",
        ("PC", "SP", "LR", "R0", "R1", "R2", "R3"), 1, lambda half: half >> 11 >= 0b11101,
    ),
    "aarch64": _Kind(
        unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM, arm64_const, "ARM64",
        ("PC", "SP", "LR", "X0", "X1", "X2", "X3"), 0, lambda half: True,
    ),
    "riscv32": _Kind(
        unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32, riscv_const, "RISCV",
        ("PC", "SP", "RA", "A0", "A1", "A2", "A3"), 0, lambda half: half & 3 == 3,
    ),
}  # fmt: skip


class Board:
    """An emulated chip with a program in its flash, started and ready.

    Parameters
    ----------
    firmware : the program.
    longest_call : seconds; what takes longer is taken for a program without an end.

    Raises
    ------
    CoreError
        If its start-up code faults.

    Taught in: notebooks/20_microcontroller.ipynb
    """

    def __init__(self, firmware: Firmware, longest_call: float = 10):
        core = firmware.core
        self.firmware = firmware
        self._longest_call = longest_call
        self._kind = kind = _KINDS[core.zig_target.split("-")[0]]
        self._counter, self._stack, self._back, *self._arguments = kind.registers
        self._machine = unicorn.Uc(kind.architecture, kind.mode)
        if core.unicorn_cpu:
            cpu = getattr(kind.constants, f"UC_CPU_{kind.prefix}_{core.unicorn_cpu}")
            self._machine.ctl_set_cpu_model(cpu)
        if kind.prefix == "ARM64":  # its vector registers are locked when it starts
            self._machine.reg_write(arm64_const.UC_ARM64_REG_CPACR_EL1, 0b11 << 20)
        self._machine.mem_map(
            core.flash_start, core.flash_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        )
        self._machine.mem_map(
            core.ram_start, core.ram_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        )
        for address, content in firmware.segments:
            self._machine.mem_write(address, content)
        self._stop = firmware.symbols["ready"].address
        self._counts: dict[tuple[int, int], int] = {}  # address and bytes of a block → instructions
        self.call("reset")

    def call(self, name: str, *arguments: int) -> int:
        """Call a function with up to four whole numbers of 32 bits, and return its result (int32).

        Raises
        ------
        ValueError
            If there are more arguments, or larger ones, or no such function.
        CoreError
            If it faults, or does not return in time.
        """
        machine, symbols = self._machine, self.firmware.symbols
        wide = [a for a in arguments if not -(2**31) <= a < 2**32]
        if wide or len(arguments) > len(self._arguments):
            raise ValueError(f"expected up to four whole numbers of 32 bits, got {arguments}")
        if name not in symbols:
            raise ValueError(f"no {name} in the program; entries= of build keeps what is named")
        machine.reg_write(self._stack, symbols["stack_top"].address)
        machine.reg_write(self._back, self._stop | self._kind.thumb)
        for register, argument in zip(self._arguments, arguments, strict=False):
            machine.reg_write(register, argument & 0xFFFF_FFFF)
        begin = symbols[name].address | self._kind.thumb
        try:
            machine.emu_start(begin, self._stop, timeout=int(self._longest_call * 1e6))
        except unicorn.UcError as error:
            raise CoreError(f"{name}: {error}, {self._where()}") from None
        if machine.reg_read(self._counter) != self._stop:
            late = machine.query(unicorn.UC_QUERY_TIMEOUT)
            what = f"no end after {self._longest_call} s" if late else "the core waits for good"
            raise CoreError(f"{name}: {what}, {self._where()}")
        return ctypes.c_int32(machine.reg_read(self._arguments[0])).value

    def run(self, source: CSource, x: np.ndarray) -> np.ndarray:
        """Return the codes that a network in the firmware returns for input codes.

        Parameters
        ----------
        source : the network.
        x : int8 (n, …).

        Returns
        -------
        np.ndarray
            int8 (n, output bytes).

        Raises
        ------
        ValueError
            If x has another dtype or size.
        CoreError
            As `call`.
        """
        into, out = (self._pointer(f"model_{end}") for end in ("input", "output"))

        def run(codes: bytes) -> bytes:
            self._machine.mem_write(into, codes)
            self.call("model_run")
            return bytes(self._machine.mem_read(out, source.output_bytes))

        return source.run_each(x, run)

    def _pointer(self, name: str) -> int:
        symbol = self.firmware.symbols[name]
        return int.from_bytes(self._machine.mem_read(symbol.address, symbol.bytes), "little")

    def measure(self, name: str, *arguments: int) -> CallCost:
        """Call a function and count its instructions and the bytes of its stack.

        Raises
        ------
        CoreError
            As `call`.
        """
        top = self.firmware.symbols["stack_top"].address
        bottom = self.firmware.core.ram_start
        self._machine.mem_write(bottom, PAINT * (top - bottom))
        count = 0

        def block(machine: unicorn.Uc, address: int, size: int, _: object) -> None:
            nonlocal count
            if (address, size) not in self._counts:
                self._counts[address, size] = self._instructions(address, size)
            count += self._counts[address, size]

        hook = self._machine.hook_add(unicorn.UC_HOOK_BLOCK, block)
        self._machine.ctl_flush_tb()  # what was translated before the hook would not call it
        try:
            with _interrupted_afterwards():
                self.call(name, *arguments)
        finally:
            self._machine.hook_del(hook)
            self._machine.ctl_flush_tb()
        stack = bytes(self._machine.mem_read(bottom, top - bottom))
        return CallCost(count, len(stack.lstrip(PAINT)))

    def _instructions(self, address: int, size: int) -> int:
        """Return how many instructions lie in a block: they have two or four bytes each."""
        block = np.frombuffer(self._machine.mem_read(address, size), "<u2")
        place = count = 0
        while place < len(block):
            place += 2 if self._kind.long(int(block[place])) else 1
            count += 1
        return count

    def _where(self) -> str:
        """Return where the core stands: an address, and the function that it lies in."""
        address = self._machine.reg_read(self._counter)
        inside = [
            f"in {name} + {address - symbol.address}"
            for name, symbol in self.firmware.symbols.items()
            if symbol.address <= address < symbol.address + symbol.bytes
        ]
        return f"at address {address:#010x}, {(inside or ['in no function'])[0]}"


@contextmanager
def _interrupted_afterwards() -> Iterator[None]:
    """Hold Ctrl-C back: raised in a function that C calls, it would be lost, and a block too."""
    if threading.current_thread() is not threading.main_thread():  # the only one it interrupts
        yield
        return
    pressed = []
    kept = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, kept)
        if pressed:
            raise KeyboardInterrupt
