"""Commands on a terminal, whatever letters it knows."""

from __future__ import annotations

import sys
from collections.abc import Callable


def run_command(main: Callable[[], int | None]) -> None:
    r"""Run a command's ``main`` and end the process with what it returns.

    Where the output knows only ASCII, or another small set of letters (a pipe, a container, an old
    Windows console), other letters are printed as escapes such as ``\xe9``; otherwise the first
    of them, in a text of ours or in the name of a file, would end the command.

    Parameters
    ----------
    main : returns the exit code; None is 0.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
