"""A single C function, called from Python on an emulated Cortex-M4."""

from __future__ import annotations

import functools

from edge_course.microcontroller.c_arithmetic import HELPERS
from edge_course.microcontroller.cores import M4
from edge_course.microcontroller.emulator import Board
from edge_course.microcontroller.firmware import Firmware, build


def call_c(source: str, name: str, *arguments: int) -> int:
    """Compile C, call one of its functions on an emulated Cortex-M4, and return its result.

    Every call starts the chip anew, and ends within half a second.

    Parameters
    ----------
    source : C99; ``<stdint.h>`` is included before it.
    name : of a function of up to four int32_t that returns an int32_t.
    arguments : whole numbers of 32 bits.

    Raises
    ------
    edge_course.microcontroller.compiler.CompileError
        If it does not compile, or has no such function of so many int32_t.
    edge_course.microcontroller.emulator.CoreError
        If it faults or does not end.
    ValueError
        If there are more arguments, or larger ones.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    firmware = _firmware(source, name, len(arguments))
    return Board(firmware, longest_call=0.5).call(name, *arguments)


@functools.lru_cache(maxsize=8)
def _firmware(source: str, name: str, count: int) -> Firmware:
    # The last line lets the compiler refuse a function of another type.
    taken = ", ".join(["int32_t"] * count) or "void"
    text = (
        f'#include <stdint.h>\n#line 1 "yours.c"\n{source}\n'
        f"extern int32_t (*const called)({taken});\nint32_t (*const called)({taken}) = {name};\n"
    )
    flags = ("-O2", "-Wno-missing-prototypes", "-Wno-unused-parameter")  # while it is being written
    return build({"yours.c": text}, M4, flags, entries=(name,))


def rescale_on_core(x: int, multiplier: int, shift: int) -> int:
    """Return x · m / 2³¹ · 2^shift, rounded twice, as every generated network computes it.

    Parameters
    ----------
    x : a sum, within int32, also after it is shifted to the left.
    multiplier, shift : as `quantization.fixed_point.quantize_multiplier` returns them.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    source = HELPERS["rescale"].replace("static inline", "")
    return call_c(source, "rescale", x, multiplier, shift)
