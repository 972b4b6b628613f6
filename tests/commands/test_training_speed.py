"""Training speed is of one device, as the paper's, however many a training had.

Run: pytest tests/commands/test_training_speed.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from titok.commands.score import training_speed
from titok.evaluation.record import METRICS
from titok.reporting.grid_table import TRAINING
from titok.runtime.files import write_json


@pytest.mark.parametrize(("processes", "expected"), [(1, 8000.0), (4, 2000.0), (32, 250.0)])
def test_the_jobs_speed_is_shared_out(tmp_path: Path, processes: int, expected: float) -> None:
    manifest = tmp_path / "manifest.json"
    write_json(manifest, {"images_per_second": 8000.0, "processes": processes})
    assert training_speed(manifest) == {"training_images_per_second": expected}


def test_what_was_not_trained_here_has_none(tmp_path: Path) -> None:
    assert training_speed(tmp_path / "manifest.json") == {}
    write_json(tmp_path / "manifest.json", {"task": "released"})
    assert training_speed(tmp_path / "manifest.json") == {}


def test_tables_name_the_unit() -> None:
    assert METRICS["training_images_per_second"].unit == "images/s per device"
    assert "per device" in TRAINING
