"""What must be installed for a program to run: packages with what they need, and their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


class Package(NamedTuple):
    """An installed package.

    Attributes
    ----------
    name, version : of the package.
    bytes : of its files on disk.
    """

    name: str
    version: str
    bytes: int


def packages(requirements: Iterable[str]) -> list[Package]:
    """Return these packages, what they need, what that needs and so on, as installed here.

    Parameters
    ----------
    requirements : such as "numpy" or "tensorflow; sys_platform == 'darwin'"; what a marker
        excludes here is left out.

    Returns
    -------
    list[Package]
        By name.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If one of them is not installed.

    Taught in: notebooks/21_edge_service.ipynb
    """
    found: dict[str, Package] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if name not in found:
            installed = metadata.distribution(name)
            files = [file.locate() for file in installed.files or ()]
            size = sum(file.stat().st_size for file in files if file.is_file())
            version = Version(installed.version).public  # without a label such as torch's "+cpu"
            found[name] = Package(name, version, size)
            waiting += [Requirement(text) for text in installed.requires or ()]
    return sorted(found.values())
