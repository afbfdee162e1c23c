"""Opens the course: reports on the machine, then starts JupyterLab on the first notebook."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path

from edge_course import environment, terminal

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Path(__file__).resolve().parent / "settings"
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
# Where JupyterLab, its kernels and Matplotlib write.
HOMES = (
    "HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
    "MPLCONFIGDIR",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Print the report and, unless only that was asked for, open the course."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course",
        description="Reports on this machine, then opens the course in JupyterLab.",
        epilog="Other options are handed to JupyterLab, for example --port=9999.",
    )
    parser.add_argument(
        "--check", action="store_true", help="only report; exit code 1 on a failure"
    )
    options, for_jupyter = parser.parse_known_args(arguments)
    failed = False
    for component in environment.components():
        print(component, flush=True)
        failed |= bool(component.problem)
    if options.check:
        return int(failed)
    if failed:
        print("Something above failed: what needs it will not work until it is repaired.")
    if not (ROOT / FIRST_NOTEBOOK).is_file():
        return 1  # the report says what to do
    with tempfile.TemporaryDirectory() as temporary:
        return subprocess.run(
            [*lab_command(), *for_jupyter], env=_surroundings(temporary), check=False
        ).returncode


def _surroundings(temporary: str) -> dict[str, str]:
    """Return JupyterLab's environment: it asks nobody for news, and can write its settings."""
    config = os.pathsep.join(filter(None, [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH")]))
    instead = HOMES if environment.unwritable_jupyter_folders() else ()
    return {
        **os.environ,
        "JUPYTER_CONFIG_PATH": config,
        **{name: str(Path(temporary, name.lower())) for name in instead},
    }


def lab_command() -> list[str]:
    """Return the command that starts JupyterLab on the first notebook, here and for this user."""
    command = [
        sys.executable, "-m", "jupyterlab",
        f"--ServerApp.root_dir={ROOT}",
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}",
        "--LabApp.extension_manager=readonly",  # the other one asks PyPI what else there is
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # usual in a container
    if not _has_browser():
        command.append("--no-browser")  # JupyterLab prints the URL to open
    return command


def _has_browser() -> bool:
    if "SSH_CONNECTION" in os.environ:
        return False  # a browser here would open where nobody looks
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


if __name__ == "__main__":
    try:
        terminal.run_command(main)
    except KeyboardInterrupt:
        sys.exit(130)
