"""Every committed notebook keeps the rules, and every rule catches what it is there for."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from edge_course.contributing import study_time
from tests import notebook_rules as rules
from tests import run_plugin

ROOT = rules.ROOT


@pytest.mark.parametrize("path", rules.NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path: Path) -> None:
    problems = rules.problems(nbformat.read(path, as_version=4), path)
    assert not problems, "\n".join(problems)


def test_there_are_notebooks_and_the_tables_list_them() -> None:
    assert rules.NOTEBOOKS
    for readme in ("README.md", "notebooks/README.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        assert not [p.name for p in rules.NOTEBOOKS if p.name not in text], readme


def test_the_syllabus_has_the_study_times() -> None:
    text = study_time.SYLLABUS.read_text(encoding="utf-8")
    assert text == study_time.syllabus(text, study_time.SYLLABUS.parent)
    assert text.count(" min |") == len(rules.NOTEBOOKS)


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "notebooks/README.md", "data/README.md"]
)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    assert not rules.broken_links(path.read_text(encoding="utf-8"), path.parent)


@pytest.fixture(scope="module")
def good() -> nbformat.NotebookNode:
    return nbformat.read(rules.NOTEBOOKS[0], as_version=4)


def spoil_unrun(notebook) -> None:
    _, cell = list(rules.code_cells(notebook))[3]
    cell.execution_count = None


def spoil_magic(notebook) -> None:
    notebook.cells[3].source = "%edge on\n" + notebook.cells[3].source


def spoil_image(notebook) -> None:
    for _, cell in rules.code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                output.metadata = {}


def spoil_exact(notebook) -> None:
    for _, cell in rules.code_cells(notebook):
        cell.metadata.tags = []


def spoil_opening(notebook) -> None:
    notebook.cells[0].source = notebook.cells[0].source.replace("**Run time:**", "Run time:")


def spoil_study_time(notebook) -> None:
    opening = notebook.cells[0]
    opening.source = re.sub(r"Study time:\*\* ~\d+", "Study time:** ~1", opening.source)


def spoil_core(notebook) -> None:
    notebook.cells += [v4.new_markdown_cell("more") for _ in range(50)]


def spoil_framework(notebook) -> None:
    notebook.cells[1].source += "\nimport torch\nimport keras"


def spoil_link(notebook) -> None:
    notebook.cells[-1].source += "\n[next](99_nowhere.ipynb)"


def spoil_diagram(notebook) -> None:
    notebook.cells[2].source += "\n```mermaid\nflowchart LR\nA --> B\n```\n"


def spoil_markdown_image(notebook) -> None:
    notebook.cells[2].source += "\n![](readme_picture.png)"


def spoil_stub(notebook) -> None:
    notebook.cells = [c for c in notebook.cells if "check(" not in c.source]


def spoil_semicolon(notebook) -> None:
    notebook.cells[3].source += "\nfiles = 1;"


def spoil_star(notebook) -> None:
    notebook.cells[1].source += "\nfrom numpy import *"


def spoil_path(notebook) -> None:
    notebook.cells[3].source += "\nopen('/home/me/data.npz')"


def spoil_length(notebook) -> None:
    notebook.cells[3].source += "\nprint()" * 30


def spoil_error(notebook) -> None:
    notebook.cells[3].outputs = [v4.new_output("error", ename="KeyError", evalue="'x'")]


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (spoil_unrun, "was not run before it was saved"),
        (spoil_magic, "the magic or shell command '%edge on' is not allowed"),
        (spoil_image, "an image without a sentence"),
        (spoil_exact, "printing cells are compared exactly, half are expected"),
        (spoil_opening, "**Run time:**"),
        (spoil_study_time, "cell 1: the study time is"),
        (spoil_core, "cells outside of sections headed ## Deeper, at most 50"),
        (spoil_framework, "two frameworks in one kernel: PyTorch, TensorFlow"),
        (spoil_link, "99_nowhere.ipynb leads nowhere"),
        (spoil_diagram, "a diagram without a sentence"),
        (spoil_markdown_image, "an image without a sentence"),
        (spoil_stub, "0 self-checking exercises"),
        (spoil_semicolon, "a trailing ;"),
        (spoil_star, "import * hides"),
        (spoil_path, "an absolute path"),
        (spoil_length, "at most 25"),
        (spoil_error, "its saved output is the error KeyError"),
    ],
)
def test_rule_catches(good, spoil, cause: str) -> None:
    notebook = copy.deepcopy(good)
    spoil(notebook)
    problems = "\n".join(rules.problems(notebook, rules.NOTEBOOKS[0]))
    assert cause in problems


def test_rule_wants_a_place_for_the_students_own_model(good) -> None:
    path = ROOT / "notebooks" / "99_topic.ipynb"  # notebook 00 needs none
    assert "0 code cells under ## Your own model" in "\n".join(rules.problems(good, path))
    notebook = copy.deepcopy(good)
    model = v4.new_code_cell("model = build()  # your network\nx, y = load()  # your data")
    notebook.cells[-1:-1] = [v4.new_markdown_cell("## Your own model"), model]
    assert "Your own model" not in "\n".join(rules.problems(notebook, path))
    model.source = model.source.replace("  # your data", "")
    assert "'# your data': ['network']" in "\n".join(rules.problems(notebook, path))


def run_pytest(tmp_path: Path, cells: list[tuple[str, str]], *options: str) -> tuple[int, str]:
    """Run pytest with the repository's settings on a notebook of (source, saved output)."""
    notebook = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "P"}})
    for number, (source, output) in enumerate(cells, 1):
        cell = v4.new_code_cell(source, execution_count=number)
        cell.metadata.tags = [rules.EXACT]
        cell.outputs = [v4.new_output("stream", name="stdout", text=output)] if output else []
        notebook.cells.append(cell)
    path = tmp_path / "try.ipynb"
    nbformat.write(notebook, path)
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(path), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return child.returncode, child.stdout


