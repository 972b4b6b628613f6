"""Lines over the number of latent tokens, which several figures of the grid are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes

from titok.records.metric import described
from titok.reporting.cells import heading
from titok.reporting.collect import Scores
from titok.reporting.grid import curve, size_name
from titok.reporting.style import look

if TYPE_CHECKING:
    from titok.config.rows import Grid

TOKENS_AXIS = "latent tokens K"


def lines_over_k(axes: Axes, grid: Grid, frame: pd.DataFrame, metric: str) -> None:
    """One line per size over K on a log2 axis; the band is the seeds' span or a single seed's interval."""
    scale = 100 if described(metric).in_percent else 1
    for index, size in enumerate(grid.sizes):
        values = curve(frame, metric, size)
        style = look(index)
        axes.plot(
            values["k"],
            scale * values["mean"],
            color=style.color,
            marker=style.marker,
            linestyle=style.line,
            label=size_name(size),
        )
        low, high = scale * values["low"].astype(float), scale * values["high"].astype(float)
        axes.fill_between(values["k"], low, high, color=style.color, alpha=0.18, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(grid.tokens), [str(k) if _has_room(k, grid.tokens) else "" for k in grid.tokens])
    axes.set_xticks([], minor=True)


def _has_room(k: int, tokens: Sequence[int]) -> bool:
    """Labels of Ks nearer than half a doubling run into each other: powers of two keep theirs."""
    return k & (k - 1) == 0 or all(other == k or abs(math.log2(other / k)) > 0.5 for other in tokens)


def axis_label(metric: str, scores: Scores) -> str:
    """The records' name of a metric with its unit, without the arrow."""
    text = heading(metric, scores.label(metric)).rstrip(" ↓↑")
    return f"{text} (images/s)" if metric.endswith("images_per_second") and "/s" not in text else text
