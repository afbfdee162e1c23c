"""The command as a user runs it: on every file in data/, on broken files, with data, as a page."""

import contextlib
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge_course import data, fashion_mnist, measure, process
from edge_course.report import facts
from edge_course.report.__main__ import main
from edge_course.runtimes import litert, ort
from tests.support import tiny_networks
from tests.support.tflite_networks import changed

MODELS = sorted(p.name for p in data.FOLDER.iterdir() if p.suffix in (".tflite", ".onnx"))
SMALL = ("compressed_20.tflite", "bottleneck_exit.onnx")
IMAGES = fashion_mnist.preprocess(fashion_mnist.load("test").images[:40])
LABELS = fashion_mnist.load("test").labels[:40]


class OneProcess:
    """One other process for many commands, started anew only when a broken file ended it."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.another = process.another
        self.call = None

    def started(self) -> Callable:
        if self.call is None:
            self.call = self.stack.enter_context(self.another())
            self.call(exec, "from edge_course.report import examine; examine.SECONDS = 0.05")
        return self.call

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Callable]:
        try:
            yield self.started()
        except BrokenProcessPool:
            self.call = None
            raise


@pytest.fixture(scope="module")
def one_process() -> Iterator[OneProcess]:
    shared = OneProcess()
    with shared.stack:
        yield shared


@pytest.fixture
def report(one_process, monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; returns its exit code, stdout and stderr."""
    monkeypatch.setattr(process, "another", one_process)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(a) for a in arguments])
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def arrays(tmp_path) -> Path:
    path = tmp_path / "arrays.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    return path


def line(text: str, subject: str) -> str:
    """Return what the first line about a subject says."""
    return re.search(rf"^  {subject} +(.+)$", text, re.M)[1]


def assert_one_error(answer: tuple[int, str, str], *words: str) -> None:
    code, out, error = answer
    assert (code, out) == (2, ""), answer
    assert error.startswith("error: ") and error.count("\n") == 1, error
    assert len(error) < 1000 and all(word in error for word in words), error


@pytest.mark.parametrize("name", MODELS)
def test_every_file_of_the_course_is_known_in_full(report, name):
    code, out, error = report(data.FOLDER / name)
    assert (code, error) == (0, "")
    assert "unknown" not in out and "not counted" not in out
    content = data.read(name)
    assert line(out, "file").startswith(f"{len(content):,} bytes, {measure.gzip_bytes(content):,}")


def test_the_seed_cnn_in_numbers(report, arrays):
    code, out, _ = report(data.FOLDER / "seed_cnn_int8.tflite", "--data", arrays)
    assert code == 0
    assert line(out, "peak activation memory").startswith("27,040 bytes, at operator 2 ")
    assert line(out, "multiply-accumulates") == "888,192"
    numbers = 32 * 9 + 32 + 5408 * 128 + 128 + 1280 + 10
    assert line(out, "weights").startswith(f"{numbers:,} numbers, ")
    classes = litert.Runner(data.read("seed_cnn_int8.tflite")).predict(IMAGES)
    assert line(out, "accuracy") == f"{measure.accuracy(classes, LABELS)} of 40 inputs"
    assert "weights fit (694,472 of 1,048,576 bytes)" in out and "modelled time" in out
    assert "activations: fit (27,040 of 131,072 bytes)" in out


def test_an_int8_file_against_its_float_version(report, arrays, tmp_path):
    page = tmp_path / "page.html"
    files = [data.FOLDER / f"depthwise_cnn_{kind}.tflite" for kind in ("int8", "float32")]
    code, out, _ = report(files[0], "--against", files[1], "--data", arrays, "--html", page)
    assert code == 0
    assert line(out, "matched by name") == "16 of 16 layers of the float32 file"
    found = [float(db) for db in re.findall(r" ([\d.]+) dB$", out, re.M)]
    assert len(found) == 16 and all(5 < db < 60 for db in found)
    # The last layer's error from what both runtimes answer.
    scores, expected = (litert.Runner(f).scores(IMAGES[:16], batch=1) for f in files)
    last = 10 * np.log10((expected**2).sum() / ((scores - expected) ** 2).sum())
    assert found[-1] == pytest.approx(last, abs=0.051)
    agreement = np.mean([
        litert.Runner(files[0]).predict(IMAGES) == litert.Runner(files[1]).predict(IMAGES)
    ])  # fmt: skip
    assert line(out, "agreement").startswith(f"{100 * agreement:.2f} % of 40 inputs")
    assert re.match(r"[\d.]+ \([\d.]+ to [\d.]+\) times", line(out, "faster"))
    assert_self_contained(page.read_text(encoding="utf-8"), figures=4)


def assert_self_contained(page: str, figures: int) -> None:
    """No script, nothing from elsewhere, and every picture described in a sentence."""
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list) -> None:
            tags.append((tag, dict(attributes)))

    Tags().feed(page)
    assert not {tag for tag, _ in tags} & {"script", "link", "a", "iframe", "object"}
    assert "http" not in page and "url(" not in page and "@import" not in page
    pictures = [attributes for tag, attributes in tags if tag == "img"]
    assert len(pictures) == figures
    for picture in pictures:
        assert picture["src"].startswith("data:image/png;base64,iVBOR")
        assert len(picture["alt"].split()) > 4
    assert "color-scheme: light dark" in page


