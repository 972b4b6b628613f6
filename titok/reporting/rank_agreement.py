"""Whether two rows of numbers order the same things alike: Spearman's correlation, an interval, and chance beside it.

The interval is a percentile bootstrap that draws things, pairs together, so that it knows chance among such things and
not other seeds of the same ones. A perfect order is perfect in every draw, however few there are: beside it stands how
often an order by chance agrees, or disagrees, as much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from titok.reporting.estimates import COVERAGE
from titok.runtime.ranks import rank_correlations

FEWEST = 4
"""Things of a correlation: of three pairs, one of six orders is perfect by chance."""
RESAMPLES = 10_000
SEED = 0


class RankCorrelation(NamedTuple):
    """Spearman's, with its bootstrap interval."""

    value: float
    low: float
    high: float
    by_chance: float
    """Share of random orders whose correlation is as far from 0, at least."""
    pairs: int


def spearman(first: np.ndarray, second: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> RankCorrelation:
    """Correlation of the ranks of two rows of numbers (N,); ties share their mean rank.

    Draws without two different values on either side have no correlation and are left out of the interval; NaN where
    the numbers themselves have none.
    """
    count, draws = len(first), np.random.default_rng(seed)
    drawn = draws.integers(0, count, (resamples, count))
    found = rank_correlations(first[drawn], second[drawn])
    tails = [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]
    kept = found[np.isfinite(found)]
    low, high = np.quantile(kept, tails) if len(kept) else (np.nan, np.nan)
    value = float(rank_correlations(first[None], second[None])[0])
    orders = draws.permuted(np.tile(np.arange(count), (resamples, 1)), axis=1)
    shuffled = rank_correlations(np.tile(first, (resamples, 1)), second[orders])
    by_chance = float((np.abs(shuffled) >= abs(value) - 1e-12).mean()) if np.isfinite(value) else np.nan
    return RankCorrelation(value, float(low), float(high), by_chance, count)
