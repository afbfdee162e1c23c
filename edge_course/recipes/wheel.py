"""A file of a package on PyPI, without installing the package: where a recipe begins."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edge_course.data import DataError


def file_in_wheel(package: str, sha256: str, member: str) -> bytes:
    """Return the content of a file in a wheel, which pip fetches.

    Parameters
    ----------
    package : with its version, such as "seglearn==1.2.5".
    sha256 : of the wheel, 64 hexadecimal digits.
    member : the path of the file inside.

    Raises
    ------
    DataError
        If pip cannot fetch the package, or it is another one.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder]
        fetched = subprocess.run([*command, package], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if fetched.returncode or len(wheels) != 1:
            raise DataError(f"pip cannot fetch {package}: {fetched.stderr.strip()}")
        content = wheels[0].read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{package}: expected sha256 {sha256}, found {found}")
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        return wheel.read(member)
