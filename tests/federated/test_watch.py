"""The recordings, and what one person's device learns from them."""

import hashlib
import io
import pickle
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_course import data
from edge_course.federated import local, watch
from edge_course.recipes import watch as recipe
from edge_course.recipes import wheel


def test_ten_people_and_seven_movements() -> None:
    wearers = watch.load_wearers()
    assert [w.person for w in wearers] == list(range(1, 11))
    for wearer in wearers:
        assert wearer.windows.shape == (len(wearer.labels), watch.WINDOW, 1, 6)
        assert wearer.windows.dtype == np.float32 and wearer.labels.dtype == np.int64
        assert set(wearer.labels) == set(range(7))
        gravity = np.linalg.norm(wearer.windows[..., :3].mean(axis=(1, 2)), axis=1)
        assert 0.5 < np.median(gravity) < 1.3, "acceleration is in g"


def test_windows_are_means_of_four_samples_half_over_each_other() -> None:
    with np.load(io.BytesIO(data.read(watch.RECORDINGS))) as arrays:
        first = np.flatnonzero(arrays["person"] == 1)[0]
        begin = arrays["lengths"][:first].sum()
        samples = arrays["samples"][begin : begin + arrays["lengths"][first]].astype(np.float64)
    wearer = watch.load_wearers()[0]
    for number in range(3):
        piece = samples[100 * number : 100 * number + 200] / [1, 1, 1, 2, 2, 2]
        by_hand = (piece[0::4] + piece[1::4] + piece[2::4] + piece[3::4]) / 4
        assert np.allclose(wearer.windows[number, :, 0], by_hand, atol=1e-6)


@pytest.mark.parametrize("number", range(3))
def test_nobody_is_on_both_sides_of_a_fold(number: int) -> None:
    part, unseen = watch.fold(watch.load_wearers(), number)
    assert len(part) == 8 and len(unseen) == 2
    assert not {w.person for w in part} & {w.person for w in unseen}


def test_only_arrays_are_unpickled() -> None:
    array = np.arange(6.0).reshape(2, 3)
    content = pickle.dumps(array, protocol=2).replace(b"numpy._core", b"numpy.core")
    back = recipe._ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    assert np.array_equal(back, array)
    with pytest.raises(data.DataError, match=r"holds builtins\.print, expected arrays"):
        recipe._ArraysOnly(io.BytesIO(pickle.dumps(print))).load()


def trained(pull: float) -> np.ndarray:
    wearer = watch.load_wearers()[2]
    torch.manual_seed(0)
    model = local.watch_cnn()
    start = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    local.train_locally(model, wearer.windows, wearer.labels, pull=pull)
    assert not model.training
    return (torch.nn.utils.parameters_to_vector(model.parameters()) - start).detach().numpy()


def test_training_repeats_and_a_pull_keeps_it_near() -> None:
    free = trained(0.0)
    assert np.array_equal(free, trained(0.0))
    assert np.linalg.norm(trained(10.0)) < 0.7 * np.linalg.norm(free)


def test_a_file_of_a_wheel_is_read_and_another_wheel_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("package/file.bin", b"inside")

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess:
        Path(command[command.index("-d") + 1], "package-1.whl").write_bytes(packed.getvalue())
        return subprocess.CompletedProcess(command, 0, stderr="")

    monkeypatch.setattr(wheel.subprocess, "run", pip)
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    assert wheel.file_in_wheel("package==1", digest, "package/file.bin") == b"inside"
    with pytest.raises(data.DataError, match="expected sha256 0, found"):
        wheel.file_in_wheel("package==1", "0", "package/file.bin")
    offline = subprocess.CompletedProcess([], 1, stderr="no route to host")
    monkeypatch.setattr(wheel.subprocess, "run", lambda *_, **__: offline)
    with pytest.raises(data.DataError, match=r"cannot fetch package==1: no route to host"):
        wheel.file_in_wheel("package==1", digest, "package/file.bin")
