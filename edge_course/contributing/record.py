"""Writes what notebooks took, as `python -m pytest --record` measured it, to where it is read."""

from __future__ import annotations

import re
from pathlib import Path

from edge_course import data

README = Path(__file__).resolve().parents[2] / "README.md"
# The line in a notebook's opening.
MEASURED = re.compile(r"\*\*Run time:\*\* ~(\d+) s · \*\*Peak memory:\*\* ~(\d+) MiB")


def record(measured: dict[Path, tuple[float, int]]) -> None:
    """Write measured seconds and bytes into the notebooks' openings and the README's table."""
    readme = README.read_text(encoding="utf-8")
    for path, (seconds, peak) in measured.items():
        seconds, mebibytes = max(1, round(seconds)), round(peak / 2**20, -1)
        text = path.read_text(encoding="utf-8")
        line = f"**Run time:** ~{seconds:.0f} s · **Peak memory:** ~{mebibytes:.0f} MiB"
        data.write_whole(path, MEASURED.sub(line, text).encode())
        row = rf"(\| \[[^]]*\]\(notebooks/{path.name}\) \|[^|]*\|)[^|]*\|[^|]*\|"
        readme = re.sub(row, rf"\1 {seconds:.0f} s | {mebibytes:.0f} MiB |", readme)
    data.write_whole(README, readme.encode())
