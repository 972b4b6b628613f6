"""Numbers that repetition would change, and by how much: over seeds, over sets of images, over sittings of a clock.

An estimate is a mean of repetitions. Held against a number that is itself one repetition (the paper's is one training,
one set of samples), its error has both parts: the mean's own, and that of one more repetition. Intervals are Student's,
95 %; of images the spread is known from thousands of parts, and the interval is the normal one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import ndtri, stdtrit

Seeds = Mapping[int, float]
"""Seed -> the number that it gave."""
Basis = Literal["seeds", "sittings", "images", "nothing"]
"""What is repeated; nothing where a repetition gives the very same number."""


@dataclass(frozen=True)
class BootstrapInterval:
    """Where a number would lie with other images of the same kind, or a speed with other batches or sittings,
    `coverage` of the time."""

    low: float
    high: float
    coverage: float
    over: Literal["images", "batches", "sittings"] = "images"


class Sittings(dict[int, float]):
    """Sitting -> the speed that it gave: repetitions as seeds are, of the measurement and not of the training."""


def each(function: Callable[..., float], *groups: Seeds) -> Seeds:
    """What a function of the groups' numbers is in every repetition that all of them have."""
    shared = [place for place in groups[0] if all(place in group for group in groups[1:])]
    found = {place: function(*(group[place] for group in groups)) for place in shared}
    return Sittings(found) if all(isinstance(group, Sittings) for group in groups) else found


COVERAGE = 0.95
COUNTED: tuple[Basis, ...] = ("seeds", "sittings")
"""Repetitions whose spread is known from their number alone."""
MIN_SEEDS = 3
"""Of two seeds (or sittings), one pair in twelve shows less than a tenth of the true spread."""
ROUNDING = 1e-9
"""Share of the numbers' size below which a difference is that of their last digits."""


@dataclass(frozen=True)
class Estimate:
    """A number, or a combination of numbers, known from repetitions.

    Attributes:
        value: the mean; NaN where a part is not finite.
        error: its standard error.
        freedom: degrees of freedom of the error; infinite where the spread is known.
        repeats: how many repetitions there are; of groups that share no seed, those of the smallest.
        basis: what is repeated.
        others: how many single repetitions the mean is held against: 1 for the paper's number, 0 for a bound.
        rounding: how far the arithmetic alone may be off.
    """

    value: float
    error: float
    freedom: float
    repeats: int
    rounding: float = 0.0
    basis: Basis = "seeds"
    others: int = 0

    @classmethod
    def exactly(cls, value: float) -> Estimate:
        """A number that no repetition changes."""
        return cls(float(value), 0.0, math.inf, 1, basis="nothing")

    @classmethod
    def measured(cls, value: float, low: float, high: float, coverage: float, basis: Basis) -> Estimate:
        """A number with an interval of one repetition; the spread is that of the normal distribution behind it."""
        return cls(value, (high - low) / 2 / float(ndtri(0.5 + coverage / 2)), math.inf, 1, basis=basis)

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        enough = self.basis not in COUNTED or self.repeats >= MIN_SEEDS
        return enough and math.isfinite(self.value) and math.isfinite(self.error)

    @property
    def spread(self) -> float:
        """Standard deviation of one repetition."""
        return self.error * math.sqrt(self.repeats)

    def against_one_more(self) -> Estimate:
        """The same, held against a number that is itself one repetition."""
        return replace(self, others=1)

    def logarithm(self) -> Estimate:
        """To base 2, to first order; NaN where there is none."""
        error = self.error / self.value / math.log(2) if self.value else math.nan
        return replace(self, value=log2(self.value), error=error)

    def half_width(self, coverage: float = COVERAGE, repeats: int | None = None) -> float:
        """Of the interval; at least what rounding may do. ``repeats``: as if there were so many (none infinite: 0)."""
        count = self.repeats if repeats is None else repeats
        freedom = self.freedom if repeats is None or math.isinf(self.freedom) else count - 1
        tail = 0.5 + coverage / 2
        quantile = float(ndtri(tail) if math.isinf(freedom) else stdtrit(freedom, tail))
        return max(quantile * self.spread * math.sqrt(1 / count + self.others), self.rounding)


