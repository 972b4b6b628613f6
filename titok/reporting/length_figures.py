"""Figures of adaptive length: quality against tokens, and images at every length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from titok.errors import ScoreError
from titok.reporting.cells import heading
from titok.reporting.collect import Scores
from titok.reporting.lengths import RowLengths, lengths_of_rows
from titok.reporting.pictures import draw_grid, read_pictures
from titok.reporting.style import Drawing, finish, look, new_axes, outside_legend, save
from titok.runtime.files import load_npz

if TYPE_CHECKING:
    from titok.config.reporting import ImagesByLength
    from titok.config.rows import Row

TOKENS = "tokens per image"


def quality_against_tokens(rows: Sequence[Row], scores: Scores) -> Drawing:
    """The criterion's measure, rFID and PSNR over tokens: a line per label where all images have K, with a band over
    seeds, and hollow markers at the mean length where each image has its own.

    Rows of one label are one line: models that were trained for one length each.

    Raises:
        MissingScore: a row has no scores of lengths.
        NotComparableError: rows were measured in two ways.
    """
    found = lengths_of_rows(rows, scores)
    measure = found[0].measure
    metrics = list(dict.fromkeys([measure, "rfid", "psnr"]))
    data = pd.DataFrame([line for one in found for metric in metrics for line in _points(one, metric, scores)])
    figure, axes = new_axes(len(metrics), 3.0 * len(metrics), 3.2)
    for panel, metric in zip(axes, metrics, strict=True):
        _draw(panel, data[data["metric"] == metric])
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


def _draw(axes: Axes, data: pd.DataFrame) -> None:
    for index, (label, points) in enumerate(data.groupby("label", sort=False)):
        style, is_same = look(index), points["at"].str.isdigit()
        same, own = points[is_same].sort_values("tokens"), points[~is_same].sort_values("tokens")
        line: dict[str, Any] = {"color": style.color, "marker": style.marker}
        axes.plot(same["tokens"], same["mean"], **line, linestyle=style.line, label=str(label))
        axes.fill_between(same["tokens"], same["low"], same["high"], color=style.color, alpha=0.18, linewidth=0)
        if len(own):
            name = f"{label}, each image its own"
            axes.plot(
                own["tokens"], own["mean"], **line, linestyle="", markerfacecolor="white", markersize=8, label=name
            )
    axes.set_xlim(left=0)


def _axis(metric: str, found: Sequence[RowLengths], scores: Scores) -> str:
    label = next(scores.label(f"{metric}@{place.tag}") for one in found for place in one.places(chosen=False))
    return heading(metric, type(label)(label.label.rpartition(", ")[0], label.better, label.unit)).rstrip(" ↓↑")


def make_images_by_length(
    wanted: ImagesByLength, picture_file: str | Path, prefix: str | Path, dpi: float = 160
) -> list[Path]:
    """Draws images at every length, those that were given the fewest tokens at the left, the most at the right.

    Args:
        picture_file: npz of `titok score lengths --pictures`.
    """
    images, arrays = read_pictures(picture_file, "images", 5), load_npz(picture_file)
    missing = {"row_labels", "tokens"} - arrays.keys()
    if missing or len(arrays["tokens"]) != images.shape[1]:
        raise ScoreError(
            f"{picture_file} has no {', '.join(sorted(missing)) or 'tokens of each image'}; score lengths again"
        )
    count = images.shape[1] // 2
    taken = min(wanted.num_images // 2, count)
    places = np.r_[:taken, images.shape[1] - taken : images.shape[1]]
    names = [str(name) if place == 0 else f"K = {name}" for place, name in enumerate(arrays["row_labels"])]
    rows = {name: images[row, places] for row, name in enumerate(names)}
    given = arrays["tokens"][places]
    drawing = draw_grid(rows, f"test images and the tokens given to them: {', '.join(map(str, given))}")
    drawing.data["tokens"] = given[drawing.data["column"]]
    return save(drawing, prefix, dpi)
