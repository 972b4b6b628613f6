"""How every figure looks, and how it is saved: the same bytes for the same numbers, with the numbers beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from titok.runtime.files import atomic_path, write_text

INK = "#222222"
GRID = "#dddddd"


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of one series: any one of the three is enough to tell it apart."""

    color: str
    marker: str
    line: str


LOOKS = (
    Look("#d98c00", "o", "-"),
    Look("#1b9e77", "s", "--"),
    Look("#3b2f8f", "^", "-."),
    Look("#b3267b", "D", ":"),
    Look("#4ea3d8", "v", "-"),
    Look("#7a4a00", "P", "--"),
    Look("#111111", "X", "-."),
)
"""Ordered from light to dark for the three sizes, so that they differ in grey too."""

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "titok",
    # The generic family is for readers whose machine has no DejaVu.
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Drawing:
    """A figure, the numbers it shows, and what to read aloud instead of it."""

    figure: Figure
    data: pd.DataFrame


def look(index: int) -> Look:
    """The look of the n-th series."""
    return LOOKS[index % len(LOOKS)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Seaborn's white grid with our fonts; figures are drawn and saved inside."""
    settings: dict[Any, Any] = {**sns.axes_style("whitegrid"), **_SETTINGS}
    with mpl.rc_context(settings):
        yield


def new_axes(columns: int, width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `rows` x `columns` panels, sizes in inches, without pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def finish(axes: Axes, title: str, x: str, y: str) -> None:
    """Title and axis labels (with units), and no frame where there is no scale."""
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    sns.despine(ax=axes)


def outside_legend(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend above all panels, never over data."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=3.2)


def save(drawing: Drawing, prefix: str | Path, dpi: float) -> list[Path]:
    """Writes ``{prefix}.svg``, ``.png`` and ``.csv``; returns their paths."""
    svg, png, csv = (Path(f"{prefix}{suffix}") for suffix in (".svg", ".png", ".csv"))
    # Creation dates would make every run's bytes differ.
    with figure_style():
        with atomic_path(svg) as temporary:
            drawing.figure.savefig(temporary, metadata={"Date": None})
        with atomic_path(png) as temporary:
            drawing.figure.savefig(temporary, dpi=dpi)
    write_text(csv, drawing.data.to_csv(index=False, lineterminator="\n"))
    return [svg, png, csv]
