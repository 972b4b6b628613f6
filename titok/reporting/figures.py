"""The figures: Figure 4 (four panels over K), Figure 2 (quality against speed), codebook use; and who draws others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from titok.reporting.bits import rates
from titok.reporting.cells import DISPLAYS, heading
from titok.reporting.collect import MissingScore, Scores, read_scores, statistic
from titok.reporting.curves import training_curves
from titok.reporting.grid import PANELS, curve, grid_frame, paper_points, size_name
from titok.reporting.labels import place_labels
from titok.reporting.length_figures import quality_against_tokens
from titok.reporting.paper import Paper, read_paper
from titok.reporting.rank_agreement import rfid_against_gfid
from titok.reporting.style import INK, Drawing, figure_style, finish, look, new_axes, outside_legend, save

if TYPE_CHECKING:
    from titok.config.reporting import FigureName, Reporting
    from titok.config.rows import Grid, Row

TOKENS_AXIS = "latent tokens K"
PAPER_GREY = "#aaaaaa"

GRID_FIGURES = ("figure4", "rfid_against_gfid", "classifier_accuracy", "codebook")

TITLES = {
    "rfid": "Reconstruction",
    "linear_probe_top1": "Linear probing",
    "gfid": "Generation",
    "sampling_images_per_second": "Sampling speed",
}
"""What Figure 4's panels show; the axes name the measure."""


def make_figure(
    name: FigureName,
    reporting: Reporting,
    prefix: str | Path,
    *,
    score_files: Iterable[str | Path] = (),
    log_files: Iterable[str | Path] = (),
    paper_file: str | Path = "config/paper.csv",
) -> list[Path]:
    """Draws one figure from score records or metrics logs; writes ``{prefix}.svg``, ``.png`` and ``.csv``.

    Args:
        name: `figure4`, `figure2`, `rfid_against_gfid`, `rates`, `classifier_accuracy`, `codebook`,
            `quality_against_tokens` or `training_curves`; the image grids are in ``titok.reporting.pictures``.

    Raises:
        MissingScore: the study does not ask for the figure, or a score it shows is not among the files.
    """
    if name not in reporting.figure_names:
        wanted = ", ".join(reporting.figure_names) or "none"
        raise MissingScore(f"the study asks for no figure {name!r}; it has: {wanted}; add it to the study's reporting")
    with figure_style():
        if name == "training_curves":
            drawing = training_curves(reporting.figures.training_curves, list(map(Path, log_files)))
        elif name == "rates" and reporting.figures.rates:
            drawing = rates(reporting.figures.rates, read_scores(score_files))
        elif name == "figure2":
            drawing = figure2(reporting.figures.figure2, read_scores(score_files))
        elif name == "quality_against_tokens":
            drawing = quality_against_tokens(reporting.tables.rows("adaptive_length"), read_scores(score_files))
        else:
            drawing = _grid_figure(name, reporting, read_scores(score_files), paper_file)
    return save(drawing, prefix, reporting.figure_dpi)


def _grid_figure(name: FigureName, reporting: Reporting, scores: Scores, paper_file: str | Path) -> Drawing:
    grid = reporting.tables.table4
    if grid is None or name not in GRID_FIGURES:
        raise MissingScore(f"{name!r} is no figure of the token-count grid; allowed: {', '.join(GRID_FIGURES)}")
    if name == "rfid_against_gfid":
        return rfid_against_gfid(grid, scores)
    frame = grid_frame(grid, scores)
    if name == "figure4":
        return figure4(grid, frame, scores, read_paper(paper_file) if grid.paper_points else None)
    if name == "codebook":
        return codebook(grid, frame, scores)
    return classifier_accuracy(grid, frame, scores)


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


