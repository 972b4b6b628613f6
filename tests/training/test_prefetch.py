"""Batches made ahead: the same ones in any order, errors where they belong, and a thread that ends."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
import torch
from training.tiny import build
from training.toy import ToyBatch, ToyBatches

from titok.runtime.seed import generator
from titok.training.loop import Run
from titok.training.prefetch import ReadyBatches, ready_batches

CPU = torch.device("cpu")


def as_it_is(batch: ToyBatch, step: int) -> ToyBatch:
    return batch


class Counting(ToyBatches):
    def __init__(self, broken: int | None = None) -> None:
        super().__init__()
        self.made: list[int] = []
        self.broken = broken

    def batch(self, step: int) -> ToyBatch:
        self.made.append(step)
        if step == self.broken:
            raise OSError("the disk is gone")
        return super().batch(step)


def test_any_order_gives_the_batches_of_the_source() -> None:
    source = Counting()
    with ReadyBatches(source, CPU, 10, as_it_is) as ready:
        for step in (0, 1, 2, 7, 8, 3):
            for ours, theirs in zip(ready.batch(step), ToyBatches().batch(step), strict=True):
                assert torch.equal(ours, theirs)
    # In a row nothing is made twice; a jump throws one away.
    assert source.made[:4] == [0, 1, 2, 3]


def test_nothing_is_made_beyond_the_last_step() -> None:
    source = Counting()
    with ReadyBatches(source, CPU, 3, as_it_is) as ready:
        for step in range(3):
            ready.batch(step)
    assert source.made == [0, 1, 2]


def test_an_error_ahead_is_raised_when_its_batch_is_asked_for() -> None:
    with ReadyBatches(Counting(broken=1), CPU, 10, as_it_is) as ready:
        ready.batch(0)
        with pytest.raises(OSError, match="the disk is gone"):
            ready.batch(1)


def test_the_thread_ends_with_the_block() -> None:
    with ReadyBatches(Counting(), CPU, 10, as_it_is) as ready:
        ready.batch(0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_on_a_cpu_nothing_is_put_in_between() -> None:
    source = Counting()
    with ready_batches(source, CPU, 10, as_it_is) as ready:
        assert ready is source


@pytest.mark.parametrize("name", ["generator_vit", "single_stage_vae", "single_stage_vq"])
def test_random_numbers_made_ahead_are_those_made_in_the_step(name: str) -> None:
    found = []
    for ahead in (False, True):
        task, batches, settings = build(name)
        run = Run(task, settings, seed=5, config={})
        threads: list[str] = []
        draws = task.with_draws

        def noted(batch: Any, step: int, rng: torch.Generator, draws: Any = draws, threads: Any = threads) -> Any:
            threads.append(threading.current_thread().name)
            return draws(batch, step, rng)

        task.with_draws = noted  # type: ignore[method-assign]
        with ReadyBatches(batches, CPU, 3, run.with_draws) if ahead else contextlib.nullcontext(batches) as source:
            for _ in range(3):
                run.train_one_step(source)
        # Ahead, the step asks as well, of a batch that has its numbers already.
        assert sum(name.startswith("prefetch") for name in threads) == (3 if ahead else 0)
        found.append(task.state_dict())
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key]), key


@pytest.mark.parametrize("name", ["generator_vit", "single_stage_vae"])
def test_a_batch_with_numbers_gets_no_others(name: str) -> None:
    task, batches, _ = build(name)
    batch = task.with_draws(batches.batch(1), 1, generator(0, "step", 1))
    assert len(batch) > len(batches.batch(1))
    assert task.with_draws(batch, 1, generator(0, "step", 2)) is batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_batches_arrive_whole() -> None:
    device = torch.device("cuda", 0)
    with ready_batches(Counting(), device, 10, as_it_is) as ready:
        for step in range(10):
            found = ready.batch(step)
            assert found.x.device == device
            assert torch.equal(found.x.cpu(), ToyBatches().batch(step).x)
