"""The rules that every notebook keeps, each as a check that names the cell and the cause."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

from edge_course.contributing import study_time
from edge_course.contributing.record import MEASURED
from edge_course.exercises import EXERCISES

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
EXACT = "nbval-check-output"
MAX_LINES = 25
SHORT = 30  # cells; a notebook with fewer needs one exercise only
MAX_BYTES = 1_000_000
CORE = 50  # cells at most; the rest of a notebook stands in sections headed ## Deeper
OWN_MODEL = "## Your own model"
YOURS = re.compile(r"^(?P<names>\w[\w, ]*) = .+  # your (?P<what>network|data)$", re.M)
FRAMEWORKS = {"torch": "PyTorch", "tensorflow": "TensorFlow", "keras": "TensorFlow"}


def problems(notebook: nbformat.NotebookNode, path: Path) -> list[str]:
    """Return every broken rule, each with the number of the cell, counted from 1."""
    rules = (
        _executed_in_order, _plain_python, _no_errors, _short_cells, _one_framework,
        _described_images, _enough_exact_cells, _opening, _closing, _core, _own_model, _exercises,
        _links, _file,
    )  # fmt: skip
    return [f"{path.name}, {problem}" for rule in rules for problem in rule(notebook, path)]


def code_cells(notebook: nbformat.NotebookNode) -> Iterator[tuple[int, nbformat.NotebookNode]]:
    return ((n, c) for n, c in enumerate(notebook.cells, 1) if c.cell_type == "code")


def _markdown(notebook) -> Iterator[tuple[int, str]]:
    return ((n, c.source) for n, c in enumerate(notebook.cells, 1) if c.cell_type == "markdown")


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def prints_text(cell: nbformat.NotebookNode) -> bool:
    """Tell whether a cell's saved output has text that is its own, not a picture's caption."""
    for output in cell.outputs:
        if output.output_type == "stream":
            return True
        kinds = set(output.get("data", {}))
        if "text/plain" in kinds and not kinds & {"image/png", "text/markdown"}:
            return True
    return False


def exact_and_printing(notebook: nbformat.NotebookNode) -> tuple[int, int]:
    """Return how many cells print text, and how many of them are compared exactly."""
    printing = [cell for _, cell in code_cells(notebook) if prints_text(cell)]
    return sum(EXACT in tags(cell) for cell in printing), len(printing)


def _executed_in_order(notebook, path) -> Iterator[str]:
    for expected, (n, cell) in enumerate(code_cells(notebook), 1):
        if cell.execution_count is None:
            yield f"cell {n}: it was not run before it was saved"
        elif cell.execution_count != expected:
            yield f"cell {n}: it ran as number {cell.execution_count}, expected {expected}"


def _plain_python(notebook, path) -> Iterator[str]:
    for n, cell in code_cells(notebook):
        for line in cell.source.splitlines():
            if re.match(r"\s*[%!]", line):
                yield f"cell {n}: the magic or shell command {line.strip()!r} is not allowed"
            if line.rstrip().endswith(";"):
                yield f"cell {n}: a trailing ; hides nothing here: {line.strip()!r}"
            if re.search(r"""["'](/(home|tmp|usr|work|root|content)\b|[A-Z]:\\)""", line):
                yield f"cell {n}: an absolute path: {line.strip()!r}"
        try:
            tree = ast.parse(cell.source)
        except SyntaxError as error:
            yield f"cell {n}: not plain Python: {error.msg}"
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
                yield f"cell {n}: import * hides where a name comes from"


def _no_errors(notebook, path) -> Iterator[str]:
    for n, cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {n}: its saved output is the error {output.ename}"


def _short_cells(notebook, path) -> Iterator[str]:
    for n, cell in code_cells(notebook):
        lines = len(cell.source.splitlines())
        if not lines:
            yield f"cell {n}: it is empty"
        if lines > MAX_LINES:
            yield f"cell {n}: {lines} lines, at most {MAX_LINES} are allowed"


def _one_framework(notebook, path) -> Iterator[str]:
    used = {
        FRAMEWORKS[module]
        for _, cell in code_cells(notebook)
        for module in re.findall(r"^\s*(?:import|from) (\w+)", cell.source, re.M)
        if module in FRAMEWORKS
    }
    if len(used) > 1:
        yield f"two frameworks in one kernel: {', '.join(sorted(used))}"