def codebook(grid: Grid, frame: pd.DataFrame, scores: Scores) -> Drawing:
    """Codebook use over K: the share of codes used at all, and how many are used evenly (perplexity)."""
    figure, axes = new_axes(2, 6.4, 2.9)
    for panel, metric in zip(axes, ("codebook_usage", "codebook_perplexity"), strict=True):
        lines_over_k(panel, grid, frame, metric)
        panel.set_ylim(bottom=0)
        finish(panel, DISPLAYS[metric].name.capitalize(), TOKENS_AXIS, axis_label(metric, scores))
    outside_legend(figure, axes[0], len(grid.sizes))
    data = frame[frame["metric"].isin(["codebook_usage", "codebook_perplexity"])]
    return Drawing(figure, data.reset_index(drop=True))


def _log_if_wide(axes: Axes, values: pd.Series) -> None:
    """A logarithmic axis where values span more than a decade; the small ones would lie on one line otherwise."""
    if values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")


def lines_over_k(axes: Axes, grid: Grid, frame: pd.DataFrame, metric: str) -> None:
    """One line per size over K on a log2 axis; the band is the seeds' span or a single seed's interval."""
    scale = 100 if DISPLAYS[metric].is_share else 1
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


def figure2(rows: Sequence[Row], scores: Scores) -> Drawing:
    """The paper's Figure 2: gFID against sampling speed, labels beside their points."""
    records = [scores.select("generation", generator=row.generator, sampler=row.sampler) for row in rows]
    scores.require_one_protocol(pd.concat(records), scores.label("gfid").label, "gfid")
    scores.require_one_protocol(pd.concat(records), "sampling speed", "sampling_images_per_second")
    points = []
    for row, found in zip(rows, records, strict=True):
        quality = scores.statistic(found, "gfid")
        # Seeds share a speed that was measured apart from their samples, and its interval.
        apart = "speed_protocol_id" in found and found["speed_protocol_id"].notna().all()
        speed = scores.statistic(found.iloc[:1] if apart else found, "sampling_images_per_second")
        if quality is None or speed is None:
            raise MissingScore(
                f"{found['file'].iloc[0]}: figure2 needs gfid and sampling_images_per_second; score it again"
            )
        ends = dict(zip(("speed_low", "speed_high", "gfid_low", "gfid_high"), speed.span + quality.span, strict=True))
        means = {"images_per_second": speed.mean, "gfid": quality.mean}
        points.append({"label": row.label, **means, "seeds": quality.n, **ends})
    data = pd.DataFrame(points)
    figure, (axes,) = new_axes(1, 5.6, 3.8)
    for index, point in data.iterrows():
        style = look(int(str(index)))
        at = (point["images_per_second"], point["gfid"])
        axes.plot(*at, color=style.color, marker=style.marker, markersize=8)
        axes.hlines(at[1], point["speed_low"], point["speed_high"], color=style.color, linewidth=1.2)
        axes.vlines(at[0], point["gfid_low"], point["gfid_high"], color=style.color, linewidth=1.2)
    axes.set_xscale("log")
    _speed_ticks(axes, data[["speed_low", "speed_high"]].to_numpy())
    axes.margins(x=0.18, y=0.18)
    finish(axes, "Quality against speed (better: lower right)", "sampling speed (images/s)", axis_label("gfid", scores))
    place_labels(axes, data["images_per_second"].to_numpy(), data["gfid"].to_numpy(), list(data["label"]))
    return Drawing(figure, data)


def _speed_ticks(axes: Axes, speeds: np.ndarray) -> None:
    """Plain numbers at 1, 2, 5 of every decade: a narrow log axis otherwise has one tick or unreadable powers."""
    low, high = np.floor(np.log10(speeds.min())) - 1, np.ceil(np.log10(speeds.max())) + 1
    ticks = [digit * 10.0**power for power in np.arange(low, high + 1) for digit in (1, 2, 5)]
    axes.set_xticks(ticks, [f"{tick:,.10g}".replace(",", " ") for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(speeds.min() / 1.3, speeds.max() * 1.3)
