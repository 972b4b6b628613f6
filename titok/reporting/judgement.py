"""One judgement of whatever is said about the paper: it agrees, it differs, or it is undecided.

What is said is that a number lies in a region: near the paper's number (within its tolerance), below 0 (a difference, a
slope), above a bound. The number has a 95 % interval (``titok.reporting.estimates``). It *agrees* if the whole interval
lies within the region (for a number near another one these are the two one-sided tests of equivalence), it *differs* if
the whole interval lies outside, and is *undecided* where the interval holds both: then the judgement says how many
repetitions would decide. Fewer than three seeds, numbers that are not finite, and differences as small as rounding
decide nothing.

Two more words are said before there is a number to judge: *not comparable* (protocol, device or architecture are not
the paper's; the judgement says which key, with both values) and *not run* (a score is missing).

Error rates, for values that scatter normally: `agrees` is said of what lies on the region's edge, or beyond, at most
2.5 % of the time, and so is `differs` of what lies within. ``titok.reporting.calibration`` measures both for every kind
of judgement; docs/claims.md shows the table.

Tables, claims, trends and the page's headline ask here, so that a page says one word of one thing.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import ndtri

from titok.reporting.estimates import COUNTED, COVERAGE, MIN_SEEDS, ROUNDING, Basis, Estimate

Word = Literal["agrees", "differs", "undecided", "not comparable", "not run"]
DECIDED: frozenset[Word] = frozenset({"agrees", "differs"})
MOST_REPEATS = 1000
"""Nobody trains more; needs beyond are not told apart."""
CERTAIN = 1e9
"""The clarity of what no repetition changes."""
_NOUNS: dict[Basis, tuple[str, str]] = {
    "seeds": ("seed", "seeds"),
    "sittings": ("sitting", "sittings"),
    "images": ("set of images", "sets of images"),
    "nothing": ("measurement", "measurements"),
}
_RANK: dict[Word, int] = {"differs": 0, "not comparable": 1, "not run": 2, "undecided": 3, "agrees": 4}


@dataclass(frozen=True)
class Judgement:
    """What became of something said, and by how much.

    Attributes:
        value, low, high: what was found and its interval; null where there is none.
        seeds: how many there are; null where the matter knows none.
        because: what would decide it, what differs from the paper's protocol, or which part speaks against it.
        unit: behind the numbers.
        clarity: distance from the region's edge in half widths of the interval, positive inside.
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
    """That a number lies between two bounds; as it stands, below 0.

    Attributes:
        contradiction: what to say where it does not.
        factor: the number is a logarithm to base 2, and is shown as the factor it stands for.
    """

    estimate: Estimate
    low: float = -math.inf
    high: float = 0.0
    contradiction: str = ""
    unit: str = ""
    factor: bool = False

    @classmethod
    def near(cls, estimate: Estimate, expected: float, tolerance: float) -> Statement:
        """That a number is the expected one, give or take the tolerance; the bounds themselves still count."""
        reach = tolerance + ROUNDING * max(abs(expected), tolerance)
        return cls(estimate, expected - reach, expected + reach)

    @property
    def margin(self) -> float:
        """Distance from the nearer bound, positive inside."""
        return min(self.estimate.value - self.low, self.high - self.estimate.value)

    def clarity(self, coverage: float = COVERAGE) -> float:
        """Above 1: the interval lies within the bounds; below -1: outside; NaN: there is no interval."""
        if not self.estimate.is_known or math.isnan(self.margin):
            return math.nan
        half = self.estimate.half_width(coverage)
        return self.margin / half if half > 0 else math.copysign(math.inf, self.margin) if self.margin else 0.0

    def judged(self, word: Word, because: str = "") -> Judgement:
        """A judgement with this statement's numbers."""
        found = self.estimate
        half = found.half_width() if found.is_known and found.basis != "nothing" else math.nan
        half = 0.0 if half == found.rounding else half  # of no error; what rounding may do is no interval to be shown
        value, low, high = (self._shown(found.value + end) for end in (0.0, -half, half))
        clarity = self.clarity()
        clarity = clarity if math.isfinite(clarity) else 0.0 if math.isnan(clarity) else math.copysign(CERTAIN, clarity)
        seeds = found.repeats if found.basis == "seeds" else None
        return Judgement(word, value, low, high, seeds, because, self.unit, clarity)

    def _shown(self, value: float) -> float | None:
        if not math.isfinite(value):
            return None
        return 2.0**value if self.factor else value


