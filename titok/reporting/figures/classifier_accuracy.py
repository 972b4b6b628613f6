"""How many reconstructions a held-out classifier still reads as their label, over K."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from titok.reporting.collect import Scores, statistic
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.over_k import TOKENS_AXIS, axis_label, lines_over_k
from titok.reporting.grid import grid_frame
from titok.reporting.style import Drawing, finish, new_axes, outside_legend

if TYPE_CHECKING:
    from titok.config.rows import Grid


def _draw(grid: Grid, sources: Sources) -> Drawing:
    return classifier_accuracy(grid, grid_frame(grid, sources.scores), sources.scores)


def classifier_accuracy(grid: Grid, frame: pd.DataFrame, scores: Scores) -> Drawing:
    """How many reconstructions a held-out classifier still reads, over K, between guessing and real images."""
    figure, (axes,) = new_axes(1, 4.6, 3.3)
    lines_over_k(axes, grid, frame, "classifier_accuracy")
    for metric, name in (("judge_accuracy", "real images"), ("chance_accuracy", "guessing")):
        level = statistic(scores.frame[metric].dropna()) if metric in scores.frame else None
        if level is not None:
            label = f"{name}: {100 * level.mean:.0f} %"
            axes.axhline(100 * level.mean, color="#777777", linewidth=1, linestyle=(0, (1, 2)), label=label)
    finish(axes, "Reconstructions read as their label", TOKENS_AXIS, axis_label("classifier_accuracy", scores))
    outside_legend(figure, axes, 2)
    return Drawing(figure, frame[frame["metric"] == "classifier_accuracy"].reset_index(drop=True))


CLASSIFIER_ACCURACY = Figure(
    "classifier_accuracy",
    "What survives the bottleneck",
    "Share of test reconstructions that a classifier, which no tokenizer trained against, reads as their label.",
    "Line chart of classifier accuracy on reconstructions over the number of latent tokens, one line per size.",
    _draw,
)
