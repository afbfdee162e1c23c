"""How the tests run: on all cores, file by file, long files first.

A pytest plugin, loaded by the settings in pyproject.toml.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import psutil
import pytest

from edge_course import environment
from edge_course.contributing import record

ROOT = Path(__file__).resolve().parent.parent
MEMORY_BUDGET = 2.5 * 2**30  # of a worker; a notebook's kernel is not part of it
MEMORY_BESIDE = 0.5 * 2**30  # of the processes that a worker starts, on the average
# Test files that take long, in seconds on one core: they are marked slow and begin first.
SECONDS = {
    "tests/frameworks/test_onnx_to_keras.py": 115,
    "tests/test_own_model.py": 110,
    "tests/quantization_aware/test_quantization_aware.py": 70,
    "tests/quantization_aware/test_network.py": 45,
    "tests/pruning/test_prune.py": 55,
    "tests/frameworks/test_clinic.py": 50,
    "tests/split_channels/test_workers.py": 45,
    "tests/test_notebooks.py": 40,
    "tests/compression/test_compress.py": 20,
    "tests/structured_pruning/test_cut.py": 30,
    "tests/integer_inference/test_converter.py": 25,
    "tests/runtimes/test_ort.py": 25,
    "tests/frameworks/test_in_tensorflow.py": 20,
    "tests/nodes/test_node.py": 20,
    "tests/fusion/test_panel.py": 30,
    "tests/language/test_lstm.py": 30,
    "tests/fusion/test_forecaster.py": 12,
    "tests/test_own_network.py": 20,
    "tests/frameworks/test_four_runtimes.py": 20,
    "tests/integer_inference/test_model.py": 20,
    "tests/split_layers/test_bottleneck.py": 20,
    "tests/report/test_report.py": 20,
    "tests/test_environment.py": 15,
    "tests/test_exercises.py": 13,
    "tests/frameworks/test_in_pytorch.py": 12,
    "tests/compression/test_scoreboard.py": 10,
    "tests/service/test_running.py": 20,
    "tests/runtimes/test_litert.py": 10,
    "tests/microcontroller/test_to_c.py": 45,
    "tests/microcontroller/test_firmware.py": 20,
    "tests/integer_inference/test_micro.py": 12,
    "tests/federated/test_superlink.py": 45,
}
CACHES = ("MPLCONFIGDIR", "IPYTHONDIR", "ZIG_GLOBAL_CACHE_DIR")  # else in the home folder
PEAKS = pytest.StashKey[list[int]]()  # bytes, of every worker that has finished


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="try many random inputs, not a few (weekly in CI)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PEAKS] = []
    if not hasattr(config, "workerinput"):  # workers and all that they start inherit this
        folder = tempfile.TemporaryDirectory(prefix="edge_course_tests_")
        config.add_cleanup(folder.cleanup)
        for name in CACHES:
            os.environ.setdefault(name, str(Path(folder.name, name.lower())))
    if config.getoption("--thorough"):
        os.environ["EDGE_COURSE_THOROUGH"] = "1"  # all processes that are started from here see it


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many workers run the tests; 0 for none, where they would not pay."""
    if config.getoption("--record"):
        return 0  # what is measured is measured alone
    named = [Path(config.invocation_params.dir, arg.split("::")[0]) for arg in config.args]
    files = {file for path in named for file in [path, *path.rglob("*")]}
    process = psutil.Process()
    cores = process.cpu_affinity() if hasattr(process, "cpu_affinity") else range(os.cpu_count())
    room = environment.available_bytes() // (MEMORY_BUDGET + MEMORY_BESIDE)
    workers = min(len(cores), int(room), sum(_seconds(file) > 0 for file in files))
    return workers if workers > 1 else 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = {path: _seconds(path) for path in {item.path for item in items}}
    for item in items:
        if seconds[item.path]:
            item.add_marker("slow")
    items.sort(key=lambda item: -seconds[item.path])


def _seconds(path: Path) -> int:
    """Return the seconds that a file takes, or 0 if it is not slow."""
    if path.suffix == ".ipynb":
        measured = record.MEASURED.search(path.read_text(encoding="utf-8"))
        return int(measured[1]) if measured else 90
    return SECONDS.get(path.as_posix().removeprefix(f"{ROOT.as_posix()}/"), 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = _peak_bytes()
    elif max(session.config.stash[PEAKS], default=0) > MEMORY_BUDGET:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _peak_bytes() -> int:
    if psutil.WINDOWS:
        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if psutil.MACOS else 1024 * peak


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    if hasattr(node, "workeroutput"):  # it has none if it crashed
        node.config.stash[PEAKS].append(node.workeroutput["peak"])


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for peak in config.stash[PEAKS]:
        over = peak > MEMORY_BUDGET
        terminalreporter.line(
            f"a worker took {peak / 2**20:.0f} MiB at its peak, "
            f"{'more than' if over else 'of'} the {MEMORY_BUDGET / 2**20:.0f} MiB that it may take",
            red=over,
        )
