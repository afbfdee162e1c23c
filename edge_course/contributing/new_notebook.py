"""Begins a notebook in the shape of all: python -m edge_course.contributing.new_notebook 16_topic

It has one exercise, and runs as it is. What stands in capital letters is yours to write.
"""

from __future__ import annotations

import re
import sys

import nbformat
from nbformat import v4

from edge_course import data, terminal
from edge_course.contributing import study_time
from edge_course.contributing.execute import NOTEBOOKS

OPENING = """\
# SAY WHAT THE READER DOES HERE

**The question:** WHAT DOES THIS NOTEBOOK ANSWER?

**You will do**
* WHAT THE READER COMPUTES;
* solve one exercise.

**You will learn**
* WHAT THE READER KNOWS AFTERWARDS.

**You need** Python and a little NumPy.

**Run time:** ~1 s · **Peak memory:** ~99 MiB ·
**Study time:** ~0 min

Previous: [{previous}]({previous}.ipynb)"""
SETUP = """\
from edge_course import plot, stripes
from edge_course.exercises import check, solution

from pathlib import Path

plot.use_style()"""
PREDICT = """\
## THE FIRST IDEA

Before you run the next cell: WHAT WILL IT PRINT? Write your guess into `guess`."""
RUN = """\
guess = None  # your guess here
print(f"measured: {{1 + 1}}")"""
EXPLAIN = """\
### Explain

WHY IT IS SO, AND WHAT TO DO WITH IT.

### Exercise: `{exercise}`

Write `{exercise}(x)`. SAY WHAT IT RETURNS, WITH SHAPES AND UNITS.

Example: `{exercise}(2)` is SO MUCH."""
STUB = """\
def {exercise}(x):
    ...  # your code here"""
OWN_MODEL = """\
## Your own model

SAY WHAT THE NEXT CELL DOES WITH ANY NETWORK. Two lines are marked: put your network and your
data there."""
OWN_MODEL_CODE = """\
def small_network():
    return "A NETWORK OF ANOTHER SHAPE"


model = small_network()  # your network
pictures, labels = stripes.pictures(100, (16, 16, 3), classes=3)  # your data
file = Path("my_{topic}.txt")
file.write_text(f"{{model}} for {{pictures.shape}}")
print(f"{{file}}: {{file.stat().st_size}} bytes")"""
CLOSING = """\
## What you did

* WHAT THE READER COMPUTED.
* You solved an exercise.

### Do you remember?

<details><summary>A QUESTION?</summary>

ITS ANSWER.

</details>

<details><summary>A SECOND QUESTION?</summary>

ITS ANSWER.

</details>

<details><summary>A THIRD QUESTION?</summary>

ITS ANSWER.

</details>

### Further reading

* WHO: *WHAT*, WHERE, WHEN."""


def new_notebook(name: str, exercise: str) -> nbformat.NotebookNode:
    """Return a notebook to fill in, linked to the one before ``name``."""
    before = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")) if path.stem < name]
    words = {"previous": before[-1], "exercise": exercise, "topic": name[3:]}
    exact = ["nbval-check-output"]
    cells = [
        v4.new_markdown_cell(OPENING),
        v4.new_code_cell(SETUP),
        v4.new_markdown_cell(PREDICT),
        v4.new_code_cell(RUN, metadata={"tags": exact}),
        v4.new_markdown_cell(EXPLAIN),
        v4.new_code_cell(STUB, metadata={"tags": ["exercise"]}),
        v4.new_code_cell("check({exercise})", metadata={"tags": exact}),
        v4.new_code_cell("solution({exercise})", metadata={"tags": ["solution", *exact]}),
        v4.new_markdown_cell(OWN_MODEL),
        v4.new_code_cell(OWN_MODEL_CODE, metadata={"tags": exact}),
        v4.new_markdown_cell(CLOSING),
    ]
    for cell in cells:
        cell.source = cell.source.format(**words)
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    study_time.write(notebook)
    return notebook


def main(arguments: list[str]) -> None:
    """Write the notebook of that name, with an exercise of that name."""
    if not re.fullmatch(r"\d\d_[a-z_]+ [a-z]\w*", " ".join(arguments)):
        sys.exit("expected the notebook's name and the exercise's, like: 16_my_topic my_function")
    path = NOTEBOOKS / f"{arguments[0]}.ipynb"
    if path.exists():
        sys.exit(f"{path} exists already")
    notebook = new_notebook(*arguments)
    data.write_whole(path, (nbformat.writes(notebook) + "\n").encode())
    print(path)


if __name__ == "__main__":
    terminal.run_command(lambda: main(sys.argv[1:]))
