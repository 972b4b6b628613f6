"""One judgement of whatever is said about numbers that seeds repeat: it holds, it is contradicted, or it is undecided.

A statement is that a combination of means over seeds (a difference, a slope) lies on one side of a bound. Its interval
is Student's, 95 %: of the combination seed by seed where at least three seeds have all its parts, else by Welch and
Satterthwaite. It holds if the whole interval lies on that side, and is contradicted if the whole interval lies on the
other one.

Error rates, for values that scatter normally: where the truth is the bound itself (no difference), `holds` is said
2.5 % of the time, and where the truth contradicts the statement, less. The same is true of `contradicted`, all parts of
a statement together. ``tests/reporting/test_judgement.py`` measures both, and how often a true difference is found:
with five paired seeds, one of two standard deviations of the differences in 9 cases of 10. Fewer than three seeds,
numbers that are not finite, and differences as small as rounding decide nothing.

Everything on a page that says whether something holds (headline, trends, claims) asks here, so that it says one word.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import stdtrit

Word = Literal["holds", "contradicted", "undecided"]
Seeds = Mapping[int, float]
"""Seed -> the number that it gave."""

COVERAGE = 0.95
MIN_SEEDS = 3
"""Of two seeds, one pair in twelve shows less than a tenth of the true spread."""
MOST_SEEDS = 1000
"""Nobody trains more; needs beyond are not told apart."""
ROUNDING = 1e-9
"""Share of the numbers' size below which a difference is that of their last digits."""


@dataclass(frozen=True)
class Estimate:
    """A combination of means over seeds.

    Attributes:
        value: NaN where a part is not finite.
        error: its standard error.
        freedom: degrees of freedom of the error.
        seeds: behind it; of groups that share none, those of the smallest.
        rounding: how far the arithmetic alone may be off.
    """

    value: float
    error: float
    freedom: float
    seeds: int
    rounding: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return self.seeds >= MIN_SEEDS and math.isfinite(self.value) and math.isfinite(self.error)

    def half_width(self, coverage: float = COVERAGE) -> float:
        """Of the interval; at least what rounding may do."""
        return max(float(stdtrit(self.freedom, 0.5 + coverage / 2)) * self.error, self.rounding)


@dataclass(frozen=True)
class Judgement:
    """What became of a statement, and by how much.

    Attributes:
        value, low, high: what was found and its interval; null where there is none.
        seeds: how many there are; null where the matter knows none.
        because: what is missing for a decision, or which part contradicts.
        unit: behind the numbers.
        clarity: distance from the bound in half widths of the interval, positive on the side claimed.
    """

    word: Word
    value: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int | None = None
    because: str = ""
    unit: str = ""
    clarity: float = 0.0


@dataclass(frozen=True)
class Statement:
    """That a number known from seeds lies below (or above) a bound.

    Attributes:
        contradiction: what to say where it is the other way round.
        factor: the number is a logarithm to base 2, and is shown as the factor it stands for.
    """

    estimate: Estimate
    side: Literal["below", "above"] = "below"
    bound: float = 0.0
    contradiction: str = ""
    unit: str = ""
    factor: bool = False

    def clarity(self, coverage: float = COVERAGE) -> float:
        """Above 1: the interval lies on the side claimed; below -1: on the other; NaN: there is no interval."""
        if not self.estimate.is_known:
            return math.nan
        distance = self.estimate.value - self.bound
        distance = -distance if self.side == "below" else distance
        half = self.estimate.half_width(coverage)
        return distance / half if half > 0 else math.copysign(math.inf, distance) if distance else 0.0

    def judged(self, word: Word, because: str = "") -> Judgement:
        """A judgement with this statement's numbers."""
        found = self.estimate
        half = found.half_width() if found.is_known else math.nan
        value, low, high = (self._shown(found.value + end) for end in (0.0, -half, half))
        clarity = self.clarity()
        clarity = clarity if math.isfinite(clarity) else 0.0 if math.isnan(clarity) else math.copysign(1e9, clarity)
        return Judgement(word, value, low, high, found.seeds, because, self.unit, clarity)

    def _shown(self, value: float) -> float | None:
        if not math.isfinite(value):
            return None
        return 2.0**value if self.factor else value


def combine(groups: Sequence[Seeds], weights: Sequence[float]) -> Estimate:
    """Sum of ``weights`` times the groups' means: paired by seed where three seeds are in all groups, else Welch's."""
    common = set.intersection(*(set(group) for group in groups))
    fewest = min(len(group) for group in groups)
    if len(common) >= MIN_SEEDS or (common and fewest < MIN_SEEDS):
        return paired(groups, weights)
    return unpaired(groups, weights)


def paired(groups: Sequence[Seeds], weights: Sequence[float]) -> Estimate:
    """The combination seed by seed, of the seeds that all groups have; they have one at least."""
    common = sorted(set.intersection(*(set(group) for group in groups)))
    each = [sum(w * group[seed] for group, w in zip(groups, weights, strict=True)) for seed in common]
    value, variance = _moments(each)
    error = math.sqrt(variance / len(each))
    return Estimate(value, error, max(len(each) - 1, 1), len(each), _rounding(groups, weights))


