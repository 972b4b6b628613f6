"""One model, several processes: the same results as with one, stops that all agree on, and no hanging when one dies.

Dropout is off where results are compared: processes drop other units on purpose.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from training.several import in_processes
from training.tiny import TASKS, Broken, build

from titok.config.training import Compute, Optimizer
from titok.errors import MachineError
from titok.runtime.processes import Place, _is_lost_contact, place
from titok.runtime.weights import load_model
from titok.training import checkpoint
from titok.training.loop import train
from titok.training.shares import Shares

NAMES = sorted(TASKS.keys() - {"probe"})
"""A probe is trained by one process: its batch norm looks at the whole batch."""


def run(name: str, folder: Path, *, batches: Any = None, **changes: Any) -> None:
    """Trains a task without dropout, in this process alone or together with others."""
    # Adam's steps do not depend on the size of gradients: where one is 0 but for rounding, such as that of a bias of
    # attention's keys, it would blow the rounding up. A large eps makes tiny gradients give tiny steps.
    changes = {"log_every": 2, "optimizer": Optimizer(learning_rate=3e-3, eps=1e-3)} | changes
    built = build(name, place=asdict(place()), **changes)
    for module in built.task.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    train(
        built.task,
        batches(built.batches) if batches else built.batches,
        built.settings,
        seed=3,
        config={"name": name},
        state_dir=folder / "state",
        output_dir=folder,
    )


def lines(folder: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in found]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task, trained by one process in one pass per step."""
    folder = tmp_path_factory.mktemp("alone")
    for name in NAMES:
        run(name, folder / name)
    return folder


def assert_same(one: Path, other: Path) -> None:
    """The same training but for the order of sums."""
    expected, found = (load_model(folder)[0] for folder in (one, other))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
    for before, after in zip(lines(one), lines(other), strict=True):
        assert before.keys() == after.keys()
        for key, value in before.items():
            assert after[key] == pytest.approx(value, rel=1e-4, abs=1e-6), (before["step"], key)


@pytest.mark.parametrize("world_size", [2, pytest.param(4, marks=pytest.mark.long)])
def test_results_do_not_depend_on_the_number_of_processes(alone: Path, tmp_path: Path, world_size: int) -> None:
    def work() -> None:
        for name in NAMES:
            run(name, tmp_path / name)

    assert in_processes(world_size, work) == [0] * world_size
    for name in NAMES:
        assert_same(alone / name, tmp_path / name)
        assert json.loads((tmp_path / name / "manifest.json").read_text())["processes"] == world_size


@pytest.mark.parametrize("name", [name for name in NAMES if name != "alit_stage2"])
def test_results_do_not_depend_on_the_number_of_passes(alone: Path, tmp_path: Path, name: str) -> None:
    run(name, tmp_path, compute=Compute(micro_batch_size=3))
    assert_same(alone / name, tmp_path)


def test_processes_and_passes_together(alone: Path, tmp_path: Path) -> None:
    def work() -> None:
        for name in ("single_stage_vq", "generator_vit"):
            run(name, tmp_path / name, compute=Compute(micro_batch_size=3))

    assert in_processes(2, work) == [0, 0]
    for name in ("single_stage_vq", "generator_vit"):
        assert_same(alone / name, tmp_path / name)


def test_milestones_stay_at_their_own_steps(tmp_path: Path) -> None:
    def work() -> None:
        run("stage1", tmp_path, milestone_steps=4, keep_checkpoints=1)

    assert in_processes(2, work) == [0, 0]
    names = sorted(path.name for path in (tmp_path / "state").glob("step-*.pt"))
    assert names == ["step-00000004.pt", "step-00000008.pt", "step-00000010.pt"]


class Disturbed:
    """Batches during one of which one process gets a signal."""

    def __init__(self, batches: Any, rank: int, step: int, number: signal.Signals) -> None:
        self.batches, self.rank, self.step, self.number = batches, rank, step, number

    def batch(self, step: int) -> Any:
        if (place().rank, step) == (self.rank, self.step):
            os.kill(os.getpid(), self.number)
        return self.batches.batch(step)


