"""The data files are the right ones, and wrong ones are refused with the cause and the repair."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_course import data, fashion_mnist

NAME = "seed_cnn_int8.tflite"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of two small data files that a test may spoil."""
    for name in (data.MANIFEST, NAME):
        shutil.copy(data.FOLDER / name, tmp_path)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    return tmp_path


def test_every_file_has_its_hash_and_its_line_in_the_data_sheet() -> None:
    sheet = (data.FOLDER / "README.md").read_text(encoding="utf-8")
    files = data.manifest()
    kept = {p.name for p in data.FOLDER.iterdir() if not p.name.startswith(".")}
    assert kept == {"README.md", data.MANIFEST, *files}
    assert data.check_all() == [(name, "") for name in files]
    for name, entry in files.items():
        assert name in sheet
        assert entry["sha256"] in sheet, f"data/README.md has another hash for {name}"


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda content: content[:1000] + b"\0" + content[1001:], "was altered"),
        (lambda content: content[:-1], "truncated"),
        (lambda content: b"", "truncated"),
        (lambda content: content + b"\0", "of another version"),
    ],
)
def test_spoiled_file_is_refused(folder: Path, spoil, cause: str) -> None:
    content = spoil((folder / NAME).read_bytes())
    (folder / NAME).write_bytes(content)
    with pytest.raises(data.DataError) as error:
        data.read(NAME)
    message = str(error.value)
    assert cause in message
    assert NAME in message
    assert data.manifest()[NAME]["sha256"] in message
    assert hashlib.sha256(content).hexdigest() in message
    assert f"git checkout -- data/{NAME}" in message


def test_one_altered_byte_anywhere_is_found(folder: Path) -> None:
    content = bytearray((folder / NAME).read_bytes())
    for position in np.linspace(0, len(content) - 1, 20).astype(int):
        content[position] ^= 1
        (folder / NAME).write_bytes(content)
        with pytest.raises(data.DataError, match="was altered"):
            data.read(NAME)
        content[position] ^= 1


def test_missing_file_is_named_with_its_hash(folder: Path) -> None:
    (folder / NAME).unlink()
    with pytest.raises(data.DataError, match=f"data/{NAME} is missing: expected sha256 [0-9a-f]"):
        data.read(NAME)


def test_unknown_file_lists_what_there_is(folder: Path) -> None:
    with pytest.raises(data.DataError, match=r"no file called 'x'; it has: .*int8\.tflite"):
        data.read("x")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("{", "not readable"),
        ("[]", "not readable"),
        ("{}", "not readable"),
        ('{"version": 2, "files": {}}', "has version 2, expected 1"),
    ],
)
def test_spoiled_manifest_is_refused(folder: Path, content: str, cause: str) -> None:
    (folder / data.MANIFEST).write_text(content)
    with pytest.raises(data.DataError, match=cause):
        data.manifest()


def test_command_reports_every_file(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert data.main([]) == 1  # all files but one are missing here
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(data.manifest())
    assert f"[OK]   {NAME}" in lines


def test_rebuild_refuses_another_hash_and_keeps_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    before = (folder / NAME).read_bytes()
    monkeypatch.setattr("edge_course.recipes.networks.make_seed_cnn", lambda: {NAME: b"other"})
    assert data.main(["--rebuild", NAME]) == 1
    assert "gave another file" in capsys.readouterr().out
    assert (folder / NAME).read_bytes() == before

    assert data.main(["--rebuild", NAME, "--accept"]) == 0
    assert data.read(NAME) == b"other"
    assert {p.name for p in folder.iterdir()} == {NAME, data.MANIFEST}


def test_rebuild_knows_its_files(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert data.main(["--rebuild", "x"]) == 1
    assert "no file called x" in capsys.readouterr().out


def new_recipe() -> dict[str, bytes]:
    return {"first.bin": b"1", "second.bin": b"22"}


def test_a_new_recipe_is_added(folder: Path, capsys: pytest.CaptureFixture) -> None:
    before = data.manifest()
    recipe = f"{__name__}:new_recipe"
    assert data.main(["--add", recipe]) == 0
    digest = hashlib.sha256(b"22").hexdigest()
    assert f"[OK]   second.bin {digest}" in capsys.readouterr().out
    assert data.read("second.bin") == b"22"
    entry = {"bytes": 2, "sha256": digest, "recipe": recipe}
    assert data.manifest().keys() - before.keys() == {"first.bin", "second.bin"}
    assert data.manifest()["second.bin"] == entry


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (None, "must return file name → bytes, got None"),
        ({}, "must return file name → bytes, got {}"),
        ({"x": "text"}, "must return file name → bytes"),
        ({NAME: b""}, "expected a new name"),
        ({"README.md/x": b""}, "expected a new name, without folders"),
        ({"../x": b""}, "expected a new name, without folders"),
    ],
)
def test_a_recipe_that_makes_something_else_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, made, cause: str
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("edge_course.recipes.pictures.make_fashion_mnist", lambda: made)
    assert data.main(["--add", "edge_course.recipes.pictures:make_fashion_mnist"]) == 1
    assert cause in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "recipe", ["", "x", "no.such:recipe", "edge_course.data:nothing", "edge_course.data:FOLDER"]
)
def test_no_recipe_is_refused(folder: Path, capsys: pytest.CaptureFixture, recipe: str) -> None:
    assert data.main(["--add", recipe]) == 1
    assert "recipe" in capsys.readouterr().out


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        data.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_sets_are_what_the_data_sheet_says() -> None:
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    for part in (train, test):
        assert part.images.shape == (10_000, 28, 28)
        assert part.images.dtype == part.labels.dtype == np.uint8
        assert np.bincount(part.labels).tolist() == [1000] * 10
    seen = {image.tobytes() for image in train.images}
    shared = sum(image.tobytes() in seen for image in test.images)
    assert shared < 10, "training and test images overlap"


