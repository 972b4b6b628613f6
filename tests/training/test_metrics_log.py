"""The log of a run: lines, cutting at a checkpoint's position, TensorBoard, and the log that keeps nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from titok.training.metrics_log import JsonLinesLog, LateTensorBoardLog, NullLog, Tee, TensorBoardLog


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_resumed_log_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = JsonLinesLog(path)
    log.write(1, {"loss": 2.0})
    position = log.position()
    log.write(2, {"loss": 1.0})
    log.close()
    log = JsonLinesLog(path, position)
    assert log.position() == position
    log.write(2, {"loss": 1.5})
    log.close()
    assert lines(path) == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]


def test_lost_lines_are_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="lines have been lost"):
        JsonLinesLog(tmp_path / "metrics.jsonl", 100).close()


def test_json_has_no_infinities(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "metrics.jsonl")
    log.write(1, {"psnr": float("inf"), "loss": 0.0})
    log.close()
    assert lines(tmp_path / "metrics.jsonl") == [{"step": 1, "psnr": None, "loss": 0.0}]


def test_tee_writes_to_all_and_null_keeps_nothing(tmp_path: Path) -> None:
    first, second = JsonLinesLog(tmp_path / "a"), JsonLinesLog(tmp_path / "b")
    tee = Tee(first, NullLog(), second)
    tee.write(3, {"loss": 0.25})
    tee.close()
    assert lines(tmp_path / "a") == lines(tmp_path / "b") == [{"step": 3, "loss": 0.25}]


def test_tensorboard_events_can_be_read_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path, 0)
    log.write(7, {"loss": 0.5})
    log.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(7, 0.5)]


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_short_runs_leave_no_event_files(tmp_path: Path) -> None:
    log = LateTensorBoardLog(tmp_path / "events", tmp_path / "metrics.jsonl", delay=60)
    log.write(1, {"loss": 1.0})
    log.close()
    assert not (tmp_path / "events").exists()


def test_long_runs_have_every_line_from_the_first_on(tmp_path: Path) -> None:
    lines = JsonLinesLog(tmp_path / "metrics.jsonl")
    late = LateTensorBoardLog(tmp_path / "events", tmp_path / "metrics.jsonl", delay=0)
    for step in (10, 20):
        lines.write(step, {"loss": float(step)})  # an earlier session, or before the delay was over
    log = Tee(lines, late)
    for step in (30, 40):
        log.write(step, {"loss": float(step)})
    log.close()
    assert scalars(tmp_path / "events")["loss"] == [(10, 10.0), (20, 20.0), (30, 30.0), (40, 40.0)]
