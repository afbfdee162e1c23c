"""What must be installed, against what pip and the files on disk say."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from edge_course.service import footprint


def test_it_is_what_pip_would_install(tmp_path):
    """pip's own resolver, which finds all of it in place: no network."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "-q"]
    subprocess.run([*command, "--report", str(report), "starlette", "uvicorn"], check=True)
    assert json.loads(report.read_text())["install"] == []  # nothing is missing
    names = {p.name for p in footprint.packages(["starlette", "uvicorn"])}
    assert {"starlette", "uvicorn", "anyio", "idna", "h11", "click"} <= names
    assert not names & {"httpx", "httpx2", "jinja2", "httptools"}  # extras that nobody asked for


def test_bytes_are_those_of_the_files():
    (package,) = footprint.packages(["h11"])
    folder = Path(metadata.distribution("h11").locate_file("h11"))
    inside = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    assert inside <= package.bytes <= inside + 100_000  # and its metadata
    assert package.version == metadata.version("h11")


def test_markers_exclude():
    assert footprint.packages(["nothing_like_it; sys_platform == 'no such system'"]) == []
    with pytest.raises(metadata.PackageNotFoundError):
        footprint.packages(["nothing_like_it"])
