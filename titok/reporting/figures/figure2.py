"""Figure 2 of the paper: quality against speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from titok.reporting.collect import MissingScore, Scores
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.over_k import axis_label
from titok.reporting.labels import place_labels
from titok.reporting.style import Drawing, finish, look, new_axes

if TYPE_CHECKING:
    from titok.config.rows import Row


def _draw(rows: Sequence[Row], sources: Sources) -> Drawing:
    return figure2(rows, sources.scores)


def figure2(rows: Sequence[Row], scores: Scores) -> Drawing:
    """The paper's Figure 2: gFID against sampling speed, labels beside their points."""
    records = [scores.select("generation", generator=row.generator, sampler=row.sampler) for row in rows]
    scores.require_one_protocol(pd.concat(records), scores.name("gfid"), "gfid")
    scores.require_one_protocol(pd.concat(records), "sampling speed", "sampling_images_per_second")
    points = []
    for row, found in zip(rows, records, strict=True):
        quality = scores.statistic(found, "gfid")
        speed = scores.statistic(found, "sampling_images_per_second")
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
    speeds = data[["images_per_second", "speed_low", "speed_high"]].to_numpy()
    # On a busy machine the interval of a mean over sittings may reach below 0; its bar then goes to the axes' edge.
    _speed_ticks(axes, speeds[speeds > 0])
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


FIGURE2 = Figure(
    "figure2",
    "Quality against speed",
    "Generation quality over sampling speed, decoding to pixels included, after the paper's Figure 2. Bars: the "
    "interval (95 %) over sittings or the middle 80 % of the timed batches, and the span of seeds or a single seed's "
    "interval.",
    "Scatter plot of generation FID over images per second, one labelled point per system; see Table 1.",
    _draw,
)