def test_a_signal_to_one_stops_all_at_the_same_step_and_the_rest_follows_exactly(tmp_path: Path) -> None:
    def whole() -> None:
        run("single_stage_vq", tmp_path / "whole")

    def stopped() -> None:
        run("single_stage_vq", tmp_path / "cut", batches=lambda source: Disturbed(source, 1, 4, signal.SIGTERM))

    def resumed() -> None:
        run("single_stage_vq", tmp_path / "cut")

    assert in_processes(2, whole) == [0, 0]
    assert in_processes(2, stopped, tmp_path) == [143, 143]
    # The news travels while the next step is made.
    assert "Stopped after step 6 of 10" in (tmp_path / "rank0.log").read_text()
    assert [path.name for path in (tmp_path / "cut" / "state").glob("step-*.pt")] == ["step-00000006.pt"]
    assert in_processes(2, resumed) == [0, 0]
    expected, found = load_model(tmp_path / "whole")[0], load_model(tmp_path / "cut")[0]
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert lines(tmp_path / "whole") == lines(tmp_path / "cut")


def test_a_dead_process_ends_the_job(tmp_path: Path) -> None:
    def work() -> None:
        run("stage1", tmp_path, steps=2000, batches=lambda source: Disturbed(source, 1, 5, signal.SIGKILL))

    begin = time.monotonic()
    first, second = in_processes(2, work, tmp_path)
    assert (first, second) == (1, -signal.SIGKILL)
    assert time.monotonic() - begin < 60
    assert "process 0 of 2 lost contact with another one" in (tmp_path / "rank0.log").read_text()


@pytest.mark.long
def test_a_silent_process_ends_the_job(tmp_path: Path) -> None:
    def work() -> None:
        run("stage1", tmp_path, steps=2000, batches=lambda source: Disturbed(source, 1, 5, signal.SIGSTOP))

    begin = time.monotonic()
    first, _ = in_processes(2, work, tmp_path, timeout_seconds=3, patience=10)
    assert first == 1
    assert time.monotonic() - begin < 60
    assert "said nothing for 3 s" in (tmp_path / "rank0.log").read_text()


def test_all_stop_when_one_part_of_a_batch_is_not_finite(tmp_path: Path) -> None:
    def work() -> None:
        run("stage1", tmp_path, batches=lambda batches: Broken(batches, {5} if place().rank == 1 else ()))

    assert in_processes(2, work, tmp_path) == [1, 1]
    for rank in (0, 1):
        assert "NonFiniteError: step 5" in (tmp_path / f"rank{rank}.log").read_text()
    saved = torch.load(tmp_path / "state" / "batch-of-step-00000005-rank1.pt", weights_only=True)
    assert saved["images"].isnan().all()


@pytest.mark.parametrize(
    ("size", "micro", "expected"), [(8, None, [8]), (8, 8, [8]), (8, 3, [2, 3, 3]), (7, 1, [1] * 7)]
)
def test_passes_cover_a_batch_in_nearly_equal_parts(size: int, micro: int | None, expected: list[int]) -> None:
    passes = list(Shares(micro_batch_size=micro).passes(size))
    assert [part.rows.stop - part.rows.start for part in passes] == expected
    assert passes[0].rows.start == 0
    assert passes[-1].rows.stop == size
    assert sum(part.share for part in passes) == pytest.approx(1)


def test_a_batch_that_processes_cannot_share_equally_is_refused() -> None:
    with pytest.raises(MachineError, match=r"batch_size is 8.*3 processes cannot share"):
        Shares.of(build("stage1").settings, Place(0, 3))


def test_several_processes_save_as_seldom_as_one(tmp_path: Path) -> None:
    """Each has a clock of its own, and what they agree on holds a step later."""

    def work() -> None:
        steps = itertools.count()
        # One second per look at the clock: the first process looks once a step.
        checkpoint.time = SimpleNamespace(monotonic=lambda: next(steps))  # type: ignore[assignment]
        run("stage1", tmp_path, steps=40, checkpoint_seconds=10, keep_checkpoints=100)

    assert in_processes(2, work, tmp_path) == [0, 0]
    saved = sorted(int(path.stem[5:]) for path in (tmp_path / "state").glob("step-*.pt"))
    assert saved[-1] == 40
    assert 3 <= len(saved) <= 5
    assert all(later - earlier > 5 for earlier, later in itertools.pairwise(saved[:-1]))


@pytest.mark.parametrize(
    ("text", "is_lost"),
    [
        ("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer", True),
        ("Work 7 timed out. Aborting all communicators.", True),
        ("NCCL error: unhandled system error", True),
        ("CUDA out of memory", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_lost_contact_is_told_from_other_errors(text: str, is_lost: bool) -> None:
    assert _is_lost_contact(RuntimeError(text)) is is_lost
