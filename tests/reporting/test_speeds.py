"""Measured speeds stand beside the samples' scores; speeds of two devices never share a column.

Run: pytest tests/reporting/test_speeds.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from reporting.simulated import A100, PAPER, Simulated, simulate

from titok.errors import ScoreError
from titok.records.record import protocol_id
from titok.reporting.collect import NotComparableError, read_scores
from titok.reporting.comparable import SAMPLING_SPEED, TRAINING_SPEED, require_as_in_the_paper
from titok.reporting.estimates import BootstrapInterval
from titok.reporting.grid_table import build_grid_table
from titok.reporting.paper import read_paper
from titok.reporting.quantity import Quantity, compared, ratio
from titok.reporting.speeds import give_speeds
from titok.reporting.tables import build_table


def row(kind: str, file: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "file": file, "generator": "g", "sampler": "eight", "protocol_id": "p", **more}


def test_measured_speeds_take_the_place_of_others_for_every_seed() -> None:
    rows = [row("generation", f"seed{seed}", seed=seed, sampling_images_per_second=5.0) for seed in (0, 1)]
    rows += [row("generation", "other", sampler="four", sampling_images_per_second=7.0)]
    rows += [
        row("throughput", f"sitting{place}", sitting=place, sampling_images_per_second=speed, sampling_gflop=3.0)
        for place, speed in enumerate((99.0, 100.0, 101.0))
    ]
    of_batches = BootstrapInterval(98.0, 102.0, 0.8, "batches")
    intervals = {("sitting0", SAMPLING_SPEED): of_batches, ("seed0", SAMPLING_SPEED): of_batches}
    give_speeds(rows, intervals)
    assert [row["sampling_images_per_second"] for row in rows] == [100.0, 100.0, 7.0, 99.0, 100.0, 101.0]
    assert [row.get("sampling_gflop") for row in rows] == [3.0, 3.0, None, 3.0, 3.0, 3.0]
    assert ("other", SAMPLING_SPEED) not in intervals
    half = 4.3027 / math.sqrt(3)  # Student's, two degrees of freedom, of a standard deviation of 1
    for seed in ("seed0", "seed1"):
        found = intervals[seed, SAMPLING_SPEED]
        assert (found.low, found.high) == (pytest.approx(100 - half, abs=1e-4), pytest.approx(100 + half, abs=1e-4))
        assert (found.coverage, found.over) == (0.95, "sittings")


def test_two_sittings_have_no_interval_and_a_record_without_a_number_is_the_first() -> None:
    rows = [row("generation", "seed0", seed=0, sampling_images_per_second=5.0)]
    rows += [row("throughput", "old", sampling_images_per_second=90.0, sampling_gflop=3.0)]
    rows += [row("throughput", "second", sitting=1, sampling_images_per_second=110.0, sampling_gflop=3.0)]
    intervals: dict[tuple[str, str], BootstrapInterval] = {}
    give_speeds(rows, intervals)
    assert rows[0][SAMPLING_SPEED] == 100.0
    assert rows[1]["sitting"] == 0
    assert intervals == {}


def speeds_in_sittings(study: Simulated, generator: str, *speeds: float) -> None:
    """What every sitting of a generator's first sampler measured, those beyond left out."""
    files = sorted((study.root / "scores" / "throughput" / generator).rglob("*.json"))
    for file in files[len(speeds) :]:
        file.unlink()
    for file, speed in zip(files, speeds, strict=False):
        record = json.loads(file.read_text())
        record["metrics"][SAMPLING_SPEED]["value"] = speed
        file.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("few", "many", "word", "because"),
    [
        ((116.0, 116.2, 115.9), (100.0, 100.1, 99.8), "agrees", ""),
        ((90.0, 90.2, 90.1), (100.0, 100.1, 99.8), "differs", ""),
        ((116.0, 97.0, 104.0), (100.0, 98.0, 102.0), "undecided", "3 sittings do not tell"),
        ((120.0, 120.1), (100.0, 100.1), "undecided", "2 sittings; at least 3 are needed"),
    ],
)
def test_what_differs_between_sittings_decides_whether_one_model_is_faster(
    tmp_path: Path, few: tuple[float, ...], many: tuple[float, ...], word: str, because: str
) -> None:
    """The batches of each sitting scatter by a hundredth; a neighbour of the machine slows a whole sitting down."""
    study = simulate(tmp_path, "digits")
    grid = study.study.reporting.tables.table4
    assert grid is not None
    slower, faster = (next(c.row.generator for c in grid.cells() if c.k == k and c.row.generator) for k in (4, 2))
    speeds_in_sittings(study, str(faster), *few)
    speeds_in_sittings(study, str(slower), *many)
    scores = read_scores(study.scores)
    known = [
        scores.sittings(str(name), scores.select("generation", generator=name)["sampler"].iloc[0])
        for name in (faster, slower)
    ]
    judged = compared(Quantity.of(known[0]), ">", Quantity.of(known[1]))
    assert judged.word == word
    assert because in judged.because
    trend = compared(ratio(*map(Quantity.of, known)), ">", Quantity.exactly(1.0))
    assert trend.word == word


