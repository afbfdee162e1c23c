"""The original data sets, downloaded once on request and kept in the user's cache."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pooch

from edge_course.data import DataError, LabelledImages

_DEBIAN = "https://deb.debian.org/debian/pool/main/d/dataset-fashion-mnist/"
_PACKAGE = "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb"
_PACKAGE_SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"


def fashion_mnist(part: str) -> LabelledImages:
    """Return one part of Fashion-MNIST as it was published.

    The source is Debian's package of Fashion-MNIST (Xiao et al. 2017), checked by hash.

    Parameters
    ----------
    part : "train" (60,000 images) or "t10k" (10,000).

    Raises
    ------
    DataError
        If the package cannot be downloaded or has another hash.

    Taught in: notebooks/02_train_a_cnn.ipynb
    """
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
