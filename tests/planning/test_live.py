"""What `titok status` makes of a results folder: locks, logs and their ages, speeds and what is left.

Run: pytest tests/planning/test_live.py
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from titok.commands.status import duration, report
from titok.planning.graph import Graph, Job
from titok.planning.live import live_jobs, state_folder, training_progress
from titok.runtime.ownership import give_back, take

NOW = time.time()
STAGE1 = Job(
    "train_stage1",
    ("results/x/vqgan/model.safetensors",),
    ("results/x/tokenizers/s2/seed0/stage1/model.safetensors",),
    {"study": "x", "tokenizer": "s2", "seed": "0"},
)
TOKENS = Job("extract_tokens", STAGE1.outputs, ("results/x/tokens/s2.npz",), {"study": "x"}, ("logs/tokens.log",))
PROBE = Job(
    "score_probe", (), ("results/x/scores/probe/s2/seed0.json",), {"study": "x", "tokenizer": "s2", "seed": "0"}
)
CONFIG = Job("write_config", (), ("results/x/configs/a.yaml",), {"study": "x", "kind": "stage1", "name": "a"})


def state(folder: Path, *, steps: list[int], age: float, checkpoint: int | None = None, **changes: Any) -> Path:
    """A training's state with lines at ``steps``, 200 images per second each, the last one ``age`` seconds ago."""
    path = folder / "abc"
    path.mkdir(parents=True)
    settings = {"training": {"steps": 1000, "batch_size": 10}, **changes}
    (path / "run.json").write_text(json.dumps({"seed": 0, "config": settings}))
    log = path / "metrics.jsonl"
    log.write_text("".join(json.dumps({"step": step, "images_per_second": 200.0}) + "\n" for step in steps))
    os.utime(log, (NOW - age, NOW - age))
    if checkpoint is not None:
        (path / f"step-{checkpoint:08d}.pt").touch()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results/x/training/tokenizers/s2/seed0/stage1"


def test_states_are_where_the_rules_put_them() -> None:
    assert state_folder(STAGE1) == Path("results/x/training/tokenizers/s2/seed0/stage1")
    assert state_folder(PROBE) == Path("results/x/training/probe/s2/seed0")
    assert state_folder(TOKENS) is None


def test_a_held_lock_means_running_whatever_the_age_of_the_log(folder: Path, tmp_path: Path) -> None:
    path = state(folder, steps=[100, 200, 400], age=5000, checkpoint=300)
    lock = take(path / "owner.lock")
    (job,) = live_jobs(Graph((STAGE1,)), tmp_path, NOW)
    give_back(lock)
    assert (job.state, job.training.step, job.training.steps) == ("running", 400, 1000)  # type: ignore[union-attr]
    assert job.training.seconds_left == 600 * 10 / 200  # type: ignore[union-attr]
    assert job.training.holder.process == os.getpid()  # type: ignore[union-attr]


def test_a_free_lock_means_stopped_unless_it_cannot_be_seen(folder: Path, tmp_path: Path) -> None:
    path = state(folder, steps=[100], age=30, checkpoint=100)
    (path / "owner.lock").touch()
    assert live_jobs(Graph((STAGE1,)), tmp_path, NOW)[0].state == "stopped", "given back"
    (path / "owner.lock").write_text('{"process": 1, "host": "elsewhere", "slurm_job": "7"}')
    assert live_jobs(Graph((STAGE1,)), tmp_path, NOW)[0].state == "running", "not given back, and the log is young"
    assert live_jobs(Graph((STAGE1,)), tmp_path, NOW + 200)[0].state == "stopped", "killed"


def test_looking_leaves_the_lock_free(folder: Path) -> None:
    path = state(folder, steps=[1], age=0)
    (path / "owner.lock").touch()
    training_progress(folder, NOW)
    descriptor = os.open(path / "owner.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_the_newest_run_counts_and_the_speed_is_that_of_the_last_lines(folder: Path) -> None:
    state(folder, steps=[900], age=500).rename(folder / "old")
    path = state(folder, steps=[], age=0)
    rates = [1.0] * 50 + [100.0] * 19 + [1e9]
    lines = [json.dumps({"step": step, "images_per_second": rate}) for step, rate in enumerate(rates, start=1)]
    (path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 71, "ima')
    found = training_progress(folder, NOW)
    assert found is not None
    assert (found.step, found.images_per_second) == (70, 100.0)


@pytest.mark.parametrize("text", [None, "{", '{"config": {"model": {}}}'])
def test_what_cannot_be_read_has_not_begun(folder: Path, text: str | None) -> None:
    path = state(folder, steps=[1], age=0)
    (path / "run.json").unlink() if text is None else (path / "run.json").write_text(text)
    assert training_progress(folder, NOW) is None


def test_a_probe_has_its_own_settings(tmp_path: Path) -> None:
    state(tmp_path, steps=[10], age=0, probe={"steps": 20, "batch_size": 5}, training=None)
    found = training_progress(tmp_path, NOW)
    assert found is not None
    assert (found.steps, found.seconds_left) == (20, 10 * 5 / 200)


def test_other_jobs_run_while_their_log_is_young(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/tokens.log").touch()
    os.utime(tmp_path / "logs/tokens.log", (NOW - 50, NOW - 50))
    assert live_jobs(Graph((TOKENS,)), tmp_path, NOW)[0].state == "running"
    assert live_jobs(Graph((TOKENS,)), tmp_path, NOW + 100)[0].state == "next"
    assert live_jobs(Graph((STAGE1, TOKENS)), tmp_path, NOW)[1].state == "later", "what it reads is not there yet"


def test_the_page(folder: Path, tmp_path: Path) -> None:
    path = state(folder, steps=[250], age=3, checkpoint=200)
    remaining = Graph((STAGE1, TOKENS, PROBE, CONFIG))
    lock = take(path / "owner.lock")
    running = "\n".join(report(Graph((*remaining.jobs, STAGE1)), live_jobs(remaining, tmp_path, NOW), NOW))
    give_back(lock)
    assert running.startswith("1 of 5 jobs done, 1 running, 2 next, 1 later\n")
    assert "  train_stage1 s2 seed 0: step 250 of 1,000 (25 %), 200 images/s, 37 s left, until" in running.replace(
        "38 s", "37 s"
    )
    assert f"lock held by process {os.getpid()} on " in running
    assert "last line of its log 3 s ago" in running
    assert "next\n  score_probe s2 seed 0\n  and 1 write_config\n" in running
    assert "later: 1 extract_tokens" in running
    assert "A training runs if its owner.lock is held" in running
    stopped = "\n".join(report(remaining, live_jobs(remaining, tmp_path, NOW), NOW))
    assert "stopped\n  train_stage1 s2 seed 0: step 250 of 1,000 (25 %), 38 s left\n" in stopped
    assert "nobody holds its lock; goes on from step 200; last line of its log 3 s ago" in stopped


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (75, "1 min 15 s"), (3600, "1 h"), (7265, "2 h 1 min"), (277_300, "3 d 5 h")],
)
def test_times(seconds: float, text: str) -> None:
    assert duration(seconds) == text
