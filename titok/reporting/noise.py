"""What other seeds do: t intervals of a difference of means, and of one more seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from titok.reporting.estimates import COVERAGE, MIN_SEEDS, paired, prediction_interval, unpaired

ENOUGH_SEEDS = MIN_SEEDS
"""Fewer have no spread that a verdict could rest on."""
_ONE_SEED_ALONE = 0.99
"""Coverage for all seeds of a comparison together, when each is held against the others' spread."""


def difference_interval(a: Mapping[int, float], b: Mapping[int, float]) -> tuple[float, float]:
    """Where the difference of means, A - B, lies at 95 %; both map seeds to values, three at least.

    Equal seeds are compared in pairs: they share images, order and first weights. Others by Welch's rule.
    """
    found = (paired if a.keys() == b.keys() else unpaired)([a, b], [1.0, -1.0])
    half = found.half_width()
    return found.value - half, found.value + half


def strays(a: Mapping[int, float], b: Mapping[int, float]) -> list[int]:
    """Seeds of either side that lie where the other side's spread never leads (1 % for all of them together).

    One spoilt model of three leaves a mean so unsure that its interval holds 0; this finds it. The spread is that of
    all other seeds around the mean of their side. Where they are all alike, as shares of few images may be, no spread
    is known, and nothing strays.
    """
    coverage = 1 - (1 - _ONE_SEED_ALONE) / (len(a) + len(b))
    found = set()
    for own, others in ((a, b), (b, a)):
        centre = list(others.values())
        for seed, value in own.items():
            rest = [one for name, one in own.items() if name != seed]
            freedom = len(centre) + len(rest) - 2
            spread = math.sqrt((_squares(centre) + _squares(rest)) / freedom)
            low, high = prediction_interval(statistics.fmean(centre), spread, len(centre), coverage, freedom)
            if spread and not low <= value <= high:
                found.add(seed)
    return sorted(found)


def next_seed(values: Sequence[float], coverage: float = COVERAGE) -> tuple[float, float]:
    """Where one more seed lies, given some; two at least."""
    return prediction_interval(statistics.fmean(values), statistics.stdev(values), len(values), coverage)


def _squares(values: Sequence[float]) -> float:
    """Sum of squared distances from the mean."""
    return statistics.variance(values) * (len(values) - 1) if len(values) > 1 else 0.0
