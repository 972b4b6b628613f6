"""Distances at infinite N: shown only where they are sound.

The line behind one goes through distances of subsets, the smallest a tenth of the images. With fewer than ten images
per feature that would have no full rank, so that the smallest subset is larger: such a record's line is too short, and
its value may lie below the truth by more than the truth itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from titok.reporting.collect import Scores

ENDING = "_infinity"
"""Of the metrics' names."""


def is_sound(scores: Scores, records: pd.DataFrame, metric: str) -> bool:
    """Whether a number may be shown: another metric always, one at infinite N with ten images per feature."""
    if not metric.endswith(ENDING):
        return True
    for identifier in records["protocol_id"].unique():
        protocol = scores.protocols[identifier]
        sizes, count = protocol.get("at_infinite_n.sizes"), protocol.get("num_images", 0)
        if sizes and min(sizes) > count // 10:
            return False
    return True
