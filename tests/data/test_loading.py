"""The loader: the same results for any number of workers, errors that name the sample, and no process left behind."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest
import torch

from titok.data.loading import AHEAD, batches_of, in_order
from titok.data.shard_index import ShardError
from titok.errors import MachineError
from titok.runtime.signals import STOPPING

WORKERS = [0, 1, 2]


class Read(NamedTuple):
    values: torch.Tensor
    number: int


def read(number: int) -> Read:
    return Read(torch.full((2, 3), number, dtype=torch.uint8), number * number)


def no_children(seconds: float = 10) -> bool:
    """Waits until this process has no children."""
    end = time.monotonic() + seconds
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.02)
    return not multiprocessing.active_children()


@pytest.mark.parametrize("workers", WORKERS)
def test_batches_come_in_order(workers):
    batches = list(in_order(read, batches_of(range(11), 4), workers=workers))
    assert [len(batch.number) for batch in batches] == [4, 4, 3]
    assert torch.cat([batch.number for batch in batches]).tolist() == [n * n for n in range(11)]
    assert torch.cat([batch.values for batch in batches])[:, 1, 2].tolist() == list(range(11))
    assert batches[0].values.dtype == torch.uint8
    assert no_children()


@pytest.mark.parametrize("workers", WORKERS)
def test_slow_samples_overtake_nobody(workers):
    def slow_first(number: int) -> int:
        time.sleep(0.2 if number == 0 else 0)
        return number

    assert [int(batch) for batch in in_order(slow_first, ([n] for n in range(6)), workers=workers)] == list(range(6))


@pytest.mark.parametrize("workers", WORKERS)
def test_endless_batches_are_drawn_as_needed(workers):
    drawn = itertools.count()
    results = in_order(read, ([next(drawn)] for _ in itertools.count()), workers=workers)
    for expected in range(5):
        assert int(next(results).number) == expected**2
    assert next(drawn) <= 5 + AHEAD * workers
    results.close()
    assert no_children()


def test_dropped_iterators_end_their_workers():
    results = in_order(read, batches_of(range(100), 2), workers=2)
    next(results)
    assert len(multiprocessing.active_children()) == 2
    del results
    assert no_children()


@pytest.mark.parametrize("workers", WORKERS)
def test_errors_name_the_sample(workers):
    def broken(number: int) -> int:
        if number == 5:
            raise KeyError("pixel")
        return number

    results = in_order(broken, batches_of(range(8), 2), workers=workers, name="picture {}".format)
    assert [next(results).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(ShardError, match=r"^picture 5: KeyError: 'pixel'") as caught:
        next(results)
    assert "in broken" in caught.value.__notes__[0]
    assert no_children()


@pytest.mark.parametrize("workers", WORKERS)
def test_errors_of_shards_name_their_sample_themselves(workers):
    def altered(number: int) -> int:
        raise ShardError(f"train-000000.tar: sample {number} (tench) was altered")

    with pytest.raises(ShardError, match=r"^train-000000.tar: sample 3 \(tench\) was altered$"):
        list(in_order(altered, [[3, 4]], workers=workers))


def test_a_killed_worker_is_noticed():
    def killed(number: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(MachineError, match=r"a worker process that reads images is gone .* use fewer workers"):
        list(in_order(killed, [[0]], workers=1))


def test_signals_to_the_whole_group_do_not_stop_workers():
    def signalled(number: int) -> int:
        for sent in STOPPING:
            os.kill(os.getpid(), sent)
        return number

    assert torch.cat(list(in_order(signalled, batches_of(range(6), 2), workers=2))).tolist() == list(range(6))


@pytest.mark.parametrize("workers", WORKERS)
def test_global_randomness_is_left_alone(workers):
    before = torch.get_rng_state()
    list(in_order(read, batches_of(range(4), 2), workers=workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_memory_stays_flat_however_many_batches_come():
    """Without care each of 128 batches takes a place of its own, because notes about earlier ones lie in between."""
    program = """
import psutil, torch
from titok.data.loading import in_order
from titok.runtime.device import select_device

select_device("cpu")
used = []
for batch in in_order(lambda n: torch.zeros(2**20, dtype=torch.uint8), ([0, 0] for _ in range(100)), workers=1):
    floats = batch.float()
    used.append(psutil.Process().memory_info().rss)
print((used[-1] - used[20]) // 2**20)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10 * 8, "a batch is 8 MiB"


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(MachineError, match="workers is -1; allowed: 0"):
        in_order(read, [], workers=-1)
