"""The benchmark of reading runs, and writes what it measured beside the floor.

Run: pytest tests/test_benchmark_reading.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import reading

WAYS = [
    "bare decode and resize",
    "test images, in order",
    "training batches, pillow",
    "training batches, torchvision",
]


def test_every_way_of_reading_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "reading.json"
    numbers = ["--images", "12", "8", "--workers", "0", "1", "--resize", "32", "--batch-size", "4", "--repeats", "1"]
    monkeypatch.setattr("sys.argv", ["reading", *numbers, "--output", str(output), "--folder", str(tmp_path)])
    reading.main()
    report = json.loads(output.read_text())
    found = [(row["what"], row["images"], row["workers"]) for row in report["rows"]]
    assert found == [(way, images, workers) for images in (12, 8) for workers in (0, 1) for way in WAYS]
    floor = 0.0
    for row in report["rows"]:
        if row["what"] == WAYS[0]:
            floor = row["seconds"]
            assert row["share_of_floor"] == row["share_of_floor_by_processor"] == 1
        assert row["processor_seconds"] > 0
        # One turn, so the median is the ratio itself: of seconds to five digits, written with four.
        assert row["share_of_floor"] == pytest.approx(floor / row["seconds"], rel=1e-3)
    assert report["provenance"]["packages"]["pillow"]
    assert [path.name for path in tmp_path.iterdir()] == ["reading.json"]
