"""Wall time: chains, rows, and clusters that are too small for everything at once.

Run: pytest tests/planning/test_wall_time.py
"""

from __future__ import annotations

import random

import pytest
from planning.graphs import job

from titok.planning.graph import Graph
from titok.planning.wall_time import longest_ahead, wall_seconds

CHAIN = Graph((job("c", "b"), job("a"), job("b", "a")))
ROW = Graph(tuple(job(name) for name in "abcd"))
DIAMOND = Graph((job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c")))


@pytest.mark.parametrize("num_gpus", [1, 8])
def test_a_chain_takes_the_sum(num_gpus: int) -> None:
    assert wall_seconds(CHAIN, [3, 5, 7], [1, 1, 1], num_gpus) == 15
    assert longest_ahead(CHAIN, [3, 5, 7]) == [3, 15, 10]


@pytest.mark.parametrize(("num_gpus", "expected"), [(1, 20), (2, 10), (3, 10), (4, 5)])
def test_jobs_side_by_side_share_the_gpus(num_gpus: int, expected: float) -> None:
    assert wall_seconds(ROW, [5] * 4, [1] * 4, num_gpus) == expected


def test_large_jobs_wait_for_their_gpus_and_small_ones_pass() -> None:
    assert wall_seconds(ROW, [10, 4, 2, 2], [8, 8, 1, 1], 8) == 16
    assert wall_seconds(ROW, [10, 0, 0, 0], [8, 8, 8, 8], 8) == 10, "what takes no time takes no GPU"


def test_the_longest_way_starts_first() -> None:
    """b is short but c hangs on it: taking it first saves its time."""
    graph = Graph((job("a"), job("b"), job("c", "b")))
    assert wall_seconds(graph, [6, 2, 6], [1, 1, 1], 2) == 8
    assert wall_seconds(DIAMOND, [1, 2, 5, 1], [1] * 4, 2) == 7


def test_never_faster_than_possible_and_never_slower_than_one_by_one() -> None:
    rng = random.Random(0)
    for _ in range(50):
        names = [f"n{i}" for i in range(12)]
        jobs = [job(name, *rng.sample(names[:i], min(i, rng.randint(0, 2)))) for i, name in enumerate(names)]
        graph = Graph(tuple(jobs))
        seconds = [rng.randint(0, 9) for _ in names]
        gpus = [rng.randint(1, 4) for _ in names]
        found = wall_seconds(graph, seconds, gpus, 4)
        work = sum(second * gpu for second, gpu in zip(seconds, gpus, strict=True)) / 4
        assert max(work, max(longest_ahead(graph, seconds))) <= found <= sum(seconds)
