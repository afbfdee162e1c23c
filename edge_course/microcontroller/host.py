"""A network's C, compiled for this machine and called from Python."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from tempfile import mkstemp

import numpy as np

from edge_course.microcontroller import compiler
from edge_course.microcontroller.compiler import CSource

# Without the system's libraries, which Zig would have to build first: on Windows for a minute.
_LIBRARY = ("-shared", "-nostdlib", "-Wl,--no-entry")


class HostModel:
    """A network's C as a library in this process.

    Parameters
    ----------
    source : the network.
    flags : for the compiler.

    Raises
    ------
    edge_course.microcontroller.compiler.CompileError
        If it does not compile.

    Taught in: notebooks/20_microcontroller.ipynb
    """

    def __init__(self, source: CSource, flags: Sequence[str] = ("-O2",)):
        self._source = source
        library = compiler.compile_c(source.files, [*_LIBRARY, *flags])
        handle, path = mkstemp(".dll", dir=compiler.folder())  # Windows wants a suffix
        with os.fdopen(handle, "wb") as file:
            file.write(library)
        self._library = ctypes.CDLL(path)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the output codes for input codes.

        Parameters
        ----------
        x : int8 (n, …).

        Returns
        -------
        np.ndarray
            int8 (n, output bytes).

        Raises
        ------
        ValueError
            If x has another dtype or size.
        """
        into, out = (
            ctypes.c_void_p.in_dll(self._library, f"model_{end}").value
            for end in ("input", "output")
        )

        def run(codes: bytes) -> bytes:
            ctypes.memmove(into, codes, len(codes))
            self._library.model_run()
            return ctypes.string_at(out, self._source.output_bytes)

        return self._source.run_each(x, run)
