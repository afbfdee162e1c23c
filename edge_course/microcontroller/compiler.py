"""Zig's C compiler, a pip package that compiles for other processors than this machine's."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Zig checks for undefined behaviour by default, which needs a library of its own.
STRICT = (
    "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffreestanding", "-fno-sanitize=all",
)  # fmt: skip


class CSource(NamedTuple):
    """A network as C.

    Attributes
    ----------
    c, h : the text of ``model.c`` and of ``model.h``.
    input_bytes, output_bytes : codes that go in and come out.
    """

    c: str
    h: str
    input_bytes: int
    output_bytes: int

    @property
    def files(self) -> dict[str, str]:
        """Name of a file → its text."""
        return {"model.c": self.c, "model.h": self.h}

    def run_each(self, x: np.ndarray, run: Callable[[bytes], bytes]) -> np.ndarray:
        """Return what a way to run the network returns for each input: int8 (n, output bytes).

        Parameters
        ----------
        x : input codes, int8 (n, …).
        run : the bytes of one input → those of its output.

        Raises
        ------
        ValueError
            If x has another dtype or size.
        """
        x = np.asarray(x)
        if x.dtype != np.int8 or x.ndim < 2 or x.size != len(x) * self.input_bytes:
            raise ValueError(
                f"expected int8 codes, {self.input_bytes} for each of n inputs, "
                f"got {x.dtype} {x.shape}"
            )
        found = b"".join(run(one.tobytes()) for one in x)
        return np.frombuffer(found, np.int8).reshape(-1, self.output_bytes)


class CompileError(ValueError):
    """C that does not compile, or does not fit; the message is the first complaint."""


def compile_c(files: Mapping[str, str], flags: Sequence[str]) -> bytes:
    """Return what Zig's C compiler makes of files: a program or a library.

    Parameters
    ----------
    files : name → text, all in one folder; those that end in ``.c`` are compiled.
    flags : for the compiler, such as ``-O2``, beside `STRICT`.

    Raises
    ------
    CompileError
        If the compiler or the linker complains.

    Taught in: notebooks/20_microcontroller.ipynb
    """
    sources = [name for name in files if name.endswith(".c")]
    command = [sys.executable, "-m", "ziglang", "cc", *STRICT, *flags, *sources]
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(folder()))
    with tempfile.TemporaryDirectory() as place:
        for name, text in files.items():
            (Path(place) / name).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [*command, "-o", "program"],
            cwd=place,
            env=caches | os.environ,  # a folder that the user has chosen stays
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            said = done.stderr.splitlines()
            complaints = [line for line in said if "error:" in line] or said or ["no message"]
            raise CompileError(complaints[0])
        return (Path(place) / "program").read_bytes()


@functools.cache
def folder() -> Path:
    """Return a folder for what is compiled, gone when this process ends."""
    made = tempfile.mkdtemp(prefix="edge_course_zig_")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)