def test_right_outputs_pass_and_are_counted(tmp_path: Path) -> None:
    code, text = run_pytest(tmp_path, [("print(1 + 1)", "2\n"), ("x = 1", "")])
    assert code == 0, text
    assert re.search(r"try.ipynb +\d+ s +\d+ MiB +1 of 1", text)


def test_notebooks_leave_the_home_folder_empty(tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in (*run_plugin.CACHES, "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    draws = "from matplotlib import pyplot\npyplot.close(pyplot.figure())\nprint(1)"
    code, text = run_pytest(tmp_path, [(draws, "1\n")])
    assert code == 0, text
    assert [str(path) for path in home.rglob("*")] == []


def test_edited_output_fails(tmp_path: Path) -> None:
    code, text = run_pytest(tmp_path, [("print(1 + 1)", "3\n")])
    assert code == 1
    assert "Cell outputs differ" in text


def test_dead_kernel_fails_at_once_and_says_so(tmp_path: Path) -> None:
    cells = [("import os; os.kill(os.getpid(), 9)", ""), ("print(1)", "1\n")]
    code, text = run_pytest(tmp_path, cells)
    assert code == 1
    assert "the kernel died in this cell" in text
    assert "2 failed" in text, "the cells after it fail too"


def test_endless_cell_fails_at_the_timeout_and_so_do_later_cells(tmp_path: Path) -> None:
    cells = [("while True: pass", ""), ("print(1)", "1\n")]
    code, text = run_pytest(tmp_path, cells, "--nbval-cell-timeout=2")
    assert code == 1
    assert "Timeout of 2 seconds exceeded" in text
    assert "2 failed" in text, "the cells after it fail too"


def test_memory_over_the_budget_fails_and_is_counted_in_a_worker_too(tmp_path: Path) -> None:
    source = "import time\nblock = b'1' * 1_700_000_000\ntime.sleep(0.3)\ndel block"
    code, text = run_pytest(tmp_path, [(source, "")], "-n1")
    assert code == 1
    assert "more than the budget of 1536 MiB" in text
    assert re.search(r"try.ipynb +\d+ s +1[67]\d\d MiB +0 of 0", text)


def test_settings_are_those_of_the_bare_command() -> None:
    """The budget test above would pass with any timeout: the one in force is checked here."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for option in (
        "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=180",
        "--dist=loadfile", "--no-loadscope-reorder", "--strict-markers",
    ):  # fmt: skip
        assert f'"{option}"' in text
