"""Bits of a map of regions: the coded edges alone bring the map back, and their number is counted by hand.

Run: pytest tests/metrics/test_region_map.py
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import label

from titok.metrics.region_map import coded_edges, map_bits


def decoded(regions: np.ndarray) -> np.ndarray:
    """What a decoder makes of the edges that are told, in the order of pixels: regions are what no edge parts."""
    told = coded_edges(regions)
    height, width = regions.shape
    left, above = np.zeros((height, width), bool), np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            if x:
                left[y, x] = told.left[y, x - 1]
            if y and told.is_told[y - 1, x]:
                above[y, x] = told.above[y - 1, x]
            elif y:
                above[y, x] = left[y - 1, x] + above[y, x - 1] + left[y, x] == 1
    found, number = np.full((height, width), -1), 0
    for start in np.ndindex(height, width):
        if found[start] < 0:
            _fill(found, left, above, start, number)
            number += 1
    return found


def _fill(found: np.ndarray, left: np.ndarray, above: np.ndarray, start: tuple[int, ...], number: int) -> None:
    height, width = found.shape
    reached = [start]
    while reached:
        y, x = reached.pop()
        if found[y, x] >= 0:
            continue
        found[y, x] = number
        steps = [
            (y, x - 1, x > 0 and not left[y, x]),
            (y - 1, x, y > 0 and not above[y, x]),
            (y, x + 1, x + 1 < width and not left[y, min(x + 1, width - 1)]),
            (y + 1, x, y + 1 < height and not above[min(y + 1, height - 1), x]),
        ]
        reached += [(a, b) for a, b, is_open in steps if is_open]


def connected(values: np.ndarray) -> np.ndarray:
    """Numbers in the order of first pixels, of what hangs together along rows and columns."""
    found, number = np.full(values.shape, -1), 0
    for value in np.unique(values):
        parts, count = label(values == value)
        for part in range(1, count + 1):
            found[parts == part] = number
            number += 1
    order = {old: new for new, old in enumerate(dict.fromkeys(found.ravel().tolist()))}
    return np.vectorize(order.get)(found)


@pytest.mark.parametrize("seed", range(20))
def test_a_decoder_finds_every_map(seed: int) -> None:
    draws = np.random.default_rng(seed)
    regions = connected(draws.integers(0, 3, size=draws.integers(1, 9, size=2)))
    np.testing.assert_array_equal(decoded(regions), regions)


def test_bits_by_hand() -> None:
    """Two columns of two rows: one edge in the first row, then, knowing it, one in the second; nothing else is open."""
    halves = np.array([[0, 1], [0, 1]])
    # First row: a first edge, 1 bit. Second row: above the first pixel none (1 bit); left, by the context of one edge
    # and none, 1 bit; then two of three edges are there, and the last one is told: 1 bit.
    assert map_bits(halves) == pytest.approx(4)
    # No edges: one context each for the first row, the first column and the rest, the corner tells the last.
    assert map_bits(np.zeros((2, 2), int)) == pytest.approx(3)


def test_one_region_costs_little_and_noise_much() -> None:
    plain = map_bits(np.zeros((32, 32), int))
    # What this coder pays for learning one context of n edges is at most 1 + log2(n) / 2.
    assert plain < sum(1 + math.log2(edges) / 2 for edges in (31, 31, 31 * 31))
    noise = map_bits(connected(np.random.default_rng(0).integers(0, 9, (32, 32))))
    edge = 1 / 9  # of nine values, neighbours are equal so often; nothing in the corner tells much about the rest
    entropy = -edge * math.log2(edge) - (1 - edge) * math.log2(1 - edge)
    assert noise == pytest.approx(2 * 32 * 31 * entropy, rel=0.05)
