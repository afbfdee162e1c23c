"""What a notebook does with your own model works with a network that is not in the notebook.

The set-up and the cells under "Your own model" run as a script in an empty folder. Of the two
lines that are marked as yours, the right-hand sides are replaced by `network()` and `data()` of a
module in tests/own_models, which has the notebook's name without its number.
"""

import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import nbformat
import pytest

from tests import notebook_rules as rules

NOTEBOOKS = [p for p in rules.NOTEBOOKS if p.name[:2] not in ("00", "01")]


def script(path: Path) -> str:
    """The set-up cell and the own-model cells, with the two lines changed."""
    notebook = nbformat.read(path, as_version=4)
    setup = takewhile(lambda cell: cell.cell_type == "code", notebook.cells[1:])
    setup, cells = "\n".join(c.source for c in setup), "\n".join(rules.own_model(notebook))
    changed = rules.YOURS.sub(r"\g<names> = theirs.\g<what>()", cells)
    assert changed.count("theirs.") == 2
    return f"{setup}\nfrom tests.own_models import {path.stem[3:]} as theirs\n{changed}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_own_model_cells_take_another_network(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script(path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(rules.ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert written and all(file.stat().st_size for file in written), "they end in a file on disk"
    assert done.stdout, "they end in the file's numbers"
