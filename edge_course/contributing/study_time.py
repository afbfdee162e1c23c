"""How long a class needs for a notebook, estimated by one rule for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

from edge_course import data

SYLLABUS = Path(__file__).resolve().parents[2] / "notebooks" / "README.md"
WORDS = 120  # that a student reads in a minute, with pencil and formula
CODE = 0.5  # minutes for a cell of code: predict, run, look
EXERCISE = 8  # minutes
LINE = re.compile(r"\*\*Study time:\*\* ~(\d+) min(?:, deeper ~(\d+) min)?")


def deeper(notebook: nbformat.NotebookNode) -> list[bool]:
    """Tell for each cell whether it is in a section that may be skipped: ## Deeper …"""
    in_deeper, cells = False, []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^## (.*)", cell.source, re.M):
                in_deeper = heading.startswith("Deeper")
        cells.append(in_deeper)
    return cells


def minutes(notebook: nbformat.NotebookNode) -> tuple[int, int]:
    """Return the minutes of the core and of what is deeper, each rounded to five."""
    spent = [0.0, 0.0]
    for cell, skipped in zip(notebook.cells, deeper(notebook), strict=True):
        if cell.cell_type == "markdown":
            spent[skipped] += len(cell.source.split()) / WORDS
        else:
            spent[skipped] += EXERCISE if re.search(r"^check\(", cell.source, re.M) else CODE
    core, more = (5 * round(m / 5) for m in spent)
    return core, more


def write(notebook: nbformat.NotebookNode) -> None:
    """Write the minutes into the notebook's opening."""
    core, more = minutes(notebook)
    line = f"**Study time:** ~{core} min" + (f", deeper ~{more} min" if more else "")
    notebook.cells[0].source = LINE.sub(line, notebook.cells[0].source)


def syllabus(text: str, folder: Path) -> str:
    """Return the syllabus with the minutes of every notebook's opening, and their sums."""
    sums = [0, 0]
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        found = LINE.search(nbformat.read(path, as_version=4).cells[0].source)
        core, more = int(found[1]), int(found[2] or 0)
        sums = [sums[0] + core, sums[1] + more]
        row = rf"(\| \[[^]]*\]\({path.name}\) \|[^|]*\|[^|]*\|)[^|\n]*\|"
        text = re.sub(row, rf"\1 {core} + {more} min |", text)
    hours = f"{sums[0] / 60:.0f} hours for the cores and {sums[1] / 60:.0f} for what is deeper"
    return re.sub(r"\d+ hours for the cores and \d+ for what is deeper", hours, text)


def write_syllabus() -> None:
    """Bring the syllabus up to the notebooks."""
    text = syllabus(SYLLABUS.read_text(encoding="utf-8"), SYLLABUS.parent)
    data.write_whole(SYLLABUS, text.encode())
