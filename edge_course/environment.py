"""Is this machine ready for the course? One line per component, and what to do if not."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
from jupyter_core import paths

from edge_course import data

SUPPORTED = ((3, 11), (3, 13))  # first and last version of Python
NEEDED_BYTES = 1.5 * 2**30  # the most that a notebook may take
HOW_TO_INSTALL = f"install it with: {data.INSTALL}"

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
    """Yield the state of Python, every runtime, the memory, the folders and every data file.

    Taught in: notebooks/00_start_here.ipynb
    """
    yield _python()
    for name, module, distributions in RUNTIMES:
        yield _runtime(name, module, distributions)
    yield _memory()
    yield _jupyter_folders()
    yield _notebooks()
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
        return Component(name, f"not installed; {HOW_TO_INSTALL}")
    # Not in this process: a framework takes half a gigabyte that would stay taken.
    child = subprocess.run(
        [sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False
    )
    if child.returncode:
        lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        return Component(name, f"{versions[0]} does not start ({lines[-1]}); {HOW_TO_INSTALL}")
    return Component(name, "", versions[0])


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def available_bytes() -> int:
    """Return the memory that a new process can take: the machine's, or a container's limit."""
    return min([psutil.virtual_memory().available, *_left_in_groups()])


def _left_in_groups() -> Iterator[int]:
    """Yield what is left in each control group around this process that has a limit (Linux).

    Pages of files count as used there, but the kernel gives them up when memory is short.
    Version 2 has one tree of groups, version 1 one for memory. A container may not see the
    groups above its own, and finds its own at the root.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            tree, limit, used, prefix = "", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            tree, limit, used = "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            prefix = "total_"  # with the groups below
        else:
            continue
        names = [name for name in group.split("/") if name not in ("", "..")]
        for depth in range(len(names) + 1):
            folder = Path("/sys/fs/cgroup", tree, *names[:depth])
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max": no limit
                left = int((folder / limit).read_text()) - int((folder / used).read_text())
                yield left + _reclaimable(folder / "memory.stat", prefix)


def _reclaimable(statistics: Path, prefix: str) -> int:
    counted = dict(line.split() for line in statistics.read_text().splitlines())
    return sum(int(counted.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))


def _memory() -> Component:
    available = available_bytes()
    text = f"{available / 2**30:.1f} GiB available"
    if available < NEEDED_BYTES:
        needed = f"a notebook takes up to {NEEDED_BYTES / 2**30:.1f} GiB"
        return Component("memory", f"{text}, {needed}; close other programs and other notebooks")
    return Component("memory", "", text)


def is_writable(folder: Path) -> bool:
    """Tell whether a file can be made in a folder, or in the one where it would be made."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryFile(dir=nearest):
            return True
    except OSError:
        return False


def unwritable_jupyter_folders() -> list[str]:
    """Return those of Jupyter's own folders, mostly in the home folder, that it cannot use."""
    folders = (paths.jupyter_config_dir(), paths.jupyter_data_dir(), paths.jupyter_runtime_dir())
    return [folder for folder in folders if not is_writable(Path(folder))]


def _jupyter_folders() -> Component:
    if unwritable := unwritable_jupyter_folders():
        text = f"{unwritable[0]} is not writable; python -m edge_course uses a temporary folder"
        return Component("Jupyter's folders", "", text)
    return Component("Jupyter's folders", "", "writable")


def _notebooks() -> Component:
    folder = data.FOLDER.parent / "notebooks"
    if not folder.is_dir():
        return Component("notebooks", f"{folder} is missing; {data.NOT_EDITABLE}")
    if not is_writable(folder):
        return Component(
            "notebooks",
            f"{folder} is not writable, what you type would be lost; "
            "copy the repository to a folder of yours and install it there",
        )
    return Component("notebooks", "", "writable")


def _data() -> Iterator[Component]:
    try:
        files = data.check_all()
    except data.DataError as error:
        yield Component("data", str(error))
        return
    for name, problem in files:
        yield Component(f"data/{name}", problem, "sha256 as expected")
