"""The course's data sets and trained weights, each checked by its hash before it is used.

`data/manifest.json` names every file with its size, its sha256 and the recipe that
makes it. `python -m edge_course.data` checks them; with `--rebuild` it makes them anew, and
`--add` makes those of a new recipe.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pkgutil
import zipfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "data"
MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
INSTALL = "python -m pip install -c constraints.txt -e ."
NOT_EDITABLE = (
    "the package was installed without the course's files: -e keeps it where they are; "
    f"in the repository's folder, type: {INSTALL}"
)


class DataError(Exception):
    """A data file is missing or is not the one the course was made with."""


class FileContent(bytes):
    """The content of a file, which knows what the file is called: errors can name it."""

    def __new__(cls, content: bytes, name: str = "these bytes"):
        """Return the content with its name, "these bytes" if it has none."""
        made = super().__new__(cls, content)
        made.name = name
        return made


def file_content(file: bytes | str | os.PathLike) -> FileContent:
    """Return the content of a file, given by its path or by its content.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError
        If it is neither a path nor bytes.
    """
    if isinstance(file, bytes | bytearray | memoryview):
        return FileContent(file, getattr(file, "name", "these bytes"))
    if not isinstance(file, str | os.PathLike):
        raise TypeError(f"expected a file's path or bytes, got {type(file).__name__}")
    return FileContent(Path(file).read_bytes(), str(file))


def manifest() -> dict[str, dict]:
    """Return name → {"bytes", "sha256", "recipe"} of every file in ``data/``.

    Raises
    ------
    DataError
        If the manifest is missing, unreadable, or of another version.
    """
    path = FOLDER / MANIFEST
    if not FOLDER.is_dir():
        raise DataError(f"{FOLDER} is missing; {NOT_EDITABLE}")
    repair = f"restore it with: git checkout -- data/{MANIFEST}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, files = content["version"], content["files"]
    except FileNotFoundError:
        raise DataError(f"{path} is missing; {repair}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not readable ({error}); {repair}") from None
    if version != MANIFEST_VERSION:
        raise DataError(f"{path} has version {version}, expected {MANIFEST_VERSION}; {repair}")
    return files


def file_state(content: bytes, size: int, sha256: str) -> str:
    """Return what happened to a file on its way.

    Parameters
    ----------
    content : what arrived.
    size : bytes that were sent.
    sha256 : SHA-256 of what was sent, 64 hexadecimal digits.

    Returns
    -------
    str
        "intact"; else "truncated" if it is too short, "too long", or "altered".

    Taught in: notebooks/06_when_conversion_fails.ipynb
    """
    if len(content) != size:
        return "truncated" if len(content) < size else "too long"
    return "intact" if hashlib.sha256(content).hexdigest() == sha256.lower() else "altered"


def _checked(name: str, content: bytes, entry: dict) -> bytes:
    """Return the content if it is what the manifest says; else raise a DataError."""
    size, expected_size, expected = len(content), entry["bytes"], entry["sha256"]
    what = {
        "truncated": f"is truncated or of another version ({size:,} of {expected_size:,} bytes)",
        "too long": f"is of another version ({size:,} bytes, expected {expected_size:,})",
        "altered": "was altered",
    }
    state = file_state(content, expected_size, expected)
    if state == "intact":
        return content
    actual = hashlib.sha256(content).hexdigest()
    raise DataError(
        f"data/{name} {what[state]}: expected sha256 {expected}, found {actual}; {_repair(name)}"
    )


def _repair(name: str) -> str:
    return (
        f"repair it with: git checkout -- data/{name}   "
        f"(or: python -m edge_course.data --rebuild {name})"
    )


def read(name: str) -> FileContent:
    """Return the content of a file in ``data/``, which knows its name, after checking its hash.

    Raises
    ------
    DataError
        If the manifest does not know the name, or the file is missing, truncated,
        altered or of another version.

    Taught in: notebooks/00_start_here.ipynb
    """
    files = manifest()
    if name not in files:
        raise DataError(f"data/ has no file called {name!r}; it has: {', '.join(files)}")
    path = FOLDER / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        expected = files[name]["sha256"]
        raise DataError(
            f"data/{name} is missing: expected sha256 {expected}, found no file; {_repair(name)}"
        ) from None
    return FileContent(_checked(name, content, files[name]), f"data/{name}")


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an .npz file. NumPy's own would use zlib, whose bytes differ between versions."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that the bytes stay the same
            info.compress_type = zipfile.ZIP_BZIP2
            info.create_system = 3  # else Windows and Linux write different headers
            archive.writestr(info, member.getvalue())
    return file.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to a temporary file first, which is then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _entry(content: bytes, recipe: str) -> dict:
    return {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "recipe": recipe,
    }


def _write_manifest(files: dict[str, dict]) -> None:
    content = json.dumps({"version": MANIFEST_VERSION, "files": files}, indent=2) + "\n"
    write_whole(FOLDER / MANIFEST, content.encode())


def add_recipe(recipe: str) -> None:
    """Make the files of a new recipe, and their entries in the manifest.

    Parameters
    ----------
    recipe : ``module:function``, which returns file name → content.

    Raises
    ------
    DataError
        If there is no such function, it returns something else, or a file is there already.
    """
    try:
        make = pkgutil.resolve_name(recipe) if ":" in recipe else None
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"there is no recipe {recipe!r}: {error}") from None
    if not callable(make):
        raise DataError(f"expected a recipe as module:function, got {recipe!r}")
    made, files = make(), manifest()
    if not isinstance(made, dict) or {type(content) for content in made.values()} != {bytes}:
        raise DataError(f"the recipe {recipe} must return file name → bytes, got {made!r:.200}")
    for name in made:
        if Path(name).name != name or name in files or (FOLDER / name).exists():
            raise DataError(
                f"the recipe {recipe} makes {name!r}: expected a new name, without folders; "
                f"make an old file anew with: python -m edge_course.data --rebuild NAME --accept"
            )
    for name, content in made.items():
        write_whole(FOLDER / name, content)
        print(f"[OK]   {name} {hashlib.sha256(content).hexdigest()}")
    _write_manifest(files | {name: _entry(content, recipe) for name, content in made.items()})


def rebuild(names: list[str], *, accept: bool) -> bool:
    """Make files of ``data/`` anew by their recipes; tell whether all hashes are as expected.

    A file whose hash is another one is not written, unless ``accept`` is true: then the
    manifest takes the new hash.
    """
    files = manifest()
    if unknown := set(names) - set(files):
        raise DataError(f"data/ has no file called {', '.join(sorted(unknown))}")
    wanted = names or list(files)
    same = True
    for recipe in dict.fromkeys(files[name]["recipe"] for name in wanted):
        made = pkgutil.resolve_name(recipe)()
        for name, content in made.items():
            if name not in wanted:
                continue
            if accept:
                files[name] = _entry(content, recipe)
            try:
                write_whole(FOLDER / name, _checked(name, content, files[name]))
                print(f"[OK]   {name} {files[name]['sha256']}")
            except DataError as error:
                same = False
                print(f"[FAIL] the recipe {recipe} gave another file: {error}")
        if accept:
            _write_manifest(files)
    return same


def check_all() -> list[tuple[str, str]]:
    """Return (name, problem) of every file in the manifest; the problem is empty if it is right."""
    report = []
    for name in manifest():
        try:
            read(name)
            report.append((name, ""))
        except DataError as error:
            report.append((name, str(error)))
    return report


def main(arguments: list[str] | None = None) -> int:
    """Check the files in ``data/``, or rebuild them; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_course.data", description="Checks the files in data/ by their hashes."
    )
    parser.add_argument(
        "--rebuild", nargs="*", metavar="NAME", help="make these files (or all) by their recipes"
    )
    parser.add_argument(
        "--accept", action="store_true", help="with --rebuild: take a new hash into the manifest"
    )
    parser.add_argument(
        "--add", metavar="MODULE:FUNCTION", help="make the files of a new recipe, and their entries"
    )
    options = parser.parse_args(arguments)
    try:
        if options.add is not None:
            add_recipe(options.add)
            return 0
        if options.rebuild is not None:
            return 0 if rebuild(options.rebuild, accept=options.accept) else 1
        report = check_all()
    except DataError as error:
        print(f"[FAIL] {error}")
        return 1
    for name, problem in report:
        print(f"[FAIL] {problem}" if problem else f"[OK]   {name}")
    return int(any(problem for _, problem in report))


if __name__ == "__main__":
    # The recipes import this module under its own name: use that one, not a second copy.
    from edge_course import data, terminal

    terminal.run_command(data.main)
