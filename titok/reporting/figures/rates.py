"""Bits per image against quality: tokenizers beside JPEG and WebP, which need no training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes

from titok.reporting.cells import heading
from titok.reporting.collect import MissingScore, Scores, statistic
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.labels import place_labels
from titok.reporting.style import Drawing, finish, look, new_axes, outside_legend
from titok.reporting.tables import row_subject

if TYPE_CHECKING:
    from titok.config.figure_settings import Rates

METRICS = ("rfid", "psnr")
CODEC_NAMES = {"jpeg": "JPEG", "webp": "WebP"}
_CODEC_LOOKS = {"jpeg": ("#555555", "-"), "webp": ("#999999", "--")}


def rates(wanted: Rates, scores: Scores) -> Drawing:
    """Two panels over bits per image on a log axis: rFID and PSNR; codecs in grey, a point per quality.

    A tokenizer's bits are K log2 V: what its ids take without any entropy coding. A codec's are its whole files'.

    Raises:
        MissingScore: a row or a codec has no score, or a tokenizer has no codebook.
        ScoreError: they were measured in two ways.
    """
    _require_one_protocol(wanted, scores)
    data = pd.DataFrame([*_tokenizer_points(wanted, scores), *_codec_points(wanted, scores)])
    figure, axes = new_axes(2, 7.6, 3.4)
    for panel, metric in zip(axes, METRICS, strict=True):
        _draw(panel, data, metric)
        finish(panel, {"rfid": "Distance", "psnr": "Fidelity"}[metric], "bits per image", _axis(metric, scores))
    if wanted.codecs:
        outside_legend(figure, axes[0], len(wanted.codecs))
    return Drawing(figure, data)


def _require_one_protocol(wanted: Rates, scores: Scores) -> None:
    subjects = [row_subject("reconstruction", row) for row in wanted.rows]
    subjects += [
        {"tokenizer": codec, "stage": f"q{quality}"} for codec, chosen in wanted.codecs.items() for quality in chosen
    ]
    records = [scores.select("reconstruction", **subject) for subject in subjects]
    scores.require_one_protocol(pd.concat(records), "bits against quality")


def _tokenizer_points(wanted: Rates, scores: Scores) -> Iterator[dict[str, Any]]:
    for row in wanted.rows:
        found = scores.select("reconstruction", **row_subject("reconstruction", row))
        facts = found.iloc[0]
        bits = float(facts.get("bits_per_image", math.nan))  # what others' programs say of themselves
        if math.isnan(bits):
            if not facts.get("codebook_size") or math.isnan(facts["codebook_size"]):
                raise MissingScore(
                    f"{facts['file']}: {row.label} has no codebook, so no bits; take it out of the rates"
                )
            bits = float(facts["num_latent_tokens"]) * math.log2(facts["codebook_size"])
        yield {"label": row.label, "codec": "", "bits_per_image": bits, **_qualities(found)}


def _codec_points(wanted: Rates, scores: Scores) -> Iterator[dict[str, Any]]:
    for codec, qualities in wanted.codecs.items():
        for quality in qualities:
            found = scores.select("reconstruction", tokenizer=codec, stage=f"q{quality}")
            bits = float(found["bits_per_image"].iloc[0])
            label = f"{CODEC_NAMES[codec]} {quality}"
            yield {"label": label, "codec": codec, "bits_per_image": bits, **_qualities(found)}


def _qualities(records: pd.DataFrame) -> dict[str, float]:
    found = {metric: statistic(records[metric]) for metric in METRICS if metric in records}
    return {metric: value.mean for metric, value in found.items() if value is not None}


def _draw(axes: Axes, data: pd.DataFrame, metric: str) -> None:
    for codec, points in data[data["codec"] != ""].groupby("codec", sort=False):
        name, (color, line) = CODEC_NAMES[str(codec)], _CODEC_LOOKS[str(codec)]
        axes.plot(points["bits_per_image"], points[metric], color=color, linestyle=line, marker=".", label=name)
    own = data[data["codec"] == ""].reset_index(drop=True)
    for index, point in own.iterrows():
        style = look(int(str(index)))
        axes.plot(point["bits_per_image"], point[metric], color=style.color, marker=style.marker, markersize=7)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.15)
    place_labels(axes, own["bits_per_image"].to_numpy(), own[metric].to_numpy(), list(own["label"]))


def _axis(metric: str, scores: Scores) -> str:
    return heading(metric, scores.label(metric)).rstrip(" ↓↑")


def _from_files(wanted: Rates, sources: Sources) -> Drawing:
    return rates(wanted, sources.scores)


RATES = Figure(
    "rates",
    "Bits and quality",
    "What one image takes against what comes back: a tokenizer's K log2 V bits, and whole files of ordinary "
    "codecs, headers included, at several qualities. Of small images headers are most of a file, and a tokenizer's "
    "own weights are not counted: the lines compare what is stored, not how well it is coded.",
    "Two charts over bits per image: reconstruction FID and PSNR, tokenizers as labelled points, JPEG and WebP as "
    "grey lines.",
    _from_files,
)
