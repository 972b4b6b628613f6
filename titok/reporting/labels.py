"""Text beside points of a scatter plot, placed so that it covers neither points, nor their bars, nor other text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.transforms import Bbox

OFFSETS: tuple[tuple[float, float, str, str], ...] = tuple(
    (x * distance, y * distance, horizontal, vertical)
    for distance in (8.0, 14.0, 22.0)
    for x, y, horizontal, vertical in (
        (1, 0, "left", "center"),
        (-1, 0, "right", "center"),
        (0, 1, "center", "bottom"),
        (0, -1, "center", "top"),
        (0.7, 0.7, "left", "bottom"),
        (0.7, -0.7, "left", "top"),
        (-0.7, 0.7, "right", "bottom"),
        (-0.7, -0.7, "right", "top"),
    )
)
"""Places to try around a point, in points: (x, y, horizontal and vertical alignment), nearest first."""

BAR_MARGIN = 1.0
"""On each side of an interval's line, in pixels."""
POINT_RADIUS = 5.5
"""Half the side of the square that a marker covers, in points."""


def place_labels(axes: Axes, x: np.ndarray, y: np.ndarray, labels: Sequence[str], size: float = 8) -> None:
    """Annotates points: each label takes the first place free of markers, bars, other labels and the axes' edge.

    Where no place is free, the one with the least overlap is taken. Needs final axis limits and figure size.
    """
    canvas = FigureCanvasAgg(axes.figure)  # type: ignore[arg-type]
    canvas.draw()  # lays the figure out, so that positions in pixels are final
    renderer = cast(RendererBase, canvas.get_renderer())
    centres = axes.transData.transform(np.column_stack([x, y]))
    radius = POINT_RADIUS * axes.figure.dpi / 72
    taken = [Bbox([centre - radius, centre + radius]) for centre in centres]
    taken += [bar.padded(BAR_MARGIN) for bar in bars_of(axes)]
    inside = axes.get_window_extent(renderer)
    for px, py, label in zip(x, y, labels, strict=True):
        best: tuple[float, tuple[float, float, str, str], Bbox] | None = None
        for dx, dy, horizontal, vertical in OFFSETS:
            text = axes.annotate(
                label, (px, py), (dx, dy), textcoords="offset points", ha=horizontal, va=vertical, fontsize=size
            )
            box = text.get_window_extent(renderer)
            text.remove()
            cost = sum(_overlap(box, other) for other in taken) + _outside(box, inside)
            if best is None or cost < best[0]:
                best = cost, (dx, dy, horizontal, vertical), box
            if cost == 0:
                break
        if best:
            _, (dx, dy, horizontal, vertical), box = best
            axes.annotate(
                label, (px, py), (dx, dy), textcoords="offset points", ha=horizontal, va=vertical, fontsize=size
            )
            taken.append(box)


def bars_of(axes: Axes) -> list[Bbox]:
    """Where `hlines` and `vlines` are drawn, in pixels."""
    drawn = (one for one in axes.collections if isinstance(one, LineCollection))
    ends = (axes.transData.transform(segment) for lines in drawn for segment in lines.get_segments())
    return [Bbox([line.min(axis=0), line.max(axis=0)]) for line in ends]


def _overlap(one: Bbox, other: Bbox) -> float:
    """Area that two boxes share, in square pixels."""
    shared = Bbox.intersection(one, other)
    return 0.0 if shared is None else float(shared.width * shared.height)


def _outside(box: Bbox, area: Bbox) -> float:
    """Area of a box that sticks out."""
    return float(box.width * box.height) - _overlap(box, area)
