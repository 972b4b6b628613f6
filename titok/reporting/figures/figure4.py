"""Figure 4 of the paper: four panels over the number of latent tokens K."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from titok.reporting.collect import Scores
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.over_k import TOKENS_AXIS, axis_label, lines_over_k
from titok.reporting.grid import PANELS, curve, grid_frame, paper_points
from titok.reporting.paper import Paper
from titok.reporting.style import INK, Drawing, finish, look, new_axes, outside_legend

if TYPE_CHECKING:
    from titok.config.rows import Grid

PAPER_GREY = "#aaaaaa"

TITLES = {
    "rfid": "Reconstruction",
    "linear_probe_top1": "Linear probing",
    "gfid": "Generation",
    "sampling_images_per_second": "Sampling speed",
}
"""What the panels show; the axes name the measure."""


def _draw(grid: Grid, sources: Sources) -> Drawing:
    return figure4(grid, grid_frame(grid, sources.scores), sources.scores, sources.paper if grid.paper_points else None)


def figure4(grid: Grid, frame: pd.DataFrame, scores: Scores, paper: Paper | None = None) -> Drawing:
    """The paper's Figure 4: rFID, linear probe, gFID and sampling speed over K, one line per size.

    With ``paper``, its own points stand behind ours in grey, with the same markers; the data name their source.
    """
    panels = [(metric, letter) for metric, _, letter, _ in PANELS if metric != "training_images_per_second"]
    shown = [(metric, letter) for metric, letter in panels if (frame["metric"] == metric).any()]
    columns = 2 if len(shown) > 1 else 1
    rows = -(-len(shown) // columns)
    figure, axes = new_axes(columns, 3.2 * columns, 2.5 * rows + 0.4, rows)
    theirs, read_beside = [], []
    for panel, (metric, letter) in zip(axes, shown, strict=False):
        if paper is not None:
            theirs.append(_paper_behind(panel, grid, paper, metric))
        lines_over_k(panel, grid, frame, metric)
        if metric == "linear_probe_top1":
            read_beside += _width_beside(panel, grid, frame)
        if metric == "rfid":
            _log_if_wide(panel, frame.loc[frame["metric"] == metric, "mean"])
        finish(panel, f"({letter}) {TITLES[metric]}", TOKENS_AXIS, axis_label(metric, scores))
    for unused in axes[len(shown) :]:
        unused.set_axis_off()
    outside_legend(figure, axes[0], len(grid.sizes) + (paper is not None))
    data = frame[frame["metric"].isin([*(metric for metric, _ in shown), *read_beside])]
    if paper is not None:
        data = pd.concat([data.assign(source="ours"), *theirs])
    return Drawing(figure, data.reset_index(drop=True))


def _width_beside(axes: Axes, grid: Grid, frame: pd.DataFrame) -> list[str]:
    """Draws what a probe reads of the encoder's own width, with hollow markers, and says what is what.

    Returns the metric that is drawn, the mean over tokens where it was read; none where a study reads the bottleneck
    alone.
    """
    measured = set(frame["metric"])
    found = [m for m in ("linear_probe_top1_width_mean", "linear_probe_top1_width_concatenate") if m in measured]
    for metric in found[:1]:
        for index, size in enumerate(grid.sizes):
            values, style = curve(frame, metric, size), look(index)
            axes.plot(
                values["k"], 100 * values["mean"], color=style.color, marker=style.marker, linestyle=style.line,
                markerfacecolor="white", linewidth=0.9,
            )  # fmt: skip
        axes.plot([], [], color=INK, marker="o", linestyle="", label="bottleneck")
        axes.plot([], [], color=INK, marker="o", linestyle="", markerfacecolor="white", label="encoder's width")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[-2:], labels[-2:], fontsize=7)
    return found[:1]


def _paper_behind(axes: Axes, grid: Grid, paper: Paper, metric: str) -> pd.DataFrame:
    """Draws the paper's points of a metric in grey; returns them as lines of the figure's data."""
    points = paper_points(paper, metric)
    markers = {size: look(index).marker for index, size in enumerate(grid.sizes)}
    for number, (size, own) in enumerate(points.groupby("size", sort=False)):
        marker = markers.get(str(size), "x")
        label = "paper" if number == 0 else None
        axes.plot(own["k"], own["mean"], color=PAPER_GREY, marker=marker, linewidth=0.8, zorder=1, label=label)
    return points.assign(metric=metric, source="paper")


def _log_if_wide(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis where values span more than a decade; the small ones would lie on one line otherwise."""
    if values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")


FIGURE4 = Figure(
    "figure4",
    "More tokens, larger models",
    "Reconstruction, linear probe, generation and sampling speed over the number of latent tokens K, after the "
    "paper's Figure 4. Lines are means over seeds; bands span them, or show a single seed's "
    "interval; of speeds, that over sittings. Every size has its own marker and line.",
    "Line charts over the number of latent tokens K, one line per model size; the numbers are in Table 4.",
    _draw,
    leads=True,
)
