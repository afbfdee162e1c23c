"""Every notebook shows what a practitioner types: the calls of the official tools, in its core."""

import ast
from pathlib import Path

import nbformat
import pytest

from edge_course.contributing import study_time
from tests import notebook_rules as rules

# The names that are called, as the last part of what stands before the bracket.
CALLS = {
    "02": {"Sequential", "compile", "fit", "evaluate", "predict", "save", "load_model"},
    "03": {
        "from_keras_model", "convert", "write_bytes", "Interpreter", "allocate_tensors",
        "set_tensor", "invoke", "get_tensor",
    },
    "04": {
        "backward", "step", "export", "check_model", "InferenceSession", "run", "quant_pre_process",
        "quantize_dynamic", "quantize_static",
    },
    "05": {"InferenceSession", "run", "Interpreter", "invoke", "from_keras_model", "convert"},
    "06": {"check_model", "infer_shapes", "InferenceSession", "from_keras_model", "analyze"},
    "07": {"from_keras_model", "Interpreter", "get_tensor_details"},
    "08": {"Interpreter", "get_tensor_details", "invoke", "get_tensor"},
    "09": {"prepare_qat_pt2e", "convert_pt2e", "Interpreter"},
    "10": {"l1_unstructured", "global_unstructured", "remove", "InferenceSession"},
    "11": {"ln_structured", "export", "InferenceSession"},
    "12": {"kl_div", "backward", "step", "export"},
    "13": {"compile", "fit", "from_keras_model", "convert", "write_bytes"},
    "14": {"extract_model", "InferenceSession", "run"},
    "15": {"init_process_group", "all_reduce", "all_gather"},
    "16": {
        "solve", "from_keras_model", "convert", "Interpreter", "set_tensor", "invoke", "get_tensor",
    },
    "17": {
        "ClientApp", "train", "load_state_dict", "to_torch_state_dict", "ArrayRecord",
        "MetricRecord", "RecordDict", "Message", "FedAvg", "start",
    },
    "18": {
        "LSTMCell", "Sequential", "from_keras_model", "convert", "Interpreter",
        "get_signature_runner",
    },
    "20": {"from_bytes", "set_input", "invoke", "get_output", "run", "compile", "fit"},
    "21": {
        "Interpreter", "allocate_tensors", "set_tensor", "invoke", "get_tensor", "Starlette",
        "Route", "JSONResponse", "Config", "Server", "TestClient",
    },
}  # fmt: skip


def called(notebook: nbformat.NotebookNode) -> set[str]:
    """The names that the code of a notebook's core calls."""
    names = set()
    for cell, skipped in zip(notebook.cells, study_time.deeper(notebook), strict=True):
        if cell.cell_type == "code" and not skipped:
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Call):
                    names.add(ast.unparse(node.func).split(".")[-1])
    return names


def test_every_technique_has_its_calls() -> None:
    assert set(CALLS) == {p.name[:2] for p in rules.NOTEBOOKS} - {"00", "01"}


PATHS = [path for path in rules.NOTEBOOKS if path.name[:2] in CALLS]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_core_has_the_official_calls(path: Path) -> None:
    missing = CALLS[path.name[:2]] - called(nbformat.read(path, as_version=4))
    assert not missing


def test_a_call_that_is_deeper_or_only_named_does_not_count() -> None:
    cells = [
        nbformat.v4.new_code_cell("a.fit(x); name = b.save"),
        nbformat.v4.new_markdown_cell("## Deeper: more\n`evaluate()`"),
        nbformat.v4.new_code_cell("a.predict(x)"),
    ]
    assert called(nbformat.v4.new_notebook(cells=cells)) == {"fit"}