def _described_images(notebook, path) -> Iterator[str]:
    for n, cell in code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                if len(alt.split()) < 4:
                    yield f"cell {n}: an image without a sentence that says what it shows"
    for n, source in _markdown(notebook):
        if re.search(r"!\[\s*\]\(", source):
            yield f"cell {n}: an image without a sentence that says what it shows"
        for diagram in re.finditer(r"```mermaid\n.*?```\s*(.*)", source, re.S):
            if not re.match(r"\*[^*].*[.!?]\*", diagram.group(1), re.S):
                yield f"cell {n}: a diagram without a sentence in italics below it"


def _enough_exact_cells(notebook, path) -> Iterator[str]:
    exact, printing = exact_and_printing(notebook)
    if 2 * exact < printing:
        yield f"only {exact} of {printing} printing cells are compared exactly, half are expected"


def _opening(notebook, path) -> Iterator[str]:
    first, setup = notebook.cells[0], notebook.cells[1]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "cell 1: expected a Markdown cell with a title"
        return
    for part in ("?", "You will do", "You will learn", "You need"):
        if part not in first.source:
            yield f"cell 1: expected {part!r} in the opening"
    if not MEASURED.search(first.source):
        yield "cell 1: expected a line like **Run time:** ~9 s · **Peak memory:** ~99 MiB"
    if not (study := study_time.LINE.search(first.source)):
        yield "cell 1: expected a line like **Study time:** ~60 min, deeper ~30 min"
    elif (int(study[1]), int(study[2] or 0)) != (estimate := study_time.minutes(notebook)):
        yield f"cell 1: the study time is {estimate} minutes by contributing/study_time.py"
    if "Next: [" not in first.source and "Previous: [" not in first.source:
        yield "cell 1: expected links to the notebooks before and after"
    if setup.cell_type != "code" or "plot.use_style()" not in setup.source:
        yield "cell 2: expected the set-up: imports and plot.use_style()"


def _closing(notebook, path) -> Iterator[str]:
    last = notebook.cells[-1]
    questions = last.source.count("<details>")
    if last.cell_type != "markdown" or "## What you did" not in last.source:
        yield f"cell {len(notebook.cells)}: expected the closing: ## What you did"
    if not 3 <= questions <= 5:
        yield f"cell {len(notebook.cells)}: {questions} recall questions, expected 3 to 5"


def _core(notebook, path) -> Iterator[str]:
    core = study_time.deeper(notebook).count(False)
    if core > CORE:
        yield f"{core} cells outside of sections headed ## Deeper, at most {CORE} are allowed"


def own_model(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the sources of the code cells under ## Your own model, up to the next heading."""
    sources, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "code" and inside:
            sources.append(cell.source)
        elif re.search(r"^## ", cell.source, re.M):
            inside = OWN_MODEL in cell.source.splitlines()
    return sources


def _own_model(notebook, path) -> Iterator[str]:
    if path.name[:2] in ("00", "01"):
        return  # 00 and 01 bring no technique
    cells = own_model(notebook)
    if not 1 <= len(cells) <= 3:
        yield f"{len(cells)} code cells under {OWN_MODEL}, expected 1 to 3"
    marked = sorted(found["what"] for found in YOURS.finditer("\n".join(cells)))
    if marked != ["data", "network"]:
        yield f"under {OWN_MODEL}, lines that end in '# your network' and '# your data': {marked}"


def _exercises(notebook, path) -> Iterator[str]:
    names = [
        name
        for _, cell in code_cells(notebook)
        for name in re.findall(r"^check\((\w+)\)", cell.source, re.M)
    ]
    wanted = 1 if path.name.startswith("00") or len(notebook.cells) < SHORT else 3
    if len(names) < wanted:
        yield f"{len(names)} self-checking exercises, expected at least {wanted}"
    for name in names:
        if name not in EXERCISES:
            yield f"check({name}): there is no such exercise"
        if f"def {name}(" not in "\n".join(c.source for _, c in code_cells(notebook)):
            yield f"check({name}): there is no stub to fill in"


def _links(notebook, path) -> Iterator[str]:
    for n, source in _markdown(notebook):
        for target in broken_links(source, path.parent):
            yield f"cell {n}: the link {target} leads nowhere"


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the relative links in Markdown that lead to no file; what is set as code is none."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"`[^`\n]+`", "", text))
    return [t for t in targets if "://" not in t and not (folder / t).exists()]


def _file(notebook, path) -> Iterator[str]:
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel's name is not python3"
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_BYTES:
        yield f"{size:,} bytes, at most {MAX_BYTES:,} are allowed: draw fewer or smaller figures"