def unpaired(groups: Sequence[Seeds], weights: Sequence[float]) -> Estimate:
    """The combination of groups that need not share seeds, by Welch and Satterthwaite."""
    rounding = _rounding(groups, weights)
    fewest = min(len(group) for group in groups)
    if fewest == 0:
        return Estimate(math.nan, math.nan, 1, 0, rounding)
    moments = [_moments(list(group.values())) for group in groups]
    value = sum(weight * mean for (mean, _), weight in zip(moments, weights, strict=True))
    parts = [w * w * var / len(g) for (_, var), w, g in zip(moments, weights, groups, strict=True)]
    spread = sum(part * part / max(len(group) - 1, 1) for part, group in zip(parts, groups, strict=True))
    freedom = sum(parts) ** 2 / spread if spread > 0 else fewest - 1
    return Estimate(value, math.sqrt(sum(parts)), max(freedom, 1), fewest, rounding)


def prediction_interval(
    mean: float, std: float, seeds: int, coverage: float = COVERAGE, freedom: int | None = None
) -> tuple[float, float]:
    """Where one more seed lies, given some: two at least, of this mean and standard deviation.

    ``freedom`` are the deviation's degrees of freedom where more than these seeds gave it.
    """
    degrees = seeds - 1 if freedom is None else freedom
    half = float(stdtrit(degrees, 0.5 + coverage / 2)) * std * math.sqrt(1 + 1 / seeds)
    return mean - half, mean + half


def _rounding(groups: Sequence[Seeds], weights: Sequence[float]) -> float:
    sizes = [abs(weight * value) for group, weight in zip(groups, weights, strict=True) for value in group.values()]
    return ROUNDING * max(sizes, default=0.0)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample variance; NaN where a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)


def judge(statement: Statement, guards: Sequence[Statement] = (), family: int = 1) -> Judgement:
    """Whether a statement holds.

    Args:
        guards: what must not be contradicted either; they need not be shown by themselves. A curve that falls on the
            whole, but rises at its end beyond doubt, does not fall.
        family: how many such statements are made together, of which one contradicted contradicts them all (sizes).
            Contradicting takes the stronger evidence (Bonferroni) that keeps the error rate of them all; holding does
            not, because all of them must hold.
    """
    parts = [statement, *guards]
    strict = 1 - (1 - COVERAGE) / (family * len(parts))
    against = [part for part in parts if part.clarity(strict) < -1]
    if against:
        worst = min(against, key=lambda part: part.clarity(strict))
        return worst.judged("contradicted", worst.contradiction)
    if not all(part.estimate.is_known for part in parts):
        unknown = next(part for part in parts if not part.estimate.is_known)
        return statement.judged("undecided", _unknown(unknown.estimate))
    return statement.judged("holds") if statement.clarity() > 1 else statement.judged("undecided", _needed(statement))


def _unknown(found: Estimate) -> str:
    if found.seeds < MIN_SEEDS:
        return f"{found.seeds} seed{'s' * (found.seeds != 1)}; at least {MIN_SEEDS} are needed"
    return "a number is not finite"


def _needed(statement: Statement) -> str:
    """How many seeds would decide, if mean and spread stayed as they are."""
    found = statement.estimate
    distance = abs(found.value - statement.bound)
    if distance <= found.rounding:
        return f"{found.seeds} seeds show no difference"
    counts = range(found.seeds + 1, MOST_SEEDS + 1)
    spread = found.error * math.sqrt(found.seeds)

    def is_enough(count: int) -> bool:
        return float(stdtrit(count - 1, 0.5 + COVERAGE / 2)) * spread / math.sqrt(count) < distance

    place = bisect.bisect_left(counts, True, key=is_enough)
    wanted = f"about {counts[place]}" if place < len(counts) else f"more than {MOST_SEEDS}"
    return f"{found.seeds} seeds do not tell; {wanted} would, if mean and spread stay"


def truth(holds: bool) -> Judgement:
    """Of numbers that no seed changes."""
    return Judgement("holds" if holds else "contradicted", clarity=1e9 if holds else -1e9)


def all_of(parts: Sequence[Judgement]) -> Judgement:
    """Holds if all do, is contradicted if one is; shows the part that decides, or the least clear one.

    Raises:
        ValueError: there are none; nothing is shown by nothing.
    """
    if not parts:
        raise ValueError("a judgement of no parts says nothing; give at least one")
    rank = {"contradicted": 0, "undecided": 1, "holds": 2}
    weakest = min(parts, key=lambda part: (rank[part.word], part.clarity))
    counts = [part.seeds for part in parts if part.seeds is not None]
    return replace(weakest, seeds=min(counts) if counts else None)


def any_of(parts: Sequence[Judgement]) -> Judgement:
    """Holds if one does, is contradicted if all are."""
    rank = {"contradicted": 0, "undecided": 1, "holds": 2}
    return max(parts, key=lambda part: (rank[part.word], part.clarity))


def shown(found: Judgement) -> str:
    """The numbers behind a judgement: `-1.2 [-1.9, -0.5]`."""
    if found.value is None:
        return ""
    interval = "" if found.low is None or found.high is None else f" [{found.low:.3g}, {found.high:.3g}]"
    return f"{found.value:.3g}{interval}{f' {found.unit}' if found.unit else ''}"
