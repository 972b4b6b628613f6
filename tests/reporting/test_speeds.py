"""Measured speeds stand beside the samples' scores; speeds of two devices never share a column.

Run: pytest tests/reporting/test_speeds.py
"""

from __future__ import annotations

from typing import Any

import pytest

from titok.errors import ScoreError
from titok.reporting.speeds import give_speeds


def row(kind: str, file: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "file": file, "generator": "g", "sampler": "eight", "protocol_id": "p", **more}


def test_measured_speeds_take_the_place_of_others_for_every_seed() -> None:
    rows = [row("generation", f"seed{seed}", seed=seed, sampling_images_per_second=5.0) for seed in (0, 1)]
    rows += [row("generation", "other", sampler="four", sampling_images_per_second=7.0)]
    rows += [row("throughput", "speed", sampling_images_per_second=100.0, sampling_gflop=3.0)]
    intervals = {("speed", "sampling_images_per_second"): "spread", ("seed0", "gfid"): "bootstrap"}
    give_speeds(rows, intervals)
    assert [row["sampling_images_per_second"] for row in rows] == [100.0, 100.0, 7.0, 100.0]
    assert [row.get("sampling_gflop") for row in rows] == [3.0, 3.0, None, 3.0]
    assert intervals["seed1", "sampling_images_per_second"] == "spread"
    assert intervals["seed0", "gfid"] == "bootstrap"
    assert ("other", "sampling_images_per_second") not in intervals


def test_two_devices_are_refused() -> None:
    rows = [row("throughput", f"{id}.json", protocol_id=id, sampler=id) for id in ("a", "b")]
    with pytest.raises(ScoreError, match=r"a\.json and b\.json were measured in two ways or on two devices"):
        give_speeds(rows, {})


def test_studies_without_measured_speeds_stay_as_they_are() -> None:
    rows = [row("generation", "seed0", sampling_images_per_second=5.0)]
    give_speeds(rows, {})
    assert rows == [row("generation", "seed0", sampling_images_per_second=5.0)]
