"""Order of training images: exact epochs, any step in constant time, the same for any number of processes."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from titok.data.order import batch_indices, permutation, rank_slice
from titok.errors import DataError


@pytest.mark.parametrize(("size", "batch_size"), [(10, 3), (7, 7), (12, 4), (5, 13), (1, 4)])
def test_batches_are_consecutive_pieces_of_the_epochs(size, batch_size):
    steps = 4 * size
    stream = np.concatenate([batch_indices(step, batch_size, size, seed=3) for step in range(steps)])
    epochs = len(stream) // size
    expected = np.concatenate([permutation(size, 3, epoch) for epoch in range(epochs + 1)])[: len(stream)]
    np.testing.assert_array_equal(stream, expected)
    for epoch in range(epochs):
        np.testing.assert_array_equal(np.sort(stream[epoch * size : (epoch + 1) * size]), np.arange(size))


def test_any_step_can_be_asked_first():
    permutation.cache_clear()
    late = batch_indices(1000, 8, 100, seed=0)
    permutation.cache_clear()
    for step in range(1000):
        batch_indices(step, 8, 100, seed=0)
    np.testing.assert_array_equal(batch_indices(1000, 8, 100, seed=0), late)


def test_a_far_step_costs_no_more_than_the_first():
    permutation.cache_clear()
    start = time.perf_counter()
    batch_indices(10**9, 256, 50_000, seed=0)
    assert time.perf_counter() - start < 1


def test_seeds_and_epochs_are_shuffled_differently():
    orders = [tuple(permutation(50, seed, epoch)) for seed, epoch in itertools.product(range(3), range(3))]
    assert len(set(orders)) == 9


def test_every_position_is_equally_likely():
    counts = np.zeros((6, 6))
    for epoch in range(3000):
        counts[permutation(6, 1, epoch), np.arange(6)] += 1
    # 3000 / 6 = 500 expected; 5 standard deviations are about 102.
    assert abs(counts - 500).max() < 102


def test_order_is_pinned():
    """Fails when a library changes its random numbers: published runs could not be repeated any more."""
    assert permutation(10, 0, 0).tolist() == [2, 1, 7, 8, 4, 5, 6, 9, 3, 0]
    assert batch_indices(2, 4, 10, 42).tolist() == [3, 5, 7, 3]


def test_cached_orders_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        permutation(5, 0, 0)[0] = 1
    batch_indices(0, 5, 5, 0)[:] = 0  # A batch is the caller's own.
    assert sorted(permutation(5, 0, 0)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_share_a_batch_without_overlap(world_size):
    batch = batch_indices(5, 8, 30, seed=0)
    shares = [batch[rank_slice(8, rank, world_size)] for rank in range(world_size)]
    np.testing.assert_array_equal(np.concatenate(shares), batch)


def test_errors_name_the_values():
    with pytest.raises(DataError, match="batch_size is 10, which 4 processes cannot share equally"):
        rank_slice(10, 0, 4)
    with pytest.raises(DataError, match="rank is 4; allowed for 4 processes: 0 to 3"):
        rank_slice(8, 4, 4)
    with pytest.raises(DataError, match="size is 0, batch_size 4, step 1"):
        batch_indices(1, 4, 0, 0)
