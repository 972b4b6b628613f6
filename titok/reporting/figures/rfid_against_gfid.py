"""Whether good reconstructions mean good samples: rFID against gFID over the grid, by their ranks.

Spearman's correlation over the grid's places, with its interval and chance (``titok.reporting.rank_agreement``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from titok.reporting.cells import heading
from titok.reporting.collect import MissingScore, Scores
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.grid import cell_records, size_name
from titok.reporting.judgement import COVERAGE
from titok.reporting.labels import place_labels
from titok.reporting.rank_agreement import FEWEST, spearman
from titok.reporting.style import Drawing, finish, look, new_axes, outside_legend

if TYPE_CHECKING:
    from titok.config.rows import Grid


def rfid_against_gfid(grid: Grid, scores: Scores) -> Drawing:
    """A point per place of the grid that has a generator, means over seeds; the correlation in the title and data.

    Raises:
        MissingScore: a score is missing, or fewer than four places have both.
        ScoreError: either was measured in two ways.
    """
    data = pd.DataFrame(list(_places(grid, scores)))
    if len(data) < FEWEST:
        raise MissingScore(
            f"rfid_against_gfid: {len(data)} places of the grid have an rFID and a gFID; a rank correlation takes "
            f"{FEWEST} at least: add generators to reporting.tables.table4, or take the figure out"
        )
    found = spearman(data["rfid"].to_numpy(dtype=float), data["gfid"].to_numpy(dtype=float))
    figure, (axes,) = new_axes(1, 5.2, 3.9)
    _draw(axes, grid, data)
    interval = f"[{found.low:.2f}, {found.high:.2f}]"
    label = f"Spearman {found.value:.2f} {interval}, {found.pairs} places (by chance {found.by_chance:.2g})"
    names = [heading(metric, scores.label(metric)).rstrip(" ↓↑") for metric in ("rfid", "gfid")]
    finish(axes, label, *names)
    outside_legend(figure, axes, len(grid.sizes))
    said = {"spearman": found.value, "low": found.low, "high": found.high, "by_chance": found.by_chance}
    return Drawing(figure, data.assign(**said, coverage=COVERAGE))


def _places(grid: Grid, scores: Scores) -> Iterator[dict[str, Any]]:
    """Size, K, both means and their numbers of seeds."""
    records: dict[str, list[pd.DataFrame]] = {"rfid": [], "gfid": []}
    for cell in grid.cells():
        for generated in cell_records(grid, cell, "generation", scores):
            (restored,) = cell_records(grid, cell, "reconstruction", scores)
            records["rfid"].append(restored)
            records["gfid"].append(generated)
            rfid, gfid = scores.statistic(restored, "rfid"), scores.statistic(generated, "gfid")
            if rfid is not None and gfid is not None:
                yield {
                    "size": cell.size, "k": cell.k, "rfid": rfid.mean, "gfid": gfid.mean,
                    "rfid_seeds": rfid.n, "gfid_seeds": gfid.n,
                }  # fmt: skip
    for metric, found in records.items():
        if found:
            scores.require_one_protocol(pd.concat(found), metric)


def _draw(axes: Axes, grid: Grid, data: pd.DataFrame) -> None:
    for index, size in enumerate(grid.sizes):
        own, style = data[data["size"] == size], look(index)
        if len(own):
            axes.plot(
                own["rfid"], own["gfid"], color=style.color, marker=style.marker, linestyle="", label=size_name(size)
            )
    axes.margins(0.12)
    place_labels(axes, data["rfid"].to_numpy(), data["gfid"].to_numpy(), [f"K = {k}" for k in data["k"]])


def _from_files(grid: Grid, sources: Sources) -> Drawing:
    return rfid_against_gfid(grid, sources.scores)


RFID_AGAINST_GFID = Figure(
    "rfid_against_gfid",
    "Do better reconstructions give better samples?",
    "rFID of every tokenizer of the grid against gFID of the generator on its tokens, means over seeds, with "
    "Spearman's rank correlation. Its interval is a bootstrap over the grid's places, 95 %; a perfect order "
    "is perfect in every draw, so the share of random orders as far from 0 stands beside it.",
    "Scatter plot of generation FID over reconstruction FID, a labelled point per tokenizer of the grid.",
    _from_files,
)