def test_labels_belong_to_the_images() -> None:
    """A nearest-centroid classifier, a reference that knows nothing of this package."""
    train, test = fashion_mnist.load("train"), fashion_mnist.load("test")
    centroids = np.stack([train.images[train.labels == c].mean(axis=0) for c in range(10)])
    distances = ((test.images[:1000, None] - centroids) ** 2).sum(axis=(2, 3))
    assert np.mean(distances.argmin(axis=1) == test.labels[:1000]) > 0.6


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="'all'"):
        fashion_mnist.load("all")


def test_download_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("pooch.retrieve", offline)
    with pytest.raises(data.DataError, match=r"could not download .*no route to host"):
        fashion_mnist.load("rest")


def test_package_of_the_original_files_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The "rest" is the 60,000 less the first 1,000 of each class, read from a real .deb layout."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 1002)
    images = np.arange(len(labels), dtype=np.uint32).view(np.uint8).reshape(-1, 2, 2)
    (tmp_path / "package.deb").write_bytes(_debian_package({"train": (images, labels)}))
    monkeypatch.setattr("pooch.retrieve", lambda *_, **__: tmp_path / "package.deb")
    rest = fashion_mnist.load("rest")
    expected = np.flatnonzero(np.arange(len(labels)) % 1002 >= 1000)
    assert np.array_equal(rest.images, images[expected])
    assert np.array_equal(rest.labels, labels[expected])


def _debian_package(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    import gzip
    import tarfile

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as tar:
        for part, arrays_ in parts.items():
            for kind, array in zip(("images-idx3", "labels-idx1"), arrays_, strict=True):
                sizes = np.array(array.shape, ">i4").tobytes()
                content = gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
                member = tarfile.TarInfo(f"./usr/share/{part}-{kind}-ubyte.gz")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    package = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0"), ("data.tar.xz", archive.getvalue())):
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        package += content + b"\n" * (len(content) % 2)
    return package


def test_preprocess() -> None:
    images = np.arange(784, dtype=np.uint32).astype(np.uint8).reshape(1, 28, 28)
    x = fashion_mnist.preprocess(images)
    assert x.shape == (1, 28, 28, 1)
    assert x.dtype == np.float32
    assert np.array_equal(np.round(x[..., 0] * 255).astype(np.uint8), images)
    assert (x.min(), x.max()) == (0, 1)


def test_a_representative_dataset_is_a_list_of_inputs_for_each_picture() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    examples = fashion_mnist.representative_dataset(images)
    assert [len(inputs) for inputs in examples] == [1, 1]
    for (x,), image in zip(examples, images, strict=True):
        assert x.shape == (1, 2, 3, 1) and x.dtype == np.float32
        assert np.array_equal(np.rint(255 * x[0, :, :, 0]), image)
    with pytest.raises(ValueError, match=r"expected uint8 pictures of shape \(n, height, width\)"):
        fashion_mnist.representative_dataset(images[0])


@pytest.mark.parametrize(
    "images", [np.zeros((1, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((1, 28, 27), np.uint8)]
)
def test_preprocess_refuses(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 pictures of shape \(n, 28, 28\), got"):
        fashion_mnist.preprocess(images)


@given(arrays(np.uint8, st.integers(1, 30), elements=st.integers(0, 2)), st.integers(1, 5))
def test_first_of_each_class(labels: np.ndarray, count: int) -> None:
    sizes = np.unique(labels, return_counts=True)[1]
    if sizes.min() < count:
        with pytest.raises(ValueError, match=f"at most {sizes.min()} examples of each class"):
            fashion_mnist.first_of_each_class(labels, count)
        return
    kept, taken = [], {}  # by hand, one label after the other
    for index, label in enumerate(labels.tolist()):
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= count:
            kept.append(index)
    assert fashion_mnist.first_of_each_class(labels, count).tolist() == kept


def test_first_of_no_class() -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        fashion_mnist.first_of_each_class(np.array([], np.uint8), 1)


def test_manifest_names_recipes_that_exist() -> None:
    import pkgutil

    content = json.loads((data.FOLDER / data.MANIFEST).read_text())
    for entry in content["files"].values():
        assert callable(pkgutil.resolve_name(entry["recipe"]))