def test_onnx_in_float_and_int8(report, tmp_path):
    """Its pictures come first by channels; the data may be in either order."""
    images = np.random.default_rng(0).random((30, 7, 7, 4), np.float32)
    content = data.read("bottleneck_exit.onnx")
    calibration = images.transpose(0, 3, 1, 2).copy()
    int8, real = tmp_path / "int8.onnx", tmp_path / "float.onnx"
    int8.write_bytes(ort.quantize_model(content, "int8", calibration))
    real.write_bytes(content)
    answers = []
    for x in (images, calibration):
        np.savez(tmp_path / "a.npz", x=x, y=np.arange(30) % 10)
        code, out, error = report(int8, "--against", real, "--data", tmp_path / "a.npz")
        assert (code, error) == (0, "")
        answers.append([line(out, s) for s in ("accuracy", "agreement", "matched by name")])
        assert re.search(r" [\d.]+ dB$", out, re.M)
    assert answers[0] == answers[1]


def test_two_int8_files_have_no_layers_to_compare(report, arrays):
    files = [data.FOLDER / name for name in ("compressed_20.tflite", "seed_cnn_int8.tflite")]
    code, out, _ = report(files[0], "--against", files[1], "--data", arrays)
    assert code == 0
    assert "unknown: expected an int8 file against its float32 version" in out


def test_a_model_that_cannot_be_run_or_counted_says_why(report, tmp_path):
    """With two inputs no runner takes it; its contents are told all the same."""
    import onnx
    from onnx import TensorProto, helper

    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in ("a", "b")]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Einsum", ["a", "b"], ["y"], equation="ij,kj->ik")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", given, [out]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, tmp_path / "two.onnx")
    code, text, _ = report(tmp_path / "two.onnx")
    assert code == 0
    assert "unknown" in line(text, r"latency, one thread") and "two.onnx" in text
    assert line(text, "multiply-accumulates") == "unknown: at least 0; not counted: Einsum"
    assert "not counted (cannot count the operator Einsum)" in line(text, "Einsum")


def test_a_name_in_a_file_is_no_markup_and_no_second_line(report, tmp_path):
    def rename(model) -> None:
        for tensor in model.subgraphs[0].tensors:
            tensor.name = (tensor.name or b"") + b"\n<script>$x</script>"

    for name in ("int8", "float32"):
        content = changed(data.read(f"seed_cnn_{name}.tflite"), rename)
        (tmp_path / f"<b>{name}.tflite").write_bytes(content)
    np.savez(tmp_path / "a.npz", x=IMAGES)
    files = [tmp_path / f"<b>{name}.tflite" for name in ("int8", "float32")]
    code, out, _ = report(
        files[0], "--against", files[1], "--data", tmp_path / "a.npz", "--html", tmp_path / "p.html"
    )
    assert code == 0 and r"\n<script>" in out
    assert_self_contained((tmp_path / "p.html").read_text(encoding="utf-8"), figures=4)


def broken() -> Iterator[tuple[str, str, bytes, bool]]:
    """Give a case's name, the file's name, its content, and whether it may be a model still."""
    random = np.random.default_rng(0)
    for name in SMALL:
        content, ending = data.read(name), Path(name).suffix
        for size in (1, 4, 7, 8, 40, *random.integers(100, len(content) - 1, 5)):
            yield f"cut to {size}", f"net{ending}", content[:size], False
        for place in random.integers(0, 1000, 14):
            flipped = bytearray(content)
            flipped[place] ^= 1 << random.integers(8)
            yield f"flipped at {place}", f"net{ending}", bytes(flipped), True
        yield "empty", f"net{ending}", b"", False
        yield "text", f"net{ending}", b"this is no model at all\n", False
        yield "zip", f"net{ending}", b"PK\x03\x04" + content, False
        yield "other ending", f"net{ending}.bin", content, False
    yield "TFLite called ONNX", "net.onnx", data.read(SMALL[0]), False
    yield "ONNX called TFLite", "net.tflite", data.read(SMALL[1]), False


def test_there_are_fifty_broken_files() -> None:
    assert len(list(broken())) >= 50


@pytest.mark.parametrize(
    "name, content, may_be_a_model",
    [case[1:] for case in broken()],
    ids=[f"{case[1]} {case[0]}" for case in broken()],
)
def test_broken_files_get_one_clear_error(report, tmp_path, name, content, may_be_a_model):
    path = tmp_path / name
    path.write_bytes(content)
    answer = report(path)
    if may_be_a_model and answer[0] == 0:
        assert line(answer[1], "format") and answer[2] == ""
    else:
        assert_one_error(answer, str(path))


