"""What other seeds do: t intervals of a difference of means, and of one more seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

ENOUGH_SEEDS = 3
"""Fewer have no spread that a verdict could rest on."""
COVERAGE = 0.95
_ONE_SEED_ALONE = 0.99
"""Coverage for all seeds of a comparison together, when each is held against the others' spread."""


def difference_interval(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[float, float]:
    """Where the difference of means, A - B, lies at 95 %; both map seeds to values, three at least.

    Equal seeds are compared in pairs: they share images, order and first weights. Others by Welch's rule.
    """
    if a.keys() == b.keys():
        differences = np.array([a[seed] - b[seed] for seed in a])
        centre, error = float(differences.mean()), _error(differences)
        freedom: float = len(differences) - 1
    else:
        one, other = np.array(list(a.values())), np.array(list(b.values()))
        parts = [_error(one) ** 2, _error(other) ** 2]
        centre, error = float(one.mean() - other.mean()), math.sqrt(sum(parts))
        weights = [parts[0] ** 2 / (len(one) - 1), parts[1] ** 2 / (len(other) - 1)]
        freedom = sum(parts) ** 2 / sum(weights) if sum(weights) else 1
    half = error * float(stats.t.ppf((1 + COVERAGE) / 2, freedom))
    return centre - half, centre + half


def strays(a: Mapping[int, float], b: Mapping[int, float]) -> list[int]:
    """Seeds of either side that lie where the other side's spread never leads (1 % for all of them together).

    One spoilt model of three leaves a mean so unsure that its interval holds 0; this finds it.
    """
    coverage = 1 - (1 - _ONE_SEED_ALONE) / (len(a) + len(b))
    found = set()
    for own, others in ((a, b), (b, a)):
        low, high = next_seed(list(others.values()), coverage)
        found |= {seed for seed, value in own.items() if not low <= value <= high}
    return sorted(found)


def next_seed(values: Sequence[float], coverage: float = COVERAGE) -> tuple[float, float]:
    """Where one more seed lies, given some; two at least."""
    array = np.array(values, dtype=np.float64)
    half = math.sqrt(1 + len(array)) * _error(array) * float(stats.t.ppf((1 + coverage) / 2, len(array) - 1))
    return float(array.mean()) - half, float(array.mean()) + half


def _error(values: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(values.std(ddof=1)) / math.sqrt(len(values))
