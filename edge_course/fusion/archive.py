"""The place that answers are passed on to: a process that appends each of them to a file."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edge_course import terminal
from edge_course.nodes import addresses
from edge_course.nodes.child import ServingChild, serve_parent
from edge_course.runtimes import model_files

MODEL = model_files.fingerprint(b"archive")  # what a client must ask for


class Archive:
    """Appends what it is sent to a file, a line of JSON each; served like a part of a network.

    Parameters
    ----------
    path : the file; what is in there already stays.

    Raises
    ------
    OSError
        If the file cannot be written.
    """

    inputs = ("answer", "nodes", "step")
    model = MODEL

    def __init__(self, path: str | os.PathLike):
        self._path = Path(path)
        self._append("")  # better now than at the first answer

    def run(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Store a step, its answer and how many nodes it comes from; return ``{"stored": [1]}``."""
        step, answer, nodes = (float(tensors[name][0]) for name in ("step", "answer", "nodes"))
        line = {"step": int(step), "answer": round(answer, 1), "nodes": int(nodes)}
        self._append(json.dumps(line) + "\n")
        return {"stored": np.ones(1, np.float32)}

    def _append(self, text: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # only what is on the disk counts as stored


class ArchiveProcess(ServingChild):
    """An archive as a process of its own, which ends with this object.

    Parameters
    ----------
    path : see `Archive`.

    Raises
    ------
    NodeError
        If the process does not start.

    Taught in: notebooks/16_many_nodes_one_answer.ipynb
    """

    def __init__(self, path: str | os.PathLike):
        content = str(Path(path).resolve()).encode()
        super().__init__("edge_course.fusion.archive", content, MODEL, addresses.free_address())


def main(arguments: list[str] | None = None) -> int:
    """Serve an archive, whose path comes through the standard input, until that closes."""
    parser = argparse.ArgumentParser(prog="python -m edge_course.fusion.archive")
    parser.add_argument("--listen", required=True)
    options = parser.parse_args(arguments)
    return serve_parent(lambda content: Archive(content.decode()), options.listen)


if __name__ == "__main__":
    terminal.run_command(main)
