"""Executes notebooks and saves them as they are committed: python -m tests.execute_notebooks 03

Outputs are kept, but for what differs on every run and says nothing to a reader:
progress bars, log lines on standard error, the state of widgets.
"""

import base64
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from edge_course import data

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    clean(notebook)
    nbformat.validate(notebook)
    data.write_whole(path, (nbformat.writes(notebook) + "\n").encode())
    save_readme_picture(notebook, path.parent / "readme_picture.png")


def clean(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _lasting(output)]


def save_readme_picture(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Save the picture that the README shows: the one of the cell with that tag."""
    for cell in notebook.cells:
        if "readme-picture" in cell.metadata.get("tags", []):
            data.write_whole(path, base64.b64decode(cell.outputs[0].data["image/png"]))


def _lasting(output: nbformat.NotebookNode) -> bool:
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


if __name__ == "__main__":
    for name in sys.argv[1:] or [""]:
        for notebook_path in sorted(NOTEBOOKS.glob(f"{name}*.ipynb")):
            print(notebook_path.name)
            execute(notebook_path)
