"""Both runs in one picture: metrics over K, and each metric of A against that of B."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from titok.reporting.compare import Difference
from titok.reporting.numbers import SUMS, Run, What
from titok.reporting.style import figure_style, finish, look, new_axes

COLORS = {"equal": "#9a9a9a", "within noise": "#1b9e77", "not comparable": "#4ea3d8", "not judged": "#d98c00"}
COLORS |= {"differ": "#b3267b"}
_OVER_K = (
    "rfid",
    "gfid",
    "psnr",
    "ssim",
    "linear_probe_top1",
    "classifier_accuracy",
    "class_agreement",
    "codebook_usage",
)
_MOST_PANELS = 12


def over_k(a: Run, b: Run, differences: Sequence[Difference]) -> Figure | None:
    """A panel per metric and stage with at least two K; None where there are none.

    Lines are means over seeds, bars span them: A full, B dashed with open markers; a colour per size.
    """
    points = _points(a, b, differences)
    if points.empty:
        return None
    panels = [group for _, group in points.groupby(["order", "stage"], sort=True) if group["k"].nunique() > 1]
    if not panels:
        return None
    panels = panels[:_MOST_PANELS]
    sizes = sorted(points["size"].unique())
    columns = min(3, len(panels))
    with figure_style():
        rows = -(-len(panels) // columns)
        figure, axes = new_axes(columns, 3.3 * columns, 2.6 * rows + 0.5, rows)
        for panel, group in zip(axes, panels, strict=False):
            for size, own in group.groupby("size"):
                _lines(panel, str(size), own, sizes.index(size))
            first = group.iloc[0]
            finish(panel, f"{first['label']}, {first['stage']}".rstrip(", "), "latent tokens K", str(first["label"]))
            panel.set_xscale("log", base=2)
            ticks = sorted(group["k"].unique())
            panel.set_xticks(ticks, [str(k) for k in ticks])
        for unused in axes[len(panels) :]:
            unused.set_axis_off()
        _legend_of_all(figure, axes[: len(panels)])
    return figure


def _points(a: Run, b: Run, differences: Sequence[Difference]) -> pd.DataFrame:
    """One row per run, size, K, stage and metric; among tokenizers of one size and K, that with the shortest name."""
    rows = []
    for one in differences:
        if one.metric not in _OVER_K or one.a is None or one.b is None:
            continue
        facts = a.facts.get(one.what) or b.facts.get(one.what) or {}
        if not {"size", "num_latent_tokens"} <= facts.keys():
            continue
        for name, side in (("A", one.a), ("B", one.b)):
            values = side.values.values()
            rows.append(
                {
                    "run": name, "order": _OVER_K.index(one.metric), "label": one.label, "size": str(facts["size"]),
                    "k": int(facts["num_latent_tokens"]), "stage": _stage(one.what), "name": one.what.name,
                    "mean": side.mean, "low": min(values), "high": max(values),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    frame = frame.sort_values("name", key=lambda names: names.str.len(), kind="stable")
    return frame.drop_duplicates(["run", "order", "size", "k", "stage"])


def _stage(what: What) -> str:
    return what.sampler or what.stage


def _lines(axes: Axes, size: str, points: pd.DataFrame, index: int) -> None:
    """One size: both runs."""
    style = look(index)
    for run, line, fill in (("A", "-", style.color), ("B", "--", "white")):
        own = points[points["run"] == run].sort_values("k")
        bars = [own["mean"] - own["low"], own["high"] - own["mean"]]
        axes.errorbar(
            own["k"], own["mean"], yerr=bars, color=style.color, linestyle=line, marker=style.marker,
            markerfacecolor=fill, capsize=3, elinewidth=1, label=f"{run}, {size}",
        )  # fmt: skip


def scatter(differences: Sequence[Difference]) -> Figure | None:
    """A panel per metric: A up, B to the right, a point per thing, means over seeds with their standard deviation.

    Metrics that differ most come first; None where nothing was measured in both.
    """
    groups: dict[str, list[Difference]] = {}
    for one in differences:
        if one.a is not None and one.b is not None and one.metric not in SUMS:
            groups.setdefault(one.label, []).append(one)
    shown = list(groups.items())[:_MOST_PANELS]
    if not shown:
        return None
    columns = min(4, len(shown))
    with figure_style():
        rows = -(-len(shown) // columns)
        figure, axes = new_axes(columns, 2.6 * columns, 2.6 * rows + 0.5, rows)
        for panel, (label, group) in zip(axes, shown, strict=False):
            _diagonal(panel, label, group)
        for unused in axes[len(shown) :]:
            unused.set_axis_off()
        _legend_of_all(figure, axes[: len(shown)])
    return figure


def _diagonal(axes: Axes, label: str, group: Sequence[Difference]) -> None:
    for verdict, color in COLORS.items():
        sides = [(one.b, one.a) for one in group if one.verdict == verdict and one.a and one.b]
        if not sides:
            continue
        (x, x_error), (y, y_error) = ([[s[i].mean for s in sides], [s[i].spread or 0.0 for s in sides]] for i in (0, 1))
        axes.errorbar(
            x, y, xerr=x_error, yerr=y_error, linestyle="", marker="o", markersize=4.5, color=color, elinewidth=0.8,
            alpha=0.85, label=verdict,
        )  # fmt: skip
    low = min(*axes.get_xlim(), *axes.get_ylim())
    high = max(*axes.get_xlim(), *axes.get_ylim())
    axes.plot([low, high], [low, high], color="#555555", linewidth=0.8, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.locator_params(nbins=4)
    finish(axes, label, "B", "A")


def _legend_of_all(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend of every panel's entries: a verdict or a size may be in some alone."""
    entries: dict[str, Artist] = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        entries |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in entries}
    names = sorted(entries)
    figure.legend(
        handles=[entries[name] for name in names],
        labels=names,
        loc="outside upper left",
        ncols=min(6, len(names)),
        handlelength=3,
    )
