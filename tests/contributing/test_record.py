"""What was measured is written where readers look for it, and nowhere else."""

from pathlib import Path

import pytest

from edge_course.contributing import record

ROW = "| [{0} A title](notebooks/{0}_topic.ipynb) | none | {1} |\n"
OPENING = "# A title\\n**Run time:** ~{} s · **Peak memory:** ~{} MiB\\n"


def test_seconds_and_memory_are_rounded_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "README", tmp_path / "README.md")
    record.README.write_text(
        ROW.format("01", "9 s | 100 MiB") + ROW.format("02", "8 s | 200 MiB"), encoding="utf-8"
    )
    path = tmp_path / "02_topic.ipynb"
    path.write_text(OPENING.format(8, 200), encoding="utf-8")
    record.record({path: (0.2, 347 * 2**20)})
    assert path.read_text(encoding="utf-8") == OPENING.format(1, 350)
    assert record.README.read_text(encoding="utf-8") == (
        ROW.format("01", "9 s | 100 MiB") + ROW.format("02", "1 s | 350 MiB")
    )