def judge(statement: Statement, guards: Sequence[Statement] = (), family: int = 1) -> Judgement:
    """What becomes of a statement.

    Args:
        guards: what must not be contradicted either; they need not be shown by themselves. A curve that falls on the
            whole, but rises at its end beyond doubt, does not fall.
        family: how many such statements are made together, of which one that differs contradicts them all (sizes).
            Differing takes the stronger evidence (Bonferroni) that keeps the error rate of them all; agreeing does
            not, because all of them must agree.
    """
    parts = [statement, *guards]
    strict = 1 - (1 - COVERAGE) / (family * len(parts))
    against = [part for part in parts if part.clarity(strict) < -1]
    if against:
        worst = min(against, key=lambda part: part.clarity(strict))
        return worst.judged("differs", worst.contradiction)
    unknown = [part for part in parts if math.isnan(part.clarity())]
    if unknown:
        return statement.judged("undecided", _unknown(unknown[0].estimate))
    return statement.judged("agrees") if statement.clarity() > 1 else statement.judged("undecided", _needed(statement))


def _unknown(found: Estimate) -> str:
    if found.basis in COUNTED and found.repeats < MIN_SEEDS:
        return f"{found.repeats} {_NOUNS[found.basis][found.repeats != 1]}; at least {MIN_SEEDS} are needed"
    return "a number is not finite" if not math.isfinite(found.value) else "no interval is known"


def _needed(statement: Statement) -> str:
    """How many repetitions would decide, if mean and spread stayed as they are."""
    found, distance = statement.estimate, abs(statement.margin)
    singular, plural = _NOUNS[found.basis]
    have = f"{found.repeats} {singular if found.repeats == 1 else plural}"
    verb = "does" if found.repeats == 1 else "do"
    if distance <= found.rounding:
        edge = "no difference" if math.isinf(statement.low) or math.isinf(statement.high) else "the tolerance's edge"
        return f"{have} show{'s' * (found.repeats == 1)} {edge}"
    counts = range(found.repeats + 1, MOST_REPEATS + 1)
    place = bisect.bisect_left(counts, True, key=lambda count: found.half_width(repeats=count) < distance)
    scatter = float(ndtri(0.5 + COVERAGE / 2)) * found.spread
    if place == len(counts) and found.others and scatter >= distance:
        return (
            f"{have} {verb} not tell, and no number would: the paper's is one {singular}, which scatters by "
            f"± {scatter:.2g}"
        )
    wanted = f"about {counts[place]}" if place < len(counts) else f"more than {MOST_REPEATS}"
    return f"{have} {verb} not tell; {wanted} would, if mean and spread stay"


def reaches(found: float, needed: float) -> bool:
    """Whether a number reaches a threshold; a miss in the last digits is none, and NaN reaches nothing."""
    return found >= needed - ROUNDING * max(abs(needed), 1.0)


def truth(holds: bool) -> Judgement:
    """Of numbers that no repetition changes."""
    return Judgement("agrees" if holds else "differs", clarity=CERTAIN if holds else -CERTAIN)


def all_of(parts: Sequence[Judgement]) -> Judgement:
    """Agrees if all do, differs if one does; shows the part that decides, or the least clear one.

    Raises:
        ValueError: there are none; nothing is shown by nothing.
    """
    if not parts:
        raise ValueError("a judgement of no parts says nothing; give at least one")
    weakest = min(parts, key=lambda part: (_RANK[part.word], part.clarity))
    counts = [part.seeds for part in parts if part.seeds is not None]
    return replace(weakest, seeds=min(counts) if counts else None)


def any_of(parts: Sequence[Judgement]) -> Judgement:
    """Agrees if one does, differs if all do."""
    return max(parts, key=lambda part: (_RANK[part.word], part.clarity))


def shown(found: Judgement) -> str:
    """The numbers behind a judgement: `-1.2 [-1.9, -0.5]`."""
    if found.value is None:
        return ""
    interval = "" if found.low is None or found.high is None else f" [{found.low:.3g}, {found.high:.3g}]"
    return f"{found.value:.3g}{interval}{f' {found.unit}' if found.unit else ''}"
