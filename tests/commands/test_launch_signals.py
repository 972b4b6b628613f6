"""Whoever stops a launcher stops all of its processes, which save first: one machine, two machines, any way to stop it.

Slurm's warning, Ctrl-C and the like reach the launcher alone: its processes are in sessions of their own.

Run: pytest tests/commands/test_launch_signals.py
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands.workbench import ROOT, Workbench, command

from titok.cli import build_parser
from titok.commands.launch import processes
from titok.runtime.ownership import owner_of

PATIENCE = 60.0
"""Seconds for three steps and a checkpoint of a network that takes milliseconds for each, on a busy machine."""


class Training:
    """A training without an end, of two processes, that would save in an hour."""

    def __init__(self, bench: Workbench, folder: Path) -> None:
        document = yaml.safe_load(bench.config("single_stage", "one").read_text())
        document["training"] |= {"steps": 10**6, "log_every": 1, "checkpoint_seconds": 3600, "batch_size": 8}
        document["training"]["schedule"] = {"warmup_steps": 2}
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(document))
        self.folder = folder
        files = {"data": bench.train_data, "critic": bench.model("critic"), "output": folder / "model.safetensors"}
        self.verb = command("train", "single_stage", config=settings, seed=0, state=folder / "state", **files)
        self.verb += ["--device", "cpu"]
        self.launchers: list[subprocess.Popen[bytes]] = []

    def start(self, gpus: list[str], options: argparse.Namespace, **more: str) -> None:
        """The very process that `titok launch` becomes on a machine with these GPUs."""
        start = processes(options, gpus, more)
        environment = {**os.environ, **more, **start.variables, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            pipes: dict[str, Any] = {"stdout": log, "stderr": log}
            self.launchers.append(subprocess.Popen(start.words, env=environment, start_new_session=True, **pipes))

    def start_here(self) -> None:
        """On one machine with two GPUs."""
        options = build_parser().parse_args(["launch", "--gpus", "2", "--cpus", "2", *self.verb])
        self.start(["0", "1"], options)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def said(self) -> str:
        return self.log.read_text()

    def until_it_trains(self) -> None:
        until(lambda: self.steps() >= 3, lambda: self.said)

    def steps(self) -> int:
        lines = [path.read_bytes().count(b"\n") for path in self.folder.glob("state/*/metrics.jsonl")]
        return sum(lines)

    def left(self) -> list[int]:
        """Processes that work on this training."""
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if names(path, self.folder)]

    def assert_all_left_with_a_checkpoint(self) -> None:
        until(lambda: not self.left(), lambda: f"{len(self.left())} processes went on:\n{self.said}")
        assert all(launcher.wait(timeout=PATIENCE) != 0 for launcher in self.launchers)
        (checkpoint,) = self.folder.glob("state/*/step-*.pt")
        last_line = self.steps()
        assert int(checkpoint.stem.removeprefix("step-")) == last_line >= 3, "nothing done is lost"
        assert owner_of(checkpoint.parent / "owner.lock") is None
        assert "Stopped after step" in self.said


def until(holds: Callable[[], object], complaint: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.05)


def names(command_line: Path, folder: Path) -> bool:
    try:
        return str(folder) in command_line.read_text(errors="replace")
    except OSError:  # it has ended
        return False


@pytest.fixture
def training(bench: Workbench, tmp_path: Path) -> Iterator[Training]:
    training = Training(bench, tmp_path)
    try:
        yield training
    finally:
        for process in training.left():
            os.kill(process, signal.SIGKILL)
        for launcher in training.launchers:
            launcher.wait()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT, signal.SIGKILL])
@pytest.mark.long
def test_a_signal_to_the_launcher_alone(training: Training, number: signal.Signals) -> None:
    """Before a time limit; Ctrl-C; and a launcher that dies without a word leaves nobody behind who trains for ever."""
    training.start_here()
    training.until_it_trains()
    training.launchers[0].send_signal(number)
    training.assert_all_left_with_a_checkpoint()


@pytest.mark.long
def test_a_warning_to_one_of_two_machines(training: Training) -> None:
    line = ["launch", "--in-step", "--gpus", "1", "--nodes", "2", *training.verb]
    options = build_parser().parse_args(line)
    job = str(os.getpid() % 10_000)
    for machine in ("0", "1"):
        step = {"SLURM_JOB_ID": job, "SLURM_NODEID": machine, "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}
        training.start(["0"], options, **step)
    training.until_it_trains()
    training.launchers[1].send_signal(signal.SIGUSR1)
    training.assert_all_left_with_a_checkpoint()