def test_two_devices_are_refused() -> None:
    rows = [row("throughput", f"{id}.json", protocol_id=id, sampler=id) for id in ("a", "b")]
    with pytest.raises(ScoreError, match=r"a\.json and b\.json were measured in two ways or on two devices"):
        give_speeds(rows, {})


def test_studies_without_measured_speeds_stay_as_they_are() -> None:
    rows = [row("generation", "seed0", sampling_images_per_second=5.0)]
    give_speeds(rows, {})
    assert rows == [row("generation", "seed0", sampling_images_per_second=5.0)]


def timed_otherwise(study: Simulated, where: str, metric: str, **changes: Any) -> None:
    """Other entries in the protocol of the speed in these records."""

    def change(record: dict[str, Any]) -> None:
        entry = record["metrics"][metric]
        entry["protocol"] |= changes
        entry["protocol_id"] = protocol_id(entry["protocol"])

    study.change(where, change)


@pytest.fixture
def imagenet(tmp_path: Path) -> Simulated:
    return simulate(tmp_path, "imagenet256")


def test_training_speeds_of_two_devices_are_left_out_and_the_table_says_so(imagenet: Simulated) -> None:
    tables = imagenet.study.reporting.tables

    def speeds() -> tuple[bool, str]:
        table = build_grid_table(tables, read_scores(imagenet.scores), read_paper(PAPER), "d")
        return any("training" in block.title for block in table.blocks), " ".join(table.notes)

    shown, notes = speeds()
    assert shown
    assert "Training speed is per device" in notes
    cell = next(cell for cell in tables.table4.cells() if cell.row.generator)
    where = f"generation/{cell.row.generator}/{cell.row.sampler}/seed*"
    timed_otherwise(imagenet, where, TRAINING_SPEED, device=A100 | {"name": "NVIDIA H100"}, devices=8)
    shown, notes = speeds()
    assert not shown
    assert "Training speeds are left out: the numbers differ in device.name" in notes
    assert "'NVIDIA H100'" in notes
    assert "devices: " in notes


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, ""),
        ({"device": A100 | {"name": "NVIDIA H100 80GB"}}, "device.name is NVIDIA H100 80GB here, A100 in the paper"),
        ({"precision": "fp32"}, "precision is fp32 here, bf16 in the paper"),
        ({"batch_size": 256}, "batch_size is 256 here, 2048 in the paper"),
    ],
)
def test_a_training_speed_is_the_papers_by_its_own_protocol(
    imagenet: Simulated, changes: dict[str, Any], differs: str
) -> None:
    timed_otherwise(imagenet, "generation/*/*/seed*", TRAINING_SPEED, **changes)
    scores = read_scores(imagenet.scores)
    records = scores.frame[scores.frame[TRAINING_SPEED].notna()].iloc[:1]
    try:
        require_as_in_the_paper(scores, records, TRAINING_SPEED, "generation", read_paper(PAPER), "table4d/k-32")
        said = ""
    except NotComparableError as error:
        said = str(error)
    assert said == differs


def test_speeds_of_samples_made_on_two_devices_share_no_column(tmp_path: Path) -> None:
    """Where nobody measured speeds apart from the samples."""
    study = simulate(tmp_path, "published")
    for path in (study.root / "scores" / "throughput").rglob("*.json"):
        path.unlink()
    tables = study.study.reporting.tables
    build_table("table1", tables, read_scores(study.scores), read_paper(PAPER))
    timed_otherwise(study, "generation/l-32-vit/l-32/seed0", SAMPLING_SPEED, device={"name": "NVIDIA H100"})
    with pytest.raises(NotComparableError, match=r"sampling speed.* would mix two protocols: .* differ in device.name"):
        build_table("table1", tables, read_scores(study.scores), read_paper(PAPER))
