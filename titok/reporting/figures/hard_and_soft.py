"""Hard and soft tokens over bits per image: quality, and what a linear probe reads in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.lines import Line2D

from titok.records.metric import described
from titok.reporting.cells import heading
from titok.reporting.collect import Scores
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.labels import place_labels
from titok.reporting.style import Drawing, finish, look, new_axes, outside_legend
from titok.reporting.tables import row_subject
from titok.reporting.token_bits import HALF, bits_of_ids

if TYPE_CHECKING:
    from titok.config.hard_and_soft import HardAndSoft
    from titok.config.rows import Row

PROBE = "linear_probe_top1"
PANELS = {"rfid": "Distance", "psnr": "Fidelity", PROBE: "What a linear probe reads"}
HARD, SOFT = look(2), look(0)
CODECS = {"jpeg": ("JPEG", "#555555", "-"), "webp": ("WebP", "#999999", "--")}


def hard_and_soft(wanted: HardAndSoft, scores: Scores) -> Drawing:
    """A panel for each metric over bits per image on a log axis.

    Raises:
        MissingScore: a row, a point or a codec has no score, or a hard row no bits.
        ScoreError: they were measured in two ways.
    """
    data = pd.DataFrame([*_hard(wanted, scores), *_soft(wanted, scores), *_codecs(wanted, scores)])
    _require_one_protocol(wanted, scores)
    metrics = [metric for metric in PANELS if metric in data and data[metric].notna().any()]
    rows = data[data["kind"].isin(("hard tokens", "soft tokens"))].drop_duplicates("label")
    numbers = {label: str(number) for number, label in enumerate(rows["label"], start=1)}
    figure, axes = new_axes(len(metrics), 4.6 * len(metrics), 4.2)
    for panel, metric in zip(axes, metrics, strict=True):
        _draw(panel, data, metric, numbers)
        finish(panel, PANELS[metric], "bits per image", heading(metric, scores.label(metric)).rstrip(" ↓↑"))
    outside_legend(figure, axes[0], data["kind"].nunique())
    _key(figure, numbers, list(rows["kind"]))
    return Drawing(figure, data)


def _hard(wanted: HardAndSoft, scores: Scores) -> Iterator[dict[str, Any]]:
    for row in wanted.hard:
        found = scores.select("reconstruction", **row_subject("reconstruction", row))
        point = {"label": row.label, "kind": "hard tokens", "bits_per_image": bits_of_ids(found.iloc[0], row.label)}
        yield point | _seen(found, scores, ("rfid", "psnr")) | _probe(wanted, row, scores)


def _soft(wanted: HardAndSoft, scores: Scores) -> Iterator[dict[str, Any]]:
    for row in wanted.soft:
        stored = 0.0
        for stage in wanted.curve(row):
            found = scores.select("reconstruction", tokenizer=row.tokenizer, stage=stage)
            first = found.iloc[0]
            stored = float(first["bits_per_image"]) / float(first["bits_per_channel"]) * HALF
            point = {"label": row.label, "kind": "soft tokens", "bits_per_image": float(first["bits_per_image"])}
            yield point | {"bits_per_channel": int(first["bits_per_channel"])} | _seen(found, scores, ("rfid", "psnr"))
        if probe := _probe(wanted, row, scores):
            point = {"label": row.label, "kind": "soft tokens", "bits_per_image": stored, "bits_per_channel": HALF}
            yield point | probe


def _codecs(wanted: HardAndSoft, scores: Scores) -> Iterator[dict[str, Any]]:
    for codec, qualities in wanted.codecs.items():
        for quality in qualities:
            found = scores.select("reconstruction", tokenizer=codec, stage=f"q{quality}")
            point = {"label": f"{CODECS[codec][0]} {quality}", "kind": CODECS[codec][0]}
            point["bits_per_image"] = found["bits_per_image"].iloc[0]
            yield point | _seen(found, scores, ("rfid", "psnr"))


def _seen(found: pd.DataFrame, scores: Scores, metrics: tuple[str, ...]) -> dict[str, float]:
    """Mean and span over seeds."""
    seen: dict[str, float] = {}
    for metric in metrics:
        value = scores.statistic(found, metric)
        if value is not None:
            low, high = value.span
            seen |= {metric: value.mean, f"{metric}_low": low, f"{metric}_high": high}
    return seen


def _probe(wanted: HardAndSoft, row: Row, scores: Scores) -> dict[str, float]:
    if row not in wanted.probed:
        return {}
    return _seen(scores.select("linear_probe", tokenizer=row.tokenizer), scores, (PROBE,))


def _require_one_protocol(wanted: HardAndSoft, scores: Scores) -> None:
    subjects = [row_subject("reconstruction", row) for row in wanted.hard]
    subjects += [{"tokenizer": row.tokenizer, "stage": stage} for row in wanted.soft for stage in wanted.curve(row)]
    subjects += [
        {"tokenizer": codec, "stage": f"q{each}"} for codec, all_of in wanted.codecs.items() for each in all_of
    ]
    records = [scores.select("reconstruction", **subject) for subject in subjects]
    if records:
        scores.require_one_protocol(pd.concat(records), "hard and soft tokens")
    probes = [scores.select("linear_probe", tokenizer=row.tokenizer) for row in wanted.probed]
    if probes:
        scores.require_one_protocol(pd.concat(probes), "linear probe", PROBE)


def _key(figure: MatplotlibFigure, numbers: dict[str, str], kinds: list[str]) -> None:
    """Which row each number is, under the panels; names beside points would hide other points."""
    colors = [HARD.color if kind == "hard tokens" else SOFT.color for kind in kinds]
    marks = [
        Line2D([], [], color=color, marker=f"${number}$", markersize=7, linestyle="")
        for number, color in zip(numbers.values(), colors, strict=True)
    ]
    figure.legend(marks, list(numbers), loc="outside lower left", ncols=3, frameon=False)


def _draw(axes: Axes, data: pd.DataFrame, metric: str, numbers: dict[str, str]) -> None:
    columns = [metric, f"{metric}_low", f"{metric}_high"]
    shown = data[data[metric].notna()].copy()
    if described(metric).in_percent:
        shown[columns] *= 100
    for name, color, line in CODECS.values():
        codec = shown[shown["kind"] == name]
        if len(codec):
            axes.plot(codec["bits_per_image"], codec[metric], color=color, linestyle=line, marker=".", label=name)
    hard, soft = (shown[shown["kind"] == f"{kind} tokens"] for kind in ("hard", "soft"))
    for style, points, name in ((HARD, hard, "hard tokens"), (SOFT, soft, "soft tokens")):
        if len(points):  # one entry of the legend for each kind, whatever their number
            axes.plot([], [], color=style.color, marker=style.marker, linestyle=style.line, label=name)
    axes.scatter(hard["bits_per_image"], hard[metric], color=HARD.color, marker=HARD.marker, s=49, zorder=3)
    axes.vlines(hard["bits_per_image"], hard[f"{metric}_low"], hard[f"{metric}_high"], color=HARD.color)
    ends = []
    for _, curve in soft.groupby("label", sort=False):
        bits, low, high = (curve[name] for name in ("bits_per_image", f"{metric}_low", f"{metric}_high"))
        axes.plot(bits, curve[metric], color=SOFT.color, marker=SOFT.marker, linestyle=SOFT.line, markersize=4)
        if len(curve) > 1:
            axes.fill_between(bits, low, high, color=SOFT.color, alpha=0.2, linewidth=0)
        else:
            axes.vlines(bits, low, high, color=SOFT.color)
        ends.append(curve.iloc[0])
    axes.set_xscale("log")
    if metric == "rfid" and (shown[metric] > 0).all():
        axes.set_yscale("log")  # from a codec's hundredths to the hundreds of latents in one bit
    axes.margins(x=0.1, y=0.1)
    named = pd.concat([hard, pd.DataFrame(ends)]) if ends else hard
    labels = [numbers[label] for label in named["label"]]
    place_labels(axes, named["bits_per_image"].to_numpy(), named[metric].to_numpy(), labels)


def _from_files(wanted: HardAndSoft, sources: Sources) -> Drawing:
    return hard_and_soft(wanted, sources.scores)


HARD_AND_SOFT = Figure(
    "hard_and_soft",
    "Hard and soft tokens over bits",
    "What one image takes against what comes back, and against what a linear probe reads in the tokens. Hard tokens "
    "take K log2 V bits. Soft tokens are curves: every channel is rounded to so many equally wide steps between the "
    "least and the largest value that it has in training images; the decoder was trained on unrounded ones. Probes "
    "read unrounded tokens, which are drawn at 16 bits a channel. Codecs are whole files. Bars and bands: the span of "
    "seeds or a single seed's interval.",
    "Charts over bits per image: reconstruction FID, PSNR and linear probe; hard tokens as numbered points, soft "
    "tokens as curves, JPEG and WebP as grey lines.",
    _from_files,
)