def log2(value: float) -> float:
    """NaN where there is none."""
    return math.log2(value) if math.isfinite(value) and value > 0 else math.nan


def combine(groups: Sequence[Seeds | Estimate], weights: Sequence[float]) -> Estimate:
    """Sum of ``weights`` times the groups' means: paired by seed where three seeds are in all groups, else Welch's.

    Groups without seeds (measured with an interval, or exact) are independent of all others.
    """
    seeded = [group for group in groups if not isinstance(group, Estimate)]
    if len(seeded) < len(groups):
        return _independent([_estimate(group) for group in groups], weights)
    common = set.intersection(*(set(group) for group in seeded))
    fewest = min(len(group) for group in seeded)
    if len(common) >= MIN_SEEDS or (common and fewest < MIN_SEEDS):
        return paired(seeded, weights)
    return unpaired(seeded, weights)


def paired(groups: Sequence[Seeds], weights: Sequence[float]) -> Estimate:
    """The combination seed by seed, of the seeds that all groups have; they have one at least."""
    common = sorted(set.intersection(*(set(group) for group in groups)))
    sums = [sum(w * group[seed] for group, w in zip(groups, weights, strict=True)) for seed in common]
    value, variance = _moments(sums)
    error = math.sqrt(variance / len(sums))
    basis = _basis(groups[0])
    return Estimate(value, error, max(len(sums) - 1, 1), len(sums), _rounding(groups, weights), basis)


def unpaired(groups: Sequence[Seeds], weights: Sequence[float]) -> Estimate:
    """The combination of groups that need not share seeds, by Welch and Satterthwaite."""
    if min(len(group) for group in groups) == 0:
        return Estimate(math.nan, math.nan, 1, 0, _rounding(groups, weights))
    found = _independent([_estimate(group) for group in groups], weights)
    return replace(found, rounding=_rounding(groups, weights))


def prediction_interval(
    mean: float, std: float, seeds: int, coverage: float = COVERAGE, freedom: int | None = None
) -> tuple[float, float]:
    """Where one more seed lies, given some: two at least, of this mean and standard deviation.

    ``freedom`` are the deviation's degrees of freedom where more than these seeds gave it.
    """
    degrees = seeds - 1 if freedom is None else freedom
    half = float(stdtrit(degrees, 0.5 + coverage / 2)) * std * math.sqrt(1 + 1 / seeds)
    return mean - half, mean + half


def _estimate(group: Seeds | Estimate) -> Estimate:
    if isinstance(group, Estimate):
        return group
    if not group:
        return Estimate(math.nan, math.nan, 1, 0)
    value, variance = _moments(list(group.values()))
    rounding = ROUNDING * max(map(abs, group.values()))
    error, basis = math.sqrt(variance / len(group)), _basis(group)
    return Estimate(value, error, max(len(group) - 1, 1), len(group), rounding, basis)


def _basis(group: Seeds) -> Basis:
    return "sittings" if isinstance(group, Sittings) else "seeds"


def _independent(parts: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Welch and Satterthwaite; what is exact has no say in seeds or freedom."""
    value = sum(weight * part.value for part, weight in zip(parts, weights, strict=True))
    shares = [(weight * part.error) ** 2 for part, weight in zip(parts, weights, strict=True)]
    uncertain = [part for part in parts if part.basis != "nothing"]
    if not uncertain:
        return Estimate.exactly(value)
    lost = sum(share * share / part.freedom for share, part in zip(shares, parts, strict=True))
    fewest = min(part.repeats for part in uncertain)
    freedom = sum(shares) ** 2 / lost if lost > 0 else min(part.freedom for part in uncertain)
    counted = [part for part in uncertain if part.basis in COUNTED]
    basis = counted[0].basis if counted else uncertain[0].basis
    repeats = min((part.repeats for part in counted), default=fewest)
    rounding = max(abs(weight) * part.rounding for part, weight in zip(parts, weights, strict=True))
    return Estimate(value, math.sqrt(sum(shares)), max(freedom, 1), repeats, rounding, basis)


def _rounding(groups: Sequence[Seeds], weights: Sequence[float]) -> float:
    sizes = [abs(weight * value) for group, weight in zip(groups, weights, strict=True) for value in group.values()]
    return ROUNDING * max(sizes, default=0.0)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample variance; NaN where a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
