"""A whole program for a chip: start-up code, a network, and where everything lies in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from string import Template
from typing import NamedTuple

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from edge_course.microcontroller import compiler
from edge_course.microcontroller.cores import Core

STACK_BYTES = 1024
# What happens between power-on and the first line of a program. Arm microcontrollers read the
# first two words of flash: where the stack begins, and where to start. The others just start.
START = """\
#include <stdint.h>
extern uint32_t data_start[], data_end[], data_in_flash[], bss_start[], bss_end[], stack_top[];
void reset(void);
void ready(void);

__attribute__((noinline)) void ready(void) { for (;;) {} }

void reset(void) {
  uint32_t *to, *from = data_in_flash;
  for (to = data_start; to < data_end;) *to++ = *from++;
  for (to = bss_start; to < bss_end;) *to++ = 0;
  ready();
}

#ifdef __riscv
__asm__(".section .vectors,\\"ax\\"\\n la sp, stack_top\\n j reset\\n");
#elif defined(__aarch64__)
__asm__(".section .vectors,\\"ax\\"\\n ldr x0, =stack_top\\n mov sp, x0\\n b reset\\n");
#else
__attribute__((section(".vectors"), used))
static const void *const vectors[2] = {stack_top, (const void *)reset};
#endif
"""
# The stack lies below everything else: one that grows too far leaves the RAM, and the core faults
# instead of overwriting the arena.
LINKER = """\
MEMORY {
  flash (rx) : ORIGIN = $flash_start, LENGTH = $flash_bytes
  ram (rw) : ORIGIN = $ram_start, LENGTH = $ram_bytes
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > flash
  .stack (NOLOAD) : { . += $stack_bytes; stack_top = .; } > ram
  .data : ALIGN(4) { data_start = .; *(.data*) . = ALIGN(4); data_end = .; } > ram AT> flash
  data_in_flash = LOADADDR(.data);
  .bss (NOLOAD) : ALIGN(4) { bss_start = .; *(.bss* COMMON) . = ALIGN(4); bss_end = .; } > ram
  /DISCARD/ : { *(.ARM.exidx*) *(.eh_frame*) }
}
"""


class Symbol(NamedTuple):
    """A function or an array of a program: where it lies, and how many bytes it has."""

    address: int
    bytes: int


class Firmware(NamedTuple):
    """A linked program.

    Attributes
    ----------
    core : what it is for.
    elf : the program as the linker writes it.
    segments : what stands in flash: addresses and contents.
    symbols : name → place and size.
    flash_bytes : program, constants, and what variables are set to at the start.
    static_bytes : variables, in RAM; the stack comes on top.
    """

    core: Core
    elf: bytes
    segments: tuple[tuple[int, bytes], ...]
    symbols: dict[str, Symbol]
    flash_bytes: int
    static_bytes: int


def build(
    files: Mapping[str, str],
    core: Core,
    flags: Sequence[str] = ("-O2",),
    entries: Sequence[str] = ("model_run", "model_input", "model_output"),
) -> Firmware:
    """Return C compiled and linked for a chip.

    Parameters
    ----------
    files : name → text of a C file or a header; `START` and a linker script are added.
    core : the chip and its core.
    flags : for the compiler.
    entries : what is to be called or read from outside; what none of them needs is left out.

    Raises
    ------
    edge_course.microcontroller.compiler.CompileError
        If it does not compile, does not fit the chip's memories, or lacks an entry.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    script = Template(LINKER).substitute(core._asdict(), stack_bytes=STACK_BYTES)
    elf = compiler.compile_c(
        {**files, "start.c": START, "chip.ld": script},
        ["-target", core.zig_target, f"-mcpu={core.zig_cpu}", "-g", "-ffunction-sections",
         "-fdata-sections", *flags, "-Wl,-T,chip.ld", "-Wl,-e,reset", "-Wl,--gc-sections",
         *(f"-Wl,-u,{name}" for name in entries)],
    )  # fmt: skip
    program = ELFFile(io.BytesIO(elf))
    symbols = {
        s.name: Symbol(s["st_value"] & ~1, s["st_size"])  # the last bit says: Thumb code
        for s in program.get_section_by_name(".symtab").iter_symbols()
        if s.name and s["st_shndx"] != "SHN_UNDEF"
    }
    missing = [name for name in entries if name not in symbols]
    if missing:
        raise compiler.CompileError(f"no {', no '.join(missing)} in {', '.join(files)}")
    segments = tuple((s["p_paddr"], s.data()) for s in program.iter_segments("PT_LOAD"))
    flash = static = 0
    for section in program.iter_sections():
        size, stored = section["sh_size"], section["sh_type"] != "SHT_NOBITS"
        if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section.name != ".stack":
            flash += size * stored
            static += size * bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE)
    return Firmware(core, elf, segments, symbols, flash, static)
