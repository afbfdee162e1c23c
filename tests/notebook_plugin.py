"""What nbval leaves out: memory, a dead kernel, and a table of what every notebook took.

A pytest plugin, loaded by the settings in pyproject.toml.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

import nbformat
import pytest
from nbval.plugin import IPyNbCell

from edge_course import measure
from edge_course.contributing import record
from tests import notebook_rules

MEMORY_BUDGET = 1.5 * 2**30
SECONDS_BUDGET = 90


@dataclass
class Run:
    """One notebook's execution."""

    began: float = field(default_factory=time.monotonic)
    peak: measure.PeakMemory | None = None
    stack: ExitStack = field(default_factory=ExitStack)


RUNS = pytest.StashKey[dict[Path, Run]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record",
        action="store_true",
        help="write the measured times and memory into README.md and the notebooks",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUNS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    runs = item.config.stash[RUNS]
    if not isinstance(item, IPyNbCell) or item.path in runs:
        return (yield)
    run = runs[item.path] = Run()
    result = yield  # nbval starts the kernel
    # Log lines of compiled libraries differ between machines, and are not saved.
    item.parent.skip_compare += ("stderr",)
    kernel = item.parent.kernel
    _notice_death(kernel)
    run.peak = run.stack.enter_context(measure.peak_memory(kernel.km.provisioner.pid))
    return result


def _notice_death(kernel) -> None:
    """Make nbval's wait for a reply end when the kernel is gone, not at the cell's timeout."""
    wait = kernel.get_message

    def get_message(stream: str, timeout: float | None = None):
        if stream != "shell" or timeout is None:
            return wait(stream, timeout)
        end = time.monotonic() + timeout
        while True:
            try:
                return wait(stream, timeout=1)
            except Empty:
                if not kernel.is_alive():
                    pytest.fail("the kernel died in this cell (out of memory?)", pytrace=False)
                if time.monotonic() > end:
                    raise

    kernel.get_message = get_message


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if isinstance(item, IPyNbCell) and hasattr(report, "wasxfail"):
        # nbval marks the cells after a timeout as expected failures: they are failures.
        del report.wasxfail
        report.outcome = "failed"
        report.longrepr = f"{item.name}: not run, because a cell before it timed out"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None):
    run = item.config.stash[RUNS].get(item.path)
    ends = run and run.peak and (nextitem is None or nextitem.parent is not item.parent)
    if ends:
        run.stack.close()
        seconds = time.monotonic() - run.began
        # The report carries it: this may be a worker, and another process prints the table.
        item.user_properties.append(("notebook", (str(item.path), seconds, run.peak.bytes)))
    yield
    if ends and run.peak.bytes > MEMORY_BUDGET:
        pytest.fail(
            f"{item.path.name} took {run.peak.bytes / 2**20:.0f} MiB at its peak, "
            f"more than the budget of {MEMORY_BUDGET / 2**20:.0f} MiB",
            pytrace=False,
        )


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    measured = {
        Path(value[0]): (value[1], value[2])
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "notebook"
    }
    if not measured:
        return
    terminalreporter.section("notebooks")
    terminalreporter.line(
        f"{'notebook':<40}{'wall time':>10}{'peak memory':>14}{'exact cells':>14}"
    )
    for path, (seconds, peak) in sorted(measured.items()):
        exact, printing = notebook_rules.exact_and_printing(nbformat.read(path, as_version=4))
        terminalreporter.line(
            f"{path.name:<40}{seconds:>8.0f} s{peak / 2**20:>10.0f} MiB"
            f"{exact:>9} of {printing}{'  over 90 s' if seconds > SECONDS_BUDGET else ''}"
        )
    if config.getoption("--record"):
        record.record(measured)
