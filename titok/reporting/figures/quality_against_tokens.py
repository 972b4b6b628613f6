"""Quality against tokens: where all images have as many, and where each has its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from titok.records.metric import described
from titok.reporting.cells import heading
from titok.reporting.collect import Scores
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.lengths import PROBE, RowLengths, lengths_of_rows
from titok.reporting.style import Drawing, finish, look, new_axes, outside_legend

if TYPE_CHECKING:
    from titok.config.rows import LengthTable

TOKENS = "tokens per image"


def quality_against_tokens(wanted: LengthTable, scores: Scores) -> Drawing:
    """The criterion's measure, rFID, PSNR and accuracies of probes, if there are any, over tokens.

    A line per label where all images have K, with a band over seeds, and hollow markers at the mean length where each
    image has its own.

    Rows of one label are one line: models that were trained for one length each.

    Raises:
        MissingScore: a row has no scores of lengths.
        NotComparableError: rows were measured in two ways.
    """
    found = lengths_of_rows(wanted, scores)
    measure = found[0].measure
    metrics = list(dict.fromkeys([measure, "rfid", "psnr", *([PROBE] if wanted.linear_probe else [])]))
    data = pd.DataFrame([line for one in found for metric in metrics for line in _points(one, metric, scores)])
    figure, axes = new_axes(len(metrics), 3.0 * len(metrics), 3.2)
    for panel, metric in zip(axes, metrics, strict=True):
        scale = 100 if described(metric).in_percent else 1
        _draw(panel, data[data["metric"] == metric], scale)
        finish(panel, "", TOKENS, _axis(metric, found, scores))
    outside_legend(figure, axes[0], 3)
    return Drawing(figure, data)


def _points(one: RowLengths, metric: str, scores: Scores) -> Iterator[dict[str, Any]]:
    for place in (*one.places(chosen=False), *one.places(chosen=True)):
        value = scores.statistic(one.records, f"{metric}@{place.tag}")
        tokens = scores.statistic(one.records, f"mean_length@{place.tag}") if place.length is None else None
        count = place.length if tokens is None else tokens.mean
        if value is not None and count is not None:
            yield {
                "label": one.row.label, "tokenizer": one.row.tokenizer, "metric": metric, "at": place.tag,
                "tokens": count, "mean": value.mean, "low": value.minimum, "high": value.maximum, "seeds": value.n,
            }  # fmt: skip


def _draw(axes: Axes, data: pd.DataFrame, scale: int) -> None:
    for index, (label, points) in enumerate(data.groupby("label", sort=False)):
        style, is_same = look(index), points["at"].str.isdigit()
        same, own = points[is_same].sort_values("tokens"), points[~is_same].sort_values("tokens")
        line: dict[str, Any] = {"color": style.color, "marker": style.marker}
        axes.plot(same["tokens"], scale * same["mean"], **line, linestyle=style.line, label=str(label))
        axes.fill_between(
            same["tokens"], scale * same["low"], scale * same["high"], color=style.color, alpha=0.18, linewidth=0
        )
        if len(own):
            name = f"{label}, each image its own"
            axes.plot(
                own["tokens"],
                scale * own["mean"],
                **line,
                linestyle="",
                markerfacecolor="white",
                markersize=8,
                label=name,
            )
    axes.set_xlim(left=0)


def _axis(metric: str, found: Sequence[RowLengths], scores: Scores) -> str:
    named = (scores.label(f"{metric}@{place.tag}") for one in found for place in one.places(chosen=False))
    label = next((each for each in named if each is not None), None)
    own = replace(label, label=label.label.rpartition(", ")[0]) if label else None
    return heading(metric, own).rstrip(" ↓↑")


def _from_files(table: LengthTable, sources: Sources) -> Drawing:
    return quality_against_tokens(table, sources.scores)


QUALITY_AGAINST_TOKENS = Figure(
    "quality_against_tokens",
    "Quality against tokens",
    "What comes back of test images over how many tokens they have. Lines: all images have K, means over seeds "
    "with bands that span them; a line of models of one length has one for each K. Hollow markers: each image has "
    "the fewest tokens that are good enough, at their mean.",
    "Line charts over tokens per image, one line per system; the numbers are in the table of adaptive length.",
    _from_files,
)
