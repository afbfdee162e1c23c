"""Importing the package makes what comes after it keep quiet, and keep to the course's settings."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import edge_course

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(code: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a student does: with a home folder, and not in continuous integration."""
    # With CI set, ONNX Runtime keeps quiet by itself, and the test would see nothing.
    unset = {"CI", "XDG_CACHE_HOME", *edge_course._SETTINGS}
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_home_folder_stays_empty(tmp_path: Path) -> None:
    code = """
import edge_course
import onnxruntime
from edge_course.runtimes import ort
from edge_course import data
ort.Runner(data.FOLDER / "bottleneck_exit.onnx")
"""
    child = run(code, tmp_path, ORT_DISABLE_TELEMETRY="0")
    assert child.returncode == 0, child.stderr
    assert files(tmp_path) == []


def test_another_projects_keras_settings_do_not_count(tmp_path: Path) -> None:
    code = """
import edge_course, os
import keras
print(keras.backend.backend(), keras.config.floatx(), keras.config.image_data_format())
print("KERAS_MAX_EPOCHS" in os.environ, "TF_USE_LEGACY_KERAS" in os.environ)
"""
    (tmp_path / ".keras").mkdir()
    settings = {"backend": "torch", "floatx": "float16", "image_data_format": "channels_first"}
    kept = tmp_path / ".keras" / "keras.json"
    kept.write_text(json.dumps(settings))
    others = {"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1", "TF_USE_LEGACY_KERAS": "1"}
    child = run(code, tmp_path, **others)
    assert child.stdout.splitlines() == ["tensorflow float32 channels_last", "False False"]
    assert json.loads(kept.read_text()) == settings


def test_importing_it_too_late_is_told(tmp_path: Path) -> None:
    fake = "import sys, types; sys.modules['onnxruntime'] = types.ModuleType('onnxruntime'); "
    late = run(fake + "import edge_course", tmp_path)
    assert "onnxruntime was imported before edge_course" in late.stderr
    told = run(fake + "import edge_course", tmp_path, **edge_course._SETTINGS)
    assert told.stderr == ""


def test_child_processes_inherit_the_settings() -> None:
    for name, value in edge_course._SETTINGS.items():
        assert os.environ[name] == value


@pytest.mark.parametrize("name", ["start", ".github/workflows/tests.yml"])
def test_binder_and_the_workflow_set_it_too(name: str) -> None:
    assert "ORT_DISABLE_TELEMETRY" in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_imports_the_package_first(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    tree = ast.parse(source)
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    first = min(imports, key=lambda node: node.lineno)
    assert getattr(first, "module", "").split(".")[0] == "edge_course"


def test_torchao_and_an_export_say_nothing_and_write_nothing(tmp_path: Path) -> None:
    code = """
import socket
def refuse(*arguments):
    raise AssertionError(f"it looked for {arguments}")
socket.socket.connect = socket.getaddrinfo = refuse
import edge_course
from torchao.quantization.pt2e import quantize_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer
import torch
network = torch.nn.Conv2d(1, 2, 3).eval()
torch.onnx.export(network, (torch.zeros(1, 1, 8, 8),), dynamo=True, verbose=False)
"""
    child = run(code, tmp_path)
    assert child.returncode == 0, child.stderr
    assert not child.stderr and not child.stdout
    assert files(tmp_path) == []
