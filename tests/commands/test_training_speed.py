"""Training speed is of one device, as the paper's, however many a training had; its record says how it was measured.

Run: pytest tests/commands/test_training_speed.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from titok.commands.score_speeds import NONE, training_speed
from titok.records.metric import METRICS
from titok.reporting.grid_table import TRAINING
from titok.runtime.files import write_json

DEVICE = {"type": "cuda", "name": "NVIDIA A100-SXM4-40GB"}
COMPUTE = {"precision": "bf16", "tf32": True, "compile": False, "channels_last": False}


@pytest.mark.parametrize(("processes", "expected"), [(1, 8000.0), (4, 2000.0), (32, 250.0)])
def test_the_jobs_speed_is_shared_out(tmp_path: Path, processes: int, expected: float) -> None:
    manifest = tmp_path / "manifest.json"
    config = {"training": {"batch_size": 2048, "steps": 9, "compute": COMPUTE}}
    facts = {"images_per_second": 8000.0, "processes": processes, "config": config, "provenance": {"device": DEVICE}}
    write_json(manifest, facts)
    metrics, protocols = training_speed(manifest)
    assert metrics == {"training_images_per_second": expected}
    assert protocols["training_images_per_second"] == {
        "timed": "steps of the training, its data included",
        "device": DEVICE,
        "devices": processes,
        "batch_size": 2048,
        "precision": "bf16",
        "tf32": True,
        "compile": False,
    }


def test_what_was_not_trained_here_has_none(tmp_path: Path) -> None:
    assert training_speed(tmp_path / "manifest.json") == NONE
    write_json(tmp_path / "manifest.json", {"task": "released"})
    assert training_speed(tmp_path / "manifest.json") == NONE


def test_tables_name_the_unit() -> None:
    assert METRICS["training_images_per_second"].unit == "images/s per device"
    assert "per device" in TRAINING
