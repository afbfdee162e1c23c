"""Firmware on an emulated core (Unicorn): its output, its instructions, its stack, its faults.

An emulator runs the same instructions as the chip and knows nothing of their time: no wait states
of the flash, no pipeline. Instructions are counted, cycles are not.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import unicorn
from unicorn import arm_const, riscv_const

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


class _Registers(NamedTuple):
    counter: int
    stack: int
    back: int  # where a function returns to
    arguments: tuple[int, ...]


_ARM = _Registers(
    arm_const.UC_ARM_REG_PC, arm_const.UC_ARM_REG_SP, arm_const.UC_ARM_REG_LR,
    tuple(getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(4)),
)  # fmt: skip
_RISC_V = _Registers(
    riscv_const.UC_RISCV_REG_PC, riscv_const.UC_RISCV_REG_SP, riscv_const.UC_RISCV_REG_RA,
    tuple(getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(4)),
)  # fmt: skip


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
        self._arm = bool(core.unicorn_cpu)
        self._registers = _ARM if self._arm else _RISC_V
        if self._arm:
            mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
            self._machine = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
            self._machine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{core.unicorn_cpu}"))
        else:
            self._machine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
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
            If there are more arguments, or larger ones.
        CoreError
            If it faults, or does not return in time.
        """
        machine, registers = self._machine, self._registers
        wide = [a for a in arguments if not -(2**31) <= a < 2**32]
        if wide or len(arguments) > len(registers.arguments):
            raise ValueError(f"expected up to four whole numbers of 32 bits, got {arguments}")
        machine.reg_write(registers.stack, self.firmware.symbols["stack_top"].address)
        machine.reg_write(registers.back, self._stop | self._arm)
        for register, argument in zip(registers.arguments, arguments, strict=False):
            machine.reg_write(register, argument & 0xFFFF_FFFF)
        begin = self.firmware.symbols[name].address | self._arm
        try:
            machine.emu_start(begin, self._stop, timeout=int(self._longest_call * 1e6))
        except unicorn.UcError as error:
            raise CoreError(f"{name}: {error}, {self._where()}") from None
        if machine.reg_read(registers.counter) != self._stop:
            late = machine.query(unicorn.UC_QUERY_TIMEOUT)
            what = f"no end after {self._longest_call} s" if late else "the core waits for good"
            raise CoreError(f"{name}: {what}, {self._where()}")
        return ctypes.c_int32(machine.reg_read(registers.arguments[0])).value

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
        content = self._machine.mem_read(self.firmware.symbols[name].address, 4)
        return int.from_bytes(content, "little")

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
        long = (lambda h: h >> 11 >= 0b11101) if self._arm else (lambda h: h & 3 == 3)
        place = count = 0
        while place < len(block):
            place += 2 if long(int(block[place])) else 1
            count += 1
        return count

    def _where(self) -> str:
        """Return where the core stands: an address, and the function that it lies in."""
        address = self._machine.reg_read(self._registers.counter)
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
