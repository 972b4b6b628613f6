"""How far a study is that may be running right now, read from its files; without torch.

A training is running if its `owner.lock` is held, which its process does until it ends. Where locks do not reach this
machine (some network file systems), and for all jobs but trainings, what is left is that files have just been written.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from titok.planning.graph import Graph, Job
from titok.runtime.ownership import Owner, last_owner, owner_of

FRESH_SECONDS = 120.0
"""A file younger than this is being written, as far as can be told. Trainings and long jobs write every ten seconds."""
LINES = 20
"""Of the log, whose speed says how long the rest will take."""

State = Literal["running", "stopped", "next", "later"]


@dataclass(frozen=True)
class TrainingProgress:
    """A training that has begun."""

    step: int
    """Finished updates, by the log's last line."""
    steps: int
    images_per_second: float | None
    """Median of the last lines."""
    seconds_left: float | None
    age: float
    """Seconds since the log's last line."""
    checkpoint: int | None
    """Step that a stopped training goes on from."""
    holder: Owner | None
    """Who holds the lock."""
    last: Owner | None
    """Who had it last and did not give it back."""

    @property
    def is_running(self) -> bool:
        """By the lock, or, if it seems free, by the log."""
        return self.holder is not None or (self.last is not None and self.age < FRESH_SECONDS)


@dataclass(frozen=True)
class LiveJob:
    """A job that is not done."""

    job: Job
    state: State
    training: TrainingProgress | None = None
    log_age: float | None = None
    """Seconds since the job's own log was written, for running jobs that are no trainings."""


def live_jobs(remaining: Graph, folder: Path, now: float | None = None) -> list[LiveJob]:
    """Every job of ``remaining`` with its state; paths are relative to ``folder``, ``now`` is in seconds since 1970."""
    now = time.time() if now is None else now
    return [_live(job, not remaining.before[number], folder, now) for number, job in enumerate(remaining.jobs)]


def _live(job: Job, is_ready: bool, folder: Path, now: float) -> LiveJob:
    states = state_folder(job)
    training = training_progress(folder / states, now) if states else None
    if training is not None and training.is_running:
        return LiveJob(job, "running", training)
    if training is not None and training.step < training.steps:  # else a finished one, with these settings or others
        return LiveJob(job, "stopped", training)
    ages = [now - (folder / log).stat().st_mtime for log in job.logs if (folder / log).exists()]
    if is_ready and ages and min(ages) < FRESH_SECONDS:
        return LiveJob(job, "running", log_age=min(ages))
    return LiveJob(job, "next" if is_ready else "later")


def state_folder(job: Job) -> Path | None:
    """Where the states of a training's runs are, as its rule names it; None for jobs that train nothing."""
    results, study, *rest = Path(job.outputs[0]).parts
    if job.rule.startswith("train_"):
        return Path(results, study, "training", *rest[:-1])
    if job.rule == "score_probe":
        return Path(results, study, "training", *rest[1:]).with_suffix("")
    return None


def training_progress(folder: Path, now: float) -> TrainingProgress | None:
    """How far the run is that was last at work in ``folder``; None if nothing has begun there, or it cannot be read."""
    logs = {log: log.stat().st_mtime for log in folder.glob("*/metrics.jsonl")}
    if not logs:
        return None
    newest = max(logs, key=lambda log: (owner_of(log.parent / "owner.lock") is not None, logs[log]))
    settings = _training_settings(newest.parent / "run.json")
    if settings is None:
        return None
    lines = list(_last_lines(newest))
    step = int(lines[-1]["step"]) if lines else 0
    rates = [line["images_per_second"] for line in lines if line.get("images_per_second")]
    rate = statistics.median(rates) if rates else None
    images_left = (settings["steps"] - step) * settings["batch_size"]
    lock = newest.parent / "owner.lock"
    return TrainingProgress(
        step=step,
        steps=settings["steps"],
        images_per_second=rate,
        seconds_left=images_left / rate if rate else None,
        age=now - logs[newest],
        checkpoint=max(_saved(newest.parent), default=None),
        holder=owner_of(lock),
        last=last_owner(lock),
    )


def _training_settings(path: Path) -> Mapping[str, Any] | None:
    """The section of a run's settings that has its steps and batch size: `training`, for a probe `probe`."""
    try:
        config = json.loads(path.read_bytes())["config"]
    except (OSError, ValueError, KeyError):
        return None
    sections = (config.get(name) for name in ("training", "probe"))
    return next((section for section in sections if section and {"steps", "batch_size"} <= section.keys()), None)


def _last_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The last lines of a log that somebody may be writing: a line without its end is none yet."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 1000 * LINES, 0))
        whole = stream.read().rpartition(b"\n")[0].split(b"\n")
    for line in whole[-LINES:]:
        try:
            yield json.loads(line)
        except ValueError:  # cut at its beginning
            continue


def _saved(folder: Path) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.pt")]
