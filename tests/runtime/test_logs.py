"""Logs of tries that failed or were killed stay, whatever Snakemake does with a rule's log before the next.

Run: pytest tests/runtime/test_logs.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from config.studies import ROOT, TINY

WAIT = "from titok.runtime.logs import kept_unless_done\nwith kept_unless_done():\n    input()"


def attempt(folder: Path, *words: str, log: str = "logs/tiny/check.log", **more: str) -> int:
    """One try of a job as Snakemake makes it: the log of the one before is deleted."""
    path = folder / log
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    with path.open("w") as stream:
        line = [sys.executable, "-m", "titok", *words]
        return subprocess.run(line, cwd=folder, env=environment, stdout=stream, stderr=stream, check=False).returncode


def logs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.log*"))


def test_failed_tries_are_kept_and_good_ones_have_one_name(tmp_path: Path) -> None:
    assert attempt(tmp_path, "check", "first.yaml") == 1
    assert attempt(tmp_path, "launch", "--gpus", "0", "check", "second.yaml") == 1
    assert attempt(tmp_path, "check", "--nonsense") == 2
    assert attempt(tmp_path, "launch", "--gpus", "0", "check", str(TINY)) == 0
    assert logs(tmp_path) == ["check.log", "check.log.1", "check.log.2", "check.log.3"]
    said = [(tmp_path / "logs/tiny" / name).read_text() for name in logs(tmp_path)]
    marks = ["'tiny'", "first.yaml", "second.yaml", "titok check: error"]
    assert [mark in text for mark, text in zip(marks, said, strict=True)] == [True] * 4


def test_a_killed_try_is_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "job.log"
    with log.open("w") as stream:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        line = [sys.executable, "-c", WAIT]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": stream, "stderr": stream}
        process = subprocess.Popen(line, cwd=tmp_path, env=environment, **pipes)
    while logs(tmp_path) == ["job.log"]:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    log.unlink()
    assert logs(tmp_path) == ["job.log.1"]


@pytest.mark.parametrize("place", ["elsewhere/check.log", "logs/check.txt"])
def test_other_files_are_left_alone(place: str, tmp_path: Path) -> None:
    assert attempt(tmp_path, "check", "first.yaml", log=place) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / place]


def test_only_the_first_of_several_processes_removes_the_name(tmp_path: Path) -> None:
    name = tmp_path / "logs" / "check.log.1"
    name.parent.mkdir()
    name.touch()
    for rank, stays in (("1", True), ("0", False)):
        assert attempt(tmp_path, "check", str(TINY), RANK=rank, WORLD_SIZE="2", TITOK_LOG_OF_TRY=str(name)) == 0
        assert name.exists() == stays
