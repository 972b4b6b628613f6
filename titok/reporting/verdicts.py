"""What a number of ours says about the paper's: verified, within the prediction interval, or outside.

Statements (that something is lower, or falls) are judged by ``titok.reporting.judgement`` and have its words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from titok.reporting.collect import Statistic
from titok.reporting.judgement import ROUNDING, Word, prediction_interval
from titok.reporting.paper import PaperValue
from titok.reporting.quantity import Quantity

Verdict = (
    Word | Literal["verified", "within the prediction interval", "outside", "undecided", "not run", "not checkable"]
)


@dataclass(frozen=True)
class Difference:
    """Ours minus the paper's, and what it means."""

    value: float
    verdict: Verdict


def prediction(found: Statistic) -> Quantity:
    """A mean over seeds with the interval in which one more seed would lie; for one seed, that of other images."""
    if found.n > 1:
        return Quantity(found.mean, *prediction_interval(found.mean, found.std, found.n))
    if found.interval is not None:
        return Quantity(found.mean, found.interval.low, found.interval.high)
    return Quantity.exactly(found.mean)


def compare(found: Quantity, expected: float, tolerance: float) -> Verdict:
    """``tolerance``: how far the number may be from what is expected and still count as the same."""
    if not (math.isfinite(found.value) and math.isfinite(expected)):
        return "undecided"
    if abs(found.value - expected) <= tolerance + ROUNDING * abs(expected):
        return "verified"
    return "within the prediction interval" if found.low <= expected <= found.high else "outside"


def difference(ours: Statistic | None, theirs: PaperValue | None, tolerance: float) -> Difference | None:
    """Of a number here and in the paper; None where one is missing, and where nobody is sure of the paper's.

    ``tolerance``: as a share of the paper's number.
    """
    if ours is None or theirs is None or not theirs.is_sure:
        return None
    verdict = compare(prediction(ours), theirs.value, tolerance * abs(theirs.value))
    return Difference(ours.mean - theirs.value, verdict)
