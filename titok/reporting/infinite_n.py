"""Distances at infinite N: shown only with their error, which records of sound ones have.

A line that is too short ends below the truth by more than the truth itself, so that none is drawn
(``titok.metrics.extrapolation``). Records of earlier versions have such lines, too, and no error of any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from titok.reporting.collect import Scores

ENDING = "_infinity"
"""Of the metrics' names."""


def is_sound(scores: Scores, records: pd.DataFrame, metric: str) -> bool:
    """Whether a number may be shown: another metric always, one at infinite N where each record has its interval."""
    return not metric.endswith(ENDING) or all((file, metric) in scores.intervals for file in records["file"])
