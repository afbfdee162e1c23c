"""`python -m edge_course.report MODEL`: what a ``.tflite`` or an ``.onnx`` file is and does."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from edge_course import data, process, terminal
from edge_course.report.examine import examine_quietly
from edge_course.report.text import facts_text

FAILED = 2  # as argparse's own


def main(arguments: list[str] | None = None) -> int:
    """Print the report, write the page if asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.report",
        description="Reports on a model file: what is in it, its size, its speed on this machine, "
        "its answers, and the chips that it fits.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a .tflite or an .onnx file")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="ARRAYS.npz",
        help="inputs, float32, called images or x; for an accuracy also labels, or y",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help="another model file for the same inputs, such as the float32 version",
    )
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="where to write a page, too")
    options = parser.parse_args(arguments)
    given = (options.model, options.data, options.against)
    try:
        _check_page(options.html, given)
        with process.another() as call:
            facts = call(examine_quietly, *given)
        print(facts_text(facts))
        if options.html is not None:
            from edge_course.report.page import facts_page  # draws: only if asked for

            data.write_whole(options.html, facts_page(facts).encode())
            print(f"\nThe page is in {options.html}.")
    except BrokenProcessPool:
        names = " or ".join(str(path) for path in (options.model, options.against) if path)
        return _failed(f"{names}: the runtime broke down over it; was the file altered?")
    except OSError as error:
        return _failed(f"cannot write the page {options.html}: {error.strerror or error}")
    except ValueError as error:
        return _failed(str(error))
    return 0


def _check_page(page: Path | None, given: tuple[Path | None, ...]) -> None:
    """Refuse a page that could not be written, or would take the place of a file that is read."""
    if page is None:
        return
    if any(path is not None and page.resolve() == path.resolve() for path in given):
        raise ValueError(f"{page}: the page would overwrite a file that the report reads")
    if page.is_dir() or not page.parent.is_dir():
        raise ValueError(f"{page}: expected the name of a file in a folder that exists")


def _failed(reason: str) -> int:
    print(f"error: {' '.join(reason.split())}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    try:
        terminal.run_command(main)
    except KeyboardInterrupt:
        sys.exit(130)
