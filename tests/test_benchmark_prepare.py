"""The benchmark of preparation runs, and writes what it measured beside the floors.

Run: pytest tests/test_benchmark_prepare.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import prepare


def test_every_step_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "prepare.json"
    line = ["prepare", "--images", "40", "20", "--repeats", "1", "--output", str(output), "--folder", str(tmp_path)]
    monkeypatch.setattr("sys.argv", line)
    prepare.main()
    report = json.loads(output.read_text())
    steps = ["MD5 of the archive", "plan", "read and decode", "part", "merge"]
    assert [(row["what"], row["images"]) for row in report["rows"]] == [(s, n) for n in (40, 20) for s in steps]
    assert all(row["seconds"] > 0 and row["images_per_second"] > 0 for row in report["rows"])
    assert [row["share_of_floor"] is None for row in report["rows"][:5]] == [True, False, True, False, True]
    assert report["provenance"]["packages"]["pillow"]
    assert [path.name for path in tmp_path.iterdir()] == ["prepare.json"]
