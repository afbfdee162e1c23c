"""How the tests run: workers where they pay, long files first, memory within its budget."""

from types import SimpleNamespace

import pytest

from edge_course import environment
from tests import run_plugin
from tests.support.effort import effort

SLOW = sorted(run_plugin.SECONDS, key=run_plugin.SECONDS.__getitem__)
QUICK = "tests/test_plot.py"


def workers(*args: str, record: bool = False) -> int:
    config = SimpleNamespace(
        args=args,
        getoption={"--record": record}.__getitem__,
        invocation_params=SimpleNamespace(dir=run_plugin.ROOT),
    )
    return run_plugin.pytest_xdist_auto_num_workers(config)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    process = SimpleNamespace(cpu_affinity=lambda: [0, 1, 2, 3])
    monkeypatch.setattr(run_plugin.psutil, "Process", lambda: process)
    monkeypatch.setattr(environment, "available_bytes", lambda: 64 * 2**30)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["tests", "notebooks"], 4),
        (["notebooks"], 4),
        ([f"{SLOW[0]}::test_a", f"{SLOW[0]}::test_b"], 0),
        ([SLOW[0], QUICK, "tests/test_process.py"], 0),
        ([SLOW[0], SLOW[1], QUICK], 2),
        (["tests/quantization"], 0),
    ],
)
def test_there_are_as_many_workers_as_pay(four_cores, args: list[str], expected: int) -> None:
    assert workers(*args) == expected


def test_what_is_measured_is_measured_alone(four_cores) -> None:
    assert workers("tests", "notebooks", record=True) == 0


@pytest.mark.parametrize(("gibibytes", "expected"), [(2, 0), (6, 2), (7, 2), (64, 4)])
def test_workers_fit_into_the_memory(
    four_cores, monkeypatch: pytest.MonkeyPatch, gibibytes: int, expected: int
) -> None:
    monkeypatch.setattr(environment, "available_bytes", lambda: gibibytes * 2**30)
    assert workers("tests") == expected


class Item(SimpleNamespace):
    """What the plugin sees of a test."""

    def add_marker(self, name: str) -> None:
        self.marker = name


def test_long_files_come_first_and_are_slow() -> None:
    notebook = run_plugin.ROOT / "notebooks" / "00_start_here.ipynb"
    paths = [run_plugin.ROOT / QUICK, *(run_plugin.ROOT / name for name in SLOW), notebook]
    items = [Item(path=path, name=name) for path in paths for name in ("first", "second")]
    run_plugin.pytest_collection_modifyitems(items)
    seconds = [run_plugin._seconds(item.path) for item in items]
    assert seconds == sorted(seconds, reverse=True)
    assert [item.name for item in items] == ["first", "second"] * len(paths), "order within a file"
    assert {item.path for item in items if not hasattr(item, "marker")} == {paths[0]}


def test_the_list_of_slow_files_is_up_to_date() -> None:
    assert all((run_plugin.ROOT / name).is_file() for name in run_plugin.SECONDS)


@pytest.mark.parametrize(("gibibytes", "code"), [(2.4, 0), (2.6, 1)])
def test_a_worker_over_its_budget_fails_the_run(gibibytes: float, code: int) -> None:
    stash = {run_plugin.PEAKS: []}
    config = SimpleNamespace(stash=stash)
    run_plugin.pytest_testnodedown(
        SimpleNamespace(config=config, workeroutput={"peak": gibibytes * 2**30})
    )
    session = SimpleNamespace(config=config, exitstatus=0)
    run_plugin.pytest_sessionfinish(session)
    assert session.exitstatus == code


def test_effort_is_small_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_COURSE_THOROUGH", raising=False)
    assert effort(3, 1000) == 3
    monkeypatch.setenv("EDGE_COURSE_THOROUGH", "1")
    assert effort(3, 1000) == 1000


def test_thorough_reaches_processes_that_tests_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_COURSE_THOROUGH", "")
    option = {"--thorough": True}.__getitem__
    config = SimpleNamespace(stash={}, workerinput={}, getoption=option)
    run_plugin.pytest_configure(config)
    assert effort(3, 1000) == 1000
