"""The report tells what is wrong and what to do; the command opens the course."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_course import __main__ as command
from edge_course import data, environment


@pytest.fixture(scope="module")
def components() -> dict[str, environment.Component]:
    return {c.name: c for c in environment.components()}


def test_everything_is_reported(components) -> None:
    runtimes = {name for name, _, _ in environment.RUNTIMES}
    files = {f"data/{name}" for name in data.manifest()}
    others = {"Python", "memory", "Jupyter's folders", "notebooks"}
    assert set(components) == others | runtimes | files
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
    assert str(missing) == f"[FAIL] Edge: not installed; {environment.HOW_TO_INSTALL}"
    (tmp_path / "broken_runtime.py").write_text("raise ImportError('no AVX on this processor')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken = environment._runtime("Edge", "broken_runtime", ("numpy",))
    assert "does not start (ImportError: no AVX on this processor)" in broken.problem


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "available_bytes", lambda: 2**30)
    assert "1.0 GiB available, a notebook takes up to 1.5 GiB" in environment._memory().problem


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes what a container sees of its control groups; gives a function that adds one."""

    def path(*names: str) -> Path:
        text = str(Path(*names))
        for real in ("/sys/fs/cgroup", "/proc/self/cgroup"):
            text = text.replace(real, str(tmp_path / Path(real).parent.name / "cgroup"))
        return Path(text)

    def add(lines: str, folder: str, **files: str | int) -> None:
        (tmp_path / "self").mkdir(exist_ok=True)
        (tmp_path / "self" / "cgroup").write_text(lines)
        (tmp_path / "fs" / "cgroup" / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            name = name.replace("__", ".")
            (tmp_path / "fs" / "cgroup" / folder / name).write_text(f"{content}\n")

    monkeypatch.setattr(environment, "Path", path)
    monkeypatch.setattr(
        environment.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB)
    )
    return add


GIB = 2**30
NO_CACHE = {"memory__stat": "anon 5"}


def test_a_containers_limit_counts(groups) -> None:
    groups("0::/\n", "", memory__max=2 * GIB, memory__current=GIB, **NO_CACHE)
    assert environment.available_bytes() == GIB


def test_no_limit(groups) -> None:
    groups("0::/\n", "", memory__max="max", memory__current=GIB, **NO_CACHE)
    assert environment.available_bytes() == 8 * GIB


def test_pages_of_files_are_not_used_up(groups) -> None:
    stat = f"anon {GIB // 2}\nfile {GIB}\ninactive_file {GIB}\nactive_file {GIB // 4}"
    groups("0::/\n", "", memory__max=2 * GIB, memory__current=7 * GIB // 4, memory__stat=stat)
    assert environment.available_bytes() == 2 * GIB - GIB // 2


def test_the_tightest_of_nested_groups_counts(groups) -> None:
    lines = "0::/user.slice/notebook.scope\n"
    groups(lines, "user.slice", memory__max=2 * GIB, memory__current=GIB, **NO_CACHE)
    inner = "user.slice/notebook.scope"
    groups(lines, inner, memory__max=GIB, memory__current=GIB // 4, **NO_CACHE)
    assert environment.available_bytes() == GIB - GIB // 4
    groups(lines, "user.slice", memory__current=2 * GIB - 1)
    assert environment.available_bytes() == 1


@pytest.mark.parametrize("group", ["/docker/0123", "/"])
def test_version_1_whose_container_sees_its_own_group_as_the_root(groups, group: str) -> None:
    groups(
        f"12:pids:/docker\n5:cpu,memory:{group}\n0::/\n", "memory",
        memory__limit_in_bytes=2 * GIB, memory__usage_in_bytes=2 * GIB,
        memory__stat=f"cache 7\ninactive_file 7\ntotal_inactive_file {GIB}\ntotal_active_file 0",
    )  # fmt: skip
    assert environment.available_bytes() == GIB


def test_without_control_groups_the_machine_counts(groups) -> None:
    assert environment.available_bytes() == 8 * GIB


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A home folder in which nobody can write, root neither: it would lie in a file."""
    (tmp_path / "file").touch()
    for name in command.HOMES:
        monkeypatch.delenv(name, raising=False)
    home = str(tmp_path / "file" / "home")
    monkeypatch.setenv("HOME", home)
    return home


@pytest.mark.skipif(sys.platform == "win32", reason="the home folder has another name there")
def test_a_home_folder_that_is_not_writable_is_reported(no_home: str) -> None:
    component = environment._jupyter_folders()
    assert component.detail.startswith(no_home)
    assert "uses a temporary folder" in component.detail


@pytest.mark.skipif(sys.platform == "win32", reason="the home folder has another name there")
def test_jupyterlab_writes_into_a_temporary_folder_then(no_home: str, tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "jupyterlab", "workspaces", "list"],
        env=command._surroundings(str(tmp_path)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    shown = "from jupyter_core import paths; print(paths.jupyter_runtime_dir())"
    child = subprocess.run(
        [sys.executable, "-c", shown],
        env=command._surroundings(str(tmp_path)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(child.stdout.strip()).is_relative_to(tmp_path)


def test_a_writable_home_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in command.HOMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert environment._jupyter_folders().detail == "writable"
    assert command._surroundings("/elsewhere")["HOME"] == str(tmp_path)
    assert not list(tmp_path.iterdir()), "asking leaves nothing behind"


def test_an_install_without_the_courses_files_says_how_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(environment, "RUNTIMES", ())
    monkeypatch.setattr(data, "FOLDER", tmp_path / "site-packages" / "data")
    monkeypatch.setattr(command, "ROOT", tmp_path / "site-packages")
    monkeypatch.setattr(command.subprocess, "run", None)  # nothing is opened
    assert command.main([]) == 1
    failures = [line for line in capsys.readouterr().out.splitlines() if "[FAIL]" in line]
    assert len(failures) == 2
    for line in failures:
        assert "python -m pip install -c constraints.txt -e ." in line


def test_notebooks_that_cannot_be_saved_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "is_writable", lambda folder: False)
    assert "what you type would be lost" in environment._notebooks().problem


@pytest.mark.parametrize("module", ["edge_course", "edge_course.data"])
@pytest.mark.parametrize("options", [["--help"], []])
def test_a_terminal_without_our_characters(module: str, options: list[str], tmp_path: Path) -> None:
    """Prints the name of a folder that is not ASCII, or its help."""
    folder = tmp_path / "Übung"
    words = ["edge_course", *options, *(["--check"] if module == "edge_course" else [])]
    code = (
        "import pathlib, runpy, sys\n"
        "from edge_course import data, environment\n"
        f"data.FOLDER, environment.RUNTIMES = pathlib.Path({str(folder)!a}), ()\n"
        f"sys.argv = {words}\n"
        f"runpy.run_module('{module}', run_name='__main__')"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"Traceback" not in child.stderr
    assert (b"usage" if options else rb"\xdcbung is missing") in child.stdout
    assert child.returncode == (0 if options else 1)


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


def test_jupyterlab_asks_nobody(tmp_path: Path) -> None:
    assert "--LabApp.extension_manager=readonly" in command.lab_command()
    folder = command._surroundings(str(tmp_path))["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]
    overrides = Path(folder, "labconfig", "default_setting_overrides.json").read_text()
    settings = json.loads(overrides)["@jupyterlab/apputils-extension:notification"]
    assert settings == {"fetchNews": "false", "checkForUpdates": False}


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
