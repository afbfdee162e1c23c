"""Commands that print on every terminal."""

import io
import sys


def print_anywhere() -> None:
    """Let a character that the terminal cannot show be printed as an escape, not raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
