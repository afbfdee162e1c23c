"""Commands print on terminals that know only ASCII: every one of the package, every letter."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edge_course"
COMMANDS = [path for path in PACKAGE.rglob("*.py") if "__name__ ==" in path.read_text("utf-8")]


def run_on_ascii(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", **more}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, env=environment
    )


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_command_runs_by_run_command(path):
    last = ast.parse(path.read_text(encoding="utf-8")).body[-1]
    assert ast.unparse(last.test) == "__name__ == '__main__'"
    calls = [node.func for node in ast.walk(last) if isinstance(node, ast.Call)]
    assert any(ast.unparse(function) == "terminal.run_command" for function in calls)


def test_there_are_commands():
    assert PACKAGE / "nodes" / "node.py" in COMMANDS and len(COMMANDS) >= 6


MAIN = """
import sys
from edge_course import terminal
def main():
    print("caf\\xe9 \\u2026 \\ud800")
    print("\\u2212", file=sys.stderr)
    return 3
terminal.run_command(main)
"""


def test_other_letters_are_escapes():
    run = run_on_ascii("-c", MAIN)
    assert (run.stdout.strip(), run.returncode) == (r"caf\xe9 \u2026 \ud800", 3)
    assert run.stderr.strip() == r"\u2212"


def test_a_model_with_another_letter_in_its_name(tmp_path):
    file = tmp_path / "caf\xe9.onnx"
    run = run_on_ascii("-m", "edge_course.nodes.node", "--model", str(file))
    assert run.returncode == 1 and r"caf\xe9.onnx" in run.stdout and not run.stderr
    file.write_bytes(b"no model")
    run = run_on_ascii("-m", "edge_course.nodes.node", "--model", str(file))
    assert run.returncode == 1 and run.stdout.count("\n") == 1 and not run.stderr


@pytest.mark.parametrize("command", ["nodes.node", "split_channels.torchrun"])
def test_help(command):
    run = run_on_ascii("-m", f"edge_course.{command}", "--help")
    assert run.returncode == 0 and "usage: " in run.stdout and not run.stderr
