"""Notebook 06: each repair left out makes its case's assertion fail; with it, the case holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import onnx
import pytest

from edge_course import process
from edge_course.frameworks import clinic
from tests.notebook_rules import ROOT, code_cells, tags

PATH = ROOT / "notebooks" / "06_when_conversion_fails.ipynb"
NOTEBOOK = nbformat.read(PATH, as_version=4)
CASES = sorted({t for _, cell in code_cells(NOTEBOOK) for t in tags(cell) if t.startswith("case-")})
UNKNOWN = {"case-a", "case-b"}
HOLDS, FAILS = "holds", "its assertion fails"
NOT_RUN = {"exercise", "solution"}  # the students' cells: nothing depends on them


def cells(case: str) -> list[nbformat.NotebookNode]:
    return [c for _, c in code_cells(NOTEBOOK) if case in tags(c) and not NOT_RUN & {*tags(c)}]


def run(sources: list[str], names: dict) -> str:
    """Run cells with these names known; say what became of the last one's assertions."""
    try:
        for source in sources:
            exec(compile(source, PATH.name, "exec"), names)
    except AssertionError:
        return FAILS
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return HOLDS


def run_all(folder: Path) -> dict[str, tuple[str, str]]:
    """Run every case by itself behind the set-up: case → what became of it without and with."""
    os.environ["MPLBACKEND"] = "agg"
    os.chdir(folder)
    ready = {"__name__": "case"}
    setup = [c.source for _, c in code_cells(NOTEBOOK) if "set-up" in tags(c)]
    assert run([NOTEBOOK.cells[1].source, *setup], ready) == HOLDS
    found = {}
    for case in CASES:
        chosen = cells(case)
        at = next(i for i, cell in enumerate(chosen) if "repair" in tags(cell))
        # Both ways begin with the same cells, and those that start PyTorch are slow: run them once.
        names = dict(ready)
        begun = run([cell.source for cell in chosen[:at]], names)
        rest = [cell.source for cell in chosen[at:]]
        found[case] = (
            (run(rest[1:], dict(names)), run(rest, dict(names))) if begun == HOLDS else (begun,) * 2
        )
    return found


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[str, str]]:
    with process.another() as call:  # it has TensorFlow, and PyTorch in a process of its own
        return call(run_all, PATH.parent)


def test_every_case_has_one_repair_and_then_one_proof() -> None:
    assert len(CASES) >= 11
    for case in CASES:
        kinds = [{"repair", "proof"} & {*tags(cell)} for cell in cells(case)]
        assert [*filter(None, kinds)] == [{"repair"}, {"proof"}], case
        proof = next(cell.source for cell in cells(case) if "proof" in tags(cell))
        assert "\nassert " in proof, case
        names = [n for _, c in code_cells(NOTEBOOK) if case in tags(c) for n in tags(c)]
        if case in UNKNOWN:  # what the student writes there is the diagnosis
            assert "exercise" not in names
            continue
        assert names.count("exercise") == 2, "a stub and its check"
        assert names.count("solution") == 1


@pytest.mark.parametrize("case", CASES)
def test_without_its_repair_the_assertion_fails(case: str, outcomes) -> None:
    assert outcomes[case][0] == FAILS


@pytest.mark.parametrize("case", CASES)
def test_with_its_repair_it_holds(case: str, outcomes) -> None:
    assert outcomes[case][1] == HOLDS


def test_attempt_prints_what_was_raised_and_goes_on(capsys: pytest.CaptureFixture) -> None:
    assert clinic.attempt(int, "seven") is None
    assert capsys.readouterr().out.startswith("ValueError: invalid literal")
    assert clinic.attempt(int, "7", base=8) == 7
    assert not capsys.readouterr().out


def test_erf_is_as_close_as_the_handbook_says() -> None:
    from math import erf

    x = np.linspace(-5, 5, 1001)
    assert np.abs(clinic.erf(x) - [erf(value) for value in x]).max() < 1.5e-7


def test_the_first_stage_that_differs() -> None:
    stages = [np.full((2, 3), 10.0**-i) for i in range(4)]
    for i in range(4):
        other = [stage.copy() for stage in stages]
        other[i][1, 2] *= 0.89
        assert clinic.first_difference(stages, other, 0.1) == i
        assert clinic.first_difference(stages, other, 0.12) == -1
        other[i] = other[i][:1]
        assert clinic.first_difference(stages, other, 0.12) == i


@pytest.mark.parametrize(
    ("operators", "needed"), [(["Relu"], 14), (["Relu", "Reshape"], 19), (["Gemm"], 13)]
)
def test_an_operator_set_is_as_old_as_the_newest_definition_in_use(operators, needed) -> None:
    """Against the changes that the standard lists: Relu in 14, Gemm in 13, Reshape in 19."""
    nodes = [
        onnx.helper.make_node(name, ["x", "x"][: 1 + (name != "Relu")], ["y"]) for name in operators
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    content = model.SerializeToString()
    assert clinic.first_supported_opset(content, (needed, 30)) == needed
    assert clinic.first_supported_opset(content, (30, needed - 1)) == 0


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (clinic.is_full_int8, (["int8"],), "at least input and output"),
        (clinic.dark_background, (np.zeros((2, 2)),), "height, width"),
        (clinic.dark_background, (np.zeros((2, 0, 2)),), "height, width"),
        (clinic.normalise, (np.zeros((2, 3)), *[np.zeros(2)] * 4), "does not fit"),
        (clinic.pad_to_batch, (np.zeros((0, 2)), 4), "expected inputs"),
        (clinic.pad_to_batch, (np.zeros((3, 2)), 0), "n from 1"),
        (clinic.first_supported_opset, (b"", ()), "at least one runtime"),
        (clinic.first_difference, ([np.ones(2)], [], 0.1), "as many stages"),
        (clinic.fit_input, (np.zeros((2, 2)), 1.0, 0), "uint8"),
        (clinic.fit_input, (np.zeros((2, 2), np.uint8), 0.0, 0), "scale"),
        (clinic.times_as_long, ([1.0, 2.0], [1.0]), "shapes"),
        (clinic.times_as_long, ([1.0], [0.0]), "positive"),
    ],
)
def test_what_does_not_fit_is_refused(function: Callable, arguments: tuple, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        function(*arguments)
