"""Batches made ahead: the same ones in any order, errors where they belong, and a thread that ends."""

from __future__ import annotations

import threading

import pytest
import torch
from training.toy import ToyBatch, ToyBatches

from titok.training.prefetch import ReadyBatches, ready_batches

CPU = torch.device("cpu")


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
    with ReadyBatches(source, CPU, num_steps=10) as ready:
        for step in (0, 1, 2, 7, 8, 3):
            for ours, theirs in zip(ready.batch(step), ToyBatches().batch(step), strict=True):
                assert torch.equal(ours, theirs)
    # In a row nothing is made twice; a jump throws one away.
    assert source.made[:4] == [0, 1, 2, 3]


def test_nothing_is_made_beyond_the_last_step() -> None:
    source = Counting()
    with ReadyBatches(source, CPU, num_steps=3) as ready:
        for step in range(3):
            ready.batch(step)
    assert source.made == [0, 1, 2]


def test_an_error_ahead_is_raised_when_its_batch_is_asked_for() -> None:
    with ReadyBatches(Counting(broken=1), CPU, num_steps=10) as ready:
        ready.batch(0)
        with pytest.raises(OSError, match="the disk is gone"):
            ready.batch(1)


def test_the_thread_ends_with_the_block() -> None:
    with ReadyBatches(Counting(), CPU, num_steps=10) as ready:
        ready.batch(0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_on_a_cpu_nothing_is_put_in_between() -> None:
    source = Counting()
    with ready_batches(source, CPU, 10) as ready:
        assert ready is source


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_batches_arrive_whole() -> None:
    device = torch.device("cuda", 0)
    with ready_batches(Counting(), device, 10) as ready:
        for step in range(10):
            found = ready.batch(step)
            assert found.x.device == device
            assert torch.equal(found.x.cpu(), ToyBatches().batch(step).x)
