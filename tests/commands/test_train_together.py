"""`torchrun -m titok train`: the command line with several processes of one machine.

Run: pytest tests/commands/test_train_together.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands.workbench import ROOT, Workbench, command, record

from titok.runtime.weights import load_model


def torchrun(processes: int, *line: str) -> subprocess.Popen[str]:
    """`torchrun --standalone --nproc-per-node N -m titok ...` as a process group of its own."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*start, "-m", "titok", *line], env=environment, start_new_session=True, **pipes)


@pytest.fixture
def settings(bench: Workbench, tmp_path: Path) -> Path:
    document = yaml.safe_load(bench.config("single_stage", "one").read_text())
    document["training"] |= {"steps": 40, "log_every": 5, "checkpoint_seconds": 0, "batch_size": 8}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def line(bench: Workbench, settings: Path, folder: Path) -> list[str]:
    files = {"data": bench.train_data, "critic": bench.model("critic"), "output": folder / "model.safetensors"}
    return command("train", "single_stage", config=settings, seed=0, state=folder / "state", **files)


@pytest.mark.long
def test_two_processes_stopped_and_resumed_train_what_one_would(
    bench: Workbench, settings: Path, tmp_path: Path
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    bench.run(*line(bench, settings, alone))
    process = torchrun(2, *line(bench, settings, together))
    while not list(together.rglob("step-*.pt")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.count("the same command continues") == 1
    assert not (together / "model.safetensors").exists()

    process = torchrun(2, *line(bench, settings, together))
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    manifest = record(together / "manifest.json")
    assert manifest["processes"] == 2
    assert manifest["provenance"]
    first, second = ((folder / "metrics.jsonl").read_text().splitlines() for folder in (alone, together))
    for before, after in zip(map(json.loads, first), map(json.loads, second), strict=True):
        assert before["step"] == after["step"]
        # Forty steps of a network this small multiply what the order of sums changes.
        assert after["loss"] == pytest.approx(before["loss"], rel=2e-2)
    expected, found = load_model(alone)[0], load_model(together)[0]
    assert all(torch.isfinite(found[key]).all() for key in expected)


@pytest.mark.long
def test_a_batch_that_cannot_be_shared_is_an_error_for_all(bench: Workbench, settings: Path, tmp_path: Path) -> None:
    process = torchrun(3, *line(bench, settings, tmp_path))
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "batch_size is 8" in said
    assert "3 processes" in said


def test_half_an_environment_is_refused(bench: Workbench, settings: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "WORLD_SIZE": "2", "RANK": "0"}
    start = [sys.executable, "-m", "titok", *line(bench, settings, tmp_path)]
    done = subprocess.run(start, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "LOCAL_RANK is None; start several processes with torchrun" in done.stderr
    assert "Traceback" not in done.stderr
