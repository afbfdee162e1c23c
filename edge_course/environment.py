"""Is this machine ready for the course? One line per component, and what to do if not."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil

from edge_course import data

SUPPORTED = ((3, 11), (3, 13))  # first and last version of Python
NEEDED_BYTES = 1.5 * 2**30  # the most that a notebook may take
INSTALL = "install it with: python -m pip install -c constraints.txt -e ."

# What to import, in a process of its own, and the distribution whose version is shown.
RUNTIMES = (
    ("LiteRT", "ai_edge_litert.interpreter", ("ai-edge-litert",)),
    ("TensorFlow", "tensorflow", ("tensorflow-cpu", "tensorflow")),
    ("Keras", "keras", ("keras",)),
    ("PyTorch", "torch", ("torch",)),
    ("ONNX Runtime", "onnxruntime", ("onnxruntime",)),
    ("Zenoh", "zenoh", ("eclipse-zenoh",)),
    ("JupyterLab", "jupyterlab", ("jupyterlab",)),
)


class Component(NamedTuple):
    """One line of the report."""

    name: str
    problem: str  # what is wrong and what to do; empty if all is well
    detail: str = ""

    def __str__(self) -> str:
        mark, text = ("[FAIL]", self.problem) if self.problem else ("[OK]  ", self.detail)
        return f"{mark} {self.name}: {text}"


def components() -> Iterator[Component]:
    """Yield the state of Python, every runtime, the memory and every data file.

    Taught in: notebooks/00_start_here.ipynb
    """
    yield _python()
    for name, module, distributions in RUNTIMES:
        yield _runtime(name, module, distributions)
    yield _memory()
    yield from _data()


def _python() -> Component:
    version = platform.python_version()
    first, last = (".".join(map(str, v)) for v in SUPPORTED)
    if SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        return Component("Python", "", version)
    return Component("Python", f"{version} found, {first} to {last} expected; install one of them")


def _runtime(name: str, module: str, distributions: tuple[str, ...]) -> Component:
    versions = [v for d in distributions if (v := _version(d))]
    if not versions:
        return Component(name, f"not installed; {INSTALL}")
    # Not in this process: a framework takes half a gigabyte that would stay taken.
    child = subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False
    )
    if child.returncode:
        lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        return Component(name, f"{versions[0]} does not start ({lines[-1]}); {INSTALL}")
    return Component(name, "", versions[0])


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def available_bytes() -> int:
    """Return the memory that a new process can take: the machine's, or its container's limit."""
    available = psutil.virtual_memory().available
    limit, used = (
        Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory.current")
    )  # cgroup v2; absent outside Linux
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no limit
        available = min(available, int(limit.read_text()) - int(used.read_text()))
    return available


def _memory() -> Component:
    available = available_bytes()
    text = f"{available / 2**30:.1f} GiB available"
    if available < NEEDED_BYTES:
        needed = f"a notebook takes up to {NEEDED_BYTES / 2**30:.1f} GiB"
        return Component("memory", f"{text}, {needed}; close other programs and other notebooks")
    return Component("memory", "", text)


def _data() -> Iterator[Component]:
    try:
        files = data.check_all()
    except data.DataError as error:
        yield Component("data", str(error))
        return
    for name, problem in files:
        yield Component(f"data/{name}", problem, "sha256 as expected")
