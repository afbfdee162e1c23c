"""Fashion-MNIST: the pictures of clothes on which the course trains (Xiao and others, 2017)."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_course import data
from edge_course.data import DataError

CLASS_NAMES = (
    "T-shirt", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
CALIBRATION_PER_CLASS = 20
_DEBIAN = "https://deb.debian.org/debian/pool/main/d/dataset-fashion-mnist/"
_PACKAGE = "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb"
_PACKAGE_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"


class LabelledImages(NamedTuple):
    """Pictures with their classes.

    Attributes
    ----------
    images : uint8, shape (n, 28, 28), 0 is the background.
    labels : uint8, shape (n,), an index into `CLASS_NAMES`.
    """

    images: np.ndarray
    labels: np.ndarray


def load(split: str) -> LabelledImages:
    """Return Fashion-MNIST pictures of clothes with their classes.

    Parameters
    ----------
    split : "train" is 10,000 training images, 1,000 of each class; "test" is the
        official test set of 10,000; "rest" is the other 50,000 training images, which
        are downloaded once (31 MB) and kept in the user's cache.

    Returns
    -------
    LabelledImages
        images uint8 (n, 28, 28), labels uint8 (n,).

    Raises
    ------
    DataError
        If a file is missing or altered, or the download failed.
    ValueError
        If there is no such split.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    if split not in ("train", "test", "rest"):
        raise ValueError(f'expected the split "train", "test" or "rest", got {split!r}')
    if split == "rest":
        images, labels = original("train")
        kept = first_of_each_class(labels, 1000)
        rest = np.setdiff1d(np.arange(len(labels)), kept)
        return LabelledImages(images[rest], labels[rest])
    content = io.BytesIO(data.read(f"fashion_mnist_{split}.npz"))
    with np.load(content, allow_pickle=False) as arrays:
        return LabelledImages(arrays["images"], arrays["labels"])


def preprocess(images: np.ndarray) -> np.ndarray:
    """Return pictures as the networks of this course want them.

    Parameters
    ----------
    images : uint8, shape (n, 28, 28), values 0 to 255.

    Returns
    -------
    np.ndarray
        float32, shape (n, 28, 28, 1), values 0 to 1.

    Raises
    ------
    ValueError
        If the dtype or the shape is another one.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"expected uint8 pictures of shape (n, 28, 28), got {images.dtype} {images.shape}"
        )
    return images[..., np.newaxis].astype(np.float32) / 255


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the sorted indices of the first ``count`` examples of every class.

    Parameters
    ----------
    labels : integer classes, shape (n,).
    count : examples wanted of each class.

    Returns
    -------
    np.ndarray
        int64 indices, in the order of the data set.

    Raises
    ------
    ValueError
        If a class has fewer examples than that, or ``count`` is not positive.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    labels = np.asarray(labels)
    classes, sizes = np.unique(labels, return_counts=True)
    if count < 1 or not len(classes) or sizes.min() < count:
        raise ValueError(
            f"expected at least 1 and at most {sizes.min(initial=len(labels))} "
            f"examples of each class, got {count}"
        )
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in classes]))


def representative_dataset(images: np.ndarray) -> list[list[np.ndarray]]:
    """Return grey pictures as LiteRT's converter asks for its examples.

    Parameters
    ----------
    images : uint8, shape (n, height, width), values 0 to 255.

    Returns
    -------
    list of list of np.ndarray
        For each picture the network's inputs, which is one: float32 (1, height, width, 1), 0 to 1.

    Raises
    ------
    ValueError
        If the dtype or the shape is another one.

    Taught in: notebooks/03_keras_to_litert.ipynb
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(
            "expected uint8 pictures of shape (n, height, width), "
            f"got {images.dtype} {images.shape}"
        )
    return [[x[np.newaxis, ..., np.newaxis]] for x in images.astype(np.float32) / 255]


def calibration_images() -> np.ndarray:
    """Return 20 training images of each class, float32 (200, 28, 28, 1), to calibrate with."""
    train = load("train")
    chosen = first_of_each_class(train.labels, CALIBRATION_PER_CLASS)
    return preprocess(train.images[chosen])


def original(part: str) -> LabelledImages:
    """Return one part of Fashion-MNIST as it was published.

    The source is Debian's package of Fashion-MNIST (Xiao et al. 2017), checked by hash.

    Parameters
    ----------
    part : "train" (60,000 images) or "t10k" (10,000).

    Raises
    ------
    DataError
        If the package cannot be downloaded or has another hash.
    """
    import pooch  # only here: it needs the network

    try:
        package = pooch.retrieve(
            _DEBIAN + _PACKAGE,
            known_hash=f"sha256:{_PACKAGE_SHA256}",
            path=pooch.os_cache("edge_course"),
            progressbar=True,
        )
    except Exception as error:  # pooch raises requests', urllib3's and its own errors
        raise DataError(
            f"could not download {_DEBIAN}{_PACKAGE} "
            f"(expected sha256 {_PACKAGE_SHA256}): {error}; check the network and try again"
        ) from None
    members = _debian_members(Path(package).read_bytes())
    images, labels = (
        _idx_array(members[f"{part}-{kind}-ubyte.gz"]) for kind in ("images-idx3", "labels-idx1")
    )
    return LabelledImages(images, labels)


def _debian_members(package: bytes) -> dict[str, bytes]:
    """Return file name → content of the files in a Debian package.

    A .deb is an `ar` archive, 60-byte headers each followed by an even number of bytes;
    its member data.tar.xz holds the files (deb(5)).
    """
    position = len(b"!<arch>\n")
    while position < len(package):
        header = package[position : position + 60]
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        position += 60
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(package[position : position + size])) as archive:
                return {
                    Path(member.name).name: archive.extractfile(member).read()
                    for member in archive
                    if member.isfile()
                }
        position += size + size % 2
    raise DataError(f"{_PACKAGE} holds no data.tar")


def _idx_array(compressed: bytes) -> np.ndarray:
    """Return the array in a gzipped IDX file: two zeros, type, dimensions, sizes, values."""
    content = gzip.decompress(compressed)
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
