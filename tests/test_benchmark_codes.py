"""The benchmark of proxy codes runs, and writes what it measured beside the floors.

Run: pytest tests/test_benchmark_codes.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import codes


def test_extraction_and_batches_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "codes.json"
    line = ["codes", "--quick", "--images", "9", "--views", "centre", "ten-crop", "--repeats", "1", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*line, "--output", str(output), "--folder", str(tmp_path)])
    codes.main()
    report = json.loads(output.read_text())
    steps = ["encoder alone", "read, encode, write, merge", "batches without codes", "batches with codes"]
    assert [(row["what"], row["views"]) for row in report["rows"]] == [(step, n) for n in (1, 10) for step in steps]
    assert all(row["seconds"] > 0 and row["windows_per_second"] > 0 for row in report["rows"])
    assert [row["share_of_floor"] is None for row in report["rows"][:4]] == [True, False, True, False]
    assert report["provenance"]["packages"]["torch"]
    assert [path.name for path in tmp_path.iterdir()] == ["codes.json"]
