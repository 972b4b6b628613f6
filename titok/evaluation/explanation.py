"""Which known way of scoring comes nearest to a number that somebody got."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from titok.evaluation.mistakes import MISTAKES, Mistake
from titok.evaluation.waterfall import Row
from titok.metrics.extrapolation import Extrapolation

CLOSE = 0.9
"""Share of the gap that a change must account for to be believed."""


@dataclass(frozen=True)
class Explanation:
    """One candidate."""

    name: str
    """Of the row; `official` if nothing was done otherwise."""
    value: float
    explained: float
    """Share of the gap between the official number and theirs that it accounts for; below 0: it leads away."""
    images: int | None = None
    """For `too few images`: how many would give their number."""

    @property
    def mistake(self) -> Mistake | None:
        """What is known about it."""
        return MISTAKES.get(self.name.partition(":")[0])


def explain(rows: Sequence[Row], metric: str, number: float, line: Extrapolation | None) -> list[Explanation]:
    """The ways to get ``number``, likeliest first; the first row must be the official one."""
    official = rows[0].metrics[metric]
    gap = abs(number - official)
    found = [
        Explanation(row.name, row.metrics[metric], 1 - abs(number - row.metrics[metric]) / gap if gap else 0.0)
        for row in rows
        if metric in row.metrics
    ]
    if metric == "fid" and line is not None and line.slope > 0 and number > official:
        images = line.slope / (number - line.value)
        if math.isfinite(images) and line.sizes[0] / 2 <= images < line.sizes[-1]:
            found.append(Explanation("too few images", number, 1.0, round(images)))
    # A change as it stands is likelier than a number of images that was chosen to fit.
    return sorted(found, key=lambda one: CLOSE if one.images else one.explained, reverse=True)
