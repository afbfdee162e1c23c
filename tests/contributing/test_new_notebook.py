"""A notebook that has just been begun keeps the rules, but for what only its author can do."""

from pathlib import Path

import nbformat
import pytest

from edge_course.contributing import execute, new_notebook
from tests import notebook_rules as rules


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one notebook."""
    (tmp_path / "15_before.ipynb").write_text("")
    monkeypatch.setattr(new_notebook, "NOTEBOOKS", tmp_path)
    return tmp_path


def test_it_only_has_to_be_filled_in_and_run(folder: Path) -> None:
    new_notebook.main(["16_topic", "my_function"])
    path = folder / "16_topic.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    problems = [
        problem
        for problem in rules.problems(notebook, path)
        if not problem.endswith("it was not run before it was saved")
    ]
    assert problems == ["16_topic.ipynb, check(my_function): there is no such exercise"]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ([], "expected the notebook's name and the exercise's"),
        (["16_topic"], "expected the notebook's name and the exercise's"),
        (["topic", "my_function"], "expected the notebook's name and the exercise's"),
        (["../16_topic", "my_function"], "expected the notebook's name and the exercise's"),
        (["16_topic", "my function"], "expected the notebook's name and the exercise's"),
        (["15_before", "my_function"], "15_before.ipynb exists already"),
    ],
)
def test_what_it_cannot_do_is_refused(folder: Path, arguments: list[str], cause: str) -> None:
    with pytest.raises(SystemExit, match=cause):
        new_notebook.main(arguments)
    assert [path.name for path in folder.iterdir()] == ["15_before.ipynb"]


def test_a_notebook_that_is_not_there_is_not_executed() -> None:
    with pytest.raises(SystemExit, match="no notebook's name begins with '99'"):
        execute.main(["99"])
