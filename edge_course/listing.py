"""Listings of the package's own source, highlighted."""

from __future__ import annotations

import ast
import html
import inspect
import textwrap
from typing import Any

from IPython.display import display
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

# A listing brings its background and all its colours along: on a dark page it stays readable.
# JupyterLab would give the <pre> in it the background of the page.
FORMATTER = HtmlFormatter(noclasses=True, prestyles="background: none; color: #000000")


def source_of(obj: Any, *, whole: bool = False) -> str:
    """Return the source of a function or class; of its docstrings the summary, or the whole."""
    source = textwrap.dedent(inspect.getsource(obj)).rstrip()
    return source if whole else _summarised(source)


def _summarised(source: str) -> str:
    """Return a source in which every docstring ends after its first paragraph."""
    lines = source.splitlines()
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    for node in sorted(nodes, key=lambda node: -node.lineno):  # from below: numbers above stay
        text = ast.get_docstring(node, clean=False)
        if text and "\n\n" in text:
            docstring = node.body[0]
            last = docstring.lineno + text.split("\n\n")[0].count("\n")  # of the first paragraph
            lines[last - 1 : docstring.end_lineno] = [lines[last - 1] + '"""']
    return "\n".join(lines)


def show(obj: Any, *, whole: bool = False) -> None:
    """Display the source of one of the package's functions or classes, highlighted.

    Parameters
    ----------
    obj : the function or class.
    whole : with all of its docstring, not only the summary.

    Taught in: notebooks/00_start_here.ipynb
    """
    source = source_of(obj, whole=whole)
    display({"text/html": _highlighted(source), "text/plain": source}, raw=True)


def show_folded(obj: Any, note: str) -> None:
    """Display a source like `show`, under a title that opens when clicked, with a note."""
    source = source_of(obj)
    folded = (
        f"<details><summary>A solution: {html.escape(obj.__name__)} (click to open)</summary>"
        f"{_highlighted(source)}<p>{html.escape(note)}</p></details>"
    )
    display({"text/html": folded, "text/plain": f"{source}\n\n{note}"}, raw=True)


def _highlighted(source: str) -> str:
    return highlight(source, PythonLexer(), FORMATTER)
