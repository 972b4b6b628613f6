"""How much of their codebooks the grid's tokenizers use, over K."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from titok.records.metric import METRICS
from titok.reporting.collect import Scores
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.over_k import TOKENS_AXIS, axis_label, lines_over_k
from titok.reporting.grid import grid_frame
from titok.reporting.style import Drawing, finish, new_axes, outside_legend

if TYPE_CHECKING:
    from titok.config.rows import Grid


def _draw(grid: Grid, sources: Sources) -> Drawing:
    return codebook(grid, grid_frame(grid, sources.scores), sources.scores)


def codebook(grid: Grid, frame: pd.DataFrame, scores: Scores) -> Drawing:
    """Codebook use over K: the share of codes used at all, and how many are used evenly (perplexity)."""
    figure, axes = new_axes(2, 6.4, 2.9)
    for panel, metric in zip(axes, ("codebook_usage", "codebook_perplexity"), strict=True):
        lines_over_k(panel, grid, frame, metric)
        panel.set_ylim(bottom=0)
        finish(panel, METRICS[metric].label.capitalize(), TOKENS_AXIS, axis_label(metric, scores))
    outside_legend(figure, axes[0], len(grid.sizes))
    data = frame[frame["metric"].isin(["codebook_usage", "codebook_perplexity"])]
    return Drawing(figure, data.reset_index(drop=True))


CODEBOOK = Figure(
    "codebook",
    "Codebook use",
    "Share of codes that occur on the test images, and perplexity: as how many evenly used codes they count.",
    "Two line charts over the number of latent tokens: codebook usage and perplexity, one line per size.",
    _draw,
)
