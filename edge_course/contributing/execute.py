"""Executes notebooks and saves them as they are committed.

`python -m edge_course.contributing.execute 03` does so with those whose names begin with 03.
Outputs are kept, but for what differs on every run and says nothing to a reader: progress bars,
log lines on standard error, the state of widgets.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from edge_course import data, terminal
from edge_course.contributing import study_time

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> None:
    """Run a notebook from top to bottom in a kernel of its own, and save it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    clean(notebook)
    study_time.write(notebook)
    nbformat.validate(notebook)
    data.write_whole(path, (nbformat.writes(notebook) + "\n").encode())
    save_readme_picture(notebook, path.parent / "readme_picture.png")


def clean(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs on every run and says nothing to a reader."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined([output for output in cell.outputs if _lasting(output)])


def save_readme_picture(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Save the picture that the README shows: the one of the cell with that tag."""
    for cell in notebook.cells:
        if "readme-picture" in cell.metadata.get("tags", []):
            data.write_whole(path, base64.b64decode(cell.outputs[0].data["image/png"]))


def _lasting(output: nbformat.NotebookNode) -> bool:
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join what was printed in a row: it comes in pieces, which would tear a table on the page."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main(beginnings: list[str]) -> None:
    """Execute the notebooks whose names begin like this; all, if no beginning is given."""
    for beginning in beginnings or [""]:
        paths = sorted(NOTEBOOKS.glob(f"{beginning}*.ipynb"))
        if not paths:
            sys.exit(f"no notebook's name begins with {beginning!r}: expected two digits, like 03")
        for path in paths:
            print(path.name, flush=True)
            execute(path)
    study_time.write_syllabus()


if __name__ == "__main__":
    terminal.run_command(lambda: main(sys.argv[1:]))