def test_what_is_no_file_gets_one_clear_error(report, tmp_path):
    assert_one_error(report(tmp_path / "missing.tflite"), "No such file")
    (tmp_path / "folder.onnx").mkdir()
    assert_one_error(report(tmp_path / "folder.onnx"), "folder")
    shutil.copy(data.FOLDER / SMALL[0], tmp_path / "model.tflite")
    assert_one_error(
        report(tmp_path / "model.tflite", "--against", tmp_path / "other.onnx"), "other.onnx"
    )


def bad_data() -> Iterator[tuple[str, dict | bytes, str]]:
    yield "other names", {"pictures": IMAGES}, "pictures"
    yield "both names", {"images": IMAGES, "x": IMAGES}, "both images and x"
    yield "uint8", {"images": (255 * IMAGES).astype(np.uint8)}, "expected float32"
    yield "other shape", {"images": IMAGES[:, :27]}, "(n, 28, 28, 1)"
    yield "no channels", {"images": IMAGES[..., 0]}, "(n, 28, 28, 1)"
    yield "a number", {"images": np.float32(1)}, "at least one input"
    yield "none", {"images": IMAGES[:0]}, "at least one input"
    yield "NaN", {"images": IMAGES * np.nan}, "NaN"
    yield "fewer labels", {"images": IMAGES, "labels": LABELS[1:]}, "40 labels"
    yield "one-hot labels", {"images": IMAGES, "y": np.eye(10)[LABELS]}, "40 labels"
    yield "labels below 0", {"images": IMAGES, "y": LABELS.astype(int) - 1}, "labels from 0"
    yield "labels too high", {"images": IMAGES, "y": LABELS.astype(int) + 1}, "classes 0 to 9"
    yield "pickled", {"images": np.array([None, {}], object)}, "plain arrays"
    yield "text", b"this is no archive", "plain arrays"
    yield "empty", b"", "plain arrays"
    yield "cut zip", data.npz({"images": IMAGES})[:2000], "plain arrays"


@pytest.mark.parametrize(
    "arrays, word", [c[1:] for c in bad_data()], ids=[c[0] for c in bad_data()]
)
def test_bad_data_gets_one_clear_error(report, tmp_path, arrays, word):
    path = tmp_path / "arrays.npz"
    if isinstance(arrays, bytes):
        path.write_bytes(arrays)
    else:
        np.savez(path, **arrays)
    assert_one_error(report(data.FOLDER / SMALL[0], "--data", path), word)


def test_data_that_is_no_archive_or_not_there(report, tmp_path):
    np.save(tmp_path / "one.npy", IMAGES)
    with zipfile.ZipFile(tmp_path / "notes.npz", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    for name, word in (("one.npy", "plain arrays"), ("notes.npz", "notes.txt"), ("no.npz", "read")):
        assert_one_error(report(data.FOLDER / SMALL[0], "--data", tmp_path / name), word)


def test_a_page_never_takes_the_place_of_a_model(report, tmp_path):
    model = tmp_path / "model.tflite"
    shutil.copy(data.FOLDER / SMALL[0], model)
    assert_one_error(report(model, "--html", model), "overwrite")
    assert model.read_bytes() == data.read(SMALL[0])
    assert_one_error(report(model, "--html", tmp_path), "folder that exists")
    assert_one_error(report(model, "--html", tmp_path / "no" / "page.html"), "folder that exists")
    assert [p.name for p in tmp_path.iterdir()] == ["model.tflite"]


def test_a_runtime_that_ends_its_process_is_told(tmp_path, monkeypatch, capfd):
    """Some altered files do that; here the other process ends itself."""

    @contextlib.contextmanager
    def ended() -> Iterator[Callable]:
        def call(*_: object) -> None:
            raise BrokenProcessPool("the other process has ended")

        yield call

    monkeypatch.setattr(process, "another", ended)
    code = main([str(data.FOLDER / SMALL[0])])
    assert_one_error((code, *capfd.readouterr()), SMALL[0], "broke down")


@pytest.mark.parametrize("name", tiny_networks.NETWORKS)
def test_files_of_old_converters(report, tmp_path, name):
    """Counted as the same network in a file of today."""
    answers = []
    for old in (True, False):
        net = tiny_networks.NETWORKS[name]()
        path = tmp_path / "net.tflite"
        path.write_bytes(net.content(every_output=False, before_2_4=old))
        code, out, error = report(path)
        assert (code, error) == (0, "") and "unknown" not in out
        subjects = ("weights", "multiply-accumulates", "peak activation memory")
        answers.append([line(out, subject) for subject in subjects])
    assert answers[0] == answers[1]


def test_ram_is_judged_beside_the_memory_of_the_weights() -> None:
    def runs(alive: tuple[int, ...] | facts.Unknown) -> list[bool | facts.Unknown]:
        unknown = facts.Unknown("not counted")
        contents = facts.Contents((), (), (), 1, 1, alive, unknown)
        assert all(fit.fits for fit in facts.chip_fits(contents))
        return [fit.runs for fit in facts.chip_fits(contents)]

    assert runs((1, 131_072)) == [True] * 4
    assert runs((131_073, 1)) == [False, True, True, True]
    assert runs(facts.Unknown("a loop")) == [facts.Unknown("a loop")] * 4
