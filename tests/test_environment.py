"""The report tells what is wrong and what to do; the command opens the course."""

import shutil
import sys
from pathlib import Path

import pytest

from edge_course import __main__ as command
from edge_course import data, environment


@pytest.fixture(scope="module")
def components() -> dict[str, environment.Component]:
    return {c.name: c for c in environment.components()}


def test_everything_is_reported(components) -> None:
    runtimes = {name for name, _, _ in environment.RUNTIMES}
    files = {f"data/{name}" for name in data.manifest()}
    assert set(components) == {"Python", "memory"} | runtimes | files
    for component in components.values():
        assert str(component).startswith("[OK]   "), component


def test_versions_are_those_that_run(components) -> None:
    assert components["Python"].detail == sys.version.split()[0]
    assert components["LiteRT"].detail == environment.metadata.version("ai-edge-litert")


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_wrong_python(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    monkeypatch.setattr(environment.sys, "version_info", (*version, 0))
    monkeypatch.setattr(environment.platform, "python_version", lambda: f"3.{version[1]}.0")
    component = environment._python()
    assert component.problem.endswith("3.11 to 3.13 expected; install one of them")


def test_runtime_that_is_missing_or_broken(tmp_path: Path, monkeypatch) -> None:
    missing = environment._runtime("Edge", "edge_runtime", ("edge-runtime",))
    assert str(missing) == f"[FAIL] Edge: not installed; {environment.INSTALL}"
    (tmp_path / "broken_runtime.py").write_text("raise ImportError('no AVX on this processor')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = environment._runtime("Edge", "broken_runtime", ("numpy",))
    assert "does not start (ImportError: no AVX on this processor)" in broken.problem


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "available_bytes", lambda: 2**30)
    assert "1.0 GiB available, a notebook takes up to 1.5 GiB" in environment._memory().problem


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"memory.max": f"{2 * 2**30}\n", "memory.current": f"{2**30}\n"}
    monkeypatch.setattr(Path, "read_text", lambda self: limits[self.name])
    assert environment.available_bytes() == 2**30
    limits["memory.max"] = "max\n"
    assert environment.available_bytes() > 2**30


def test_check_ends_with_exit_code_1_on_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(environment, "RUNTIMES", ())
    assert command.main(["--check"]) == 0
    shutil.copy(data.FOLDER / data.MANIFEST, tmp_path)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    assert command.main(["--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("[FAIL] data/fashion_mnist_test.npz: ") for line in lines)


def test_opening_hands_other_options_to_jupyterlab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "components", lambda: iter(()))
    started = []

    class Done:
        returncode = 0

    monkeypatch.setattr(command.subprocess, "run", lambda c, **_: started.append(c) or Done())
    assert command.main(["--port=9999"]) == 0
    assert started[0][-1] == "--port=9999"
    assert (command.ROOT / command.FIRST_NOTEBOOK).is_file()
    assert f"--LabApp.default_url=/lab/tree/{command.FIRST_NOTEBOOK}" in started[0]


def test_over_ssh_no_browser_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.webbrowser, "get", lambda: object())
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert "--no-browser" not in command.lab_command()
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    assert "--no-browser" in command.lab_command()


@pytest.mark.parametrize(("user", "expected"), [(0, True), (1000, False)])
def test_root_is_allowed(monkeypatch: pytest.MonkeyPatch, user: int, expected: bool) -> None:
    monkeypatch.setattr(command.os, "geteuid", lambda: user, raising=False)
    assert ("--allow-root" in command.lab_command()) is expected
