"""Listings of the package's own source, highlighted."""

from __future__ import annotations

import html
import inspect
import textwrap
from typing import Any

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer


def _highlighted(obj: Any) -> tuple[str, str]:
    source = textwrap.dedent(inspect.getsource(obj)).rstrip()
    return source, highlight(source, PythonLexer(), HtmlFormatter(noclasses=True, nowrap=False))


def show(obj: Any) -> None:
    """Display the source of one of the package's functions or classes, highlighted.

    Taught in: notebooks/00_start_here.ipynb
    """
    source, listing = _highlighted(obj)
    display({"text/html": listing, "text/plain": source}, raw=True)


def show_folded(obj: Any, note: str) -> None:
    """Display a source like `show`, under a title that opens when clicked, with a note.

    Taught in: notebooks/00_start_here.ipynb
    """
    source, listing = _highlighted(obj)
    folded = (
        f"<details><summary>A solution: {html.escape(obj.__name__)} (click to open)</summary>"
        f"{listing}<p>{html.escape(note)}</p></details>"
    )
    display({"text/html": folded, "text/plain": f"{source}\n\n{note}"}, raw=True)
