"""All figures by name, and how one is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from titok.reporting.collect import MissingScore
from titok.reporting.figures.classifier_accuracy import CLASSIFIER_ACCURACY
from titok.reporting.figures.codebook import CODEBOOK
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.figure2 import FIGURE2
from titok.reporting.figures.figure4 import FIGURE4
from titok.reporting.figures.hard_and_soft import HARD_AND_SOFT
from titok.reporting.figures.images_by_length import IMAGES_BY_LENGTH
from titok.reporting.figures.quality_against_tokens import QUALITY_AGAINST_TOKENS
from titok.reporting.figures.rates import RATES
from titok.reporting.figures.reconstructions import RECONSTRUCTIONS
from titok.reporting.figures.rfid_against_gfid import RFID_AGAINST_GFID
from titok.reporting.figures.samples import SAMPLES
from titok.reporting.figures.token_attention import TOKEN_ATTENTION
from titok.reporting.figures.training_curves import TRAINING_CURVES
from titok.reporting.style import figure_style, save

if TYPE_CHECKING:
    from titok.config.reporting import Reporting

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        FIGURE4,
        SAMPLES,
        RECONSTRUCTIONS,
        FIGURE2,
        RFID_AGAINST_GFID,
        RATES,
        HARD_AND_SOFT,
        QUALITY_AGAINST_TOKENS,
        IMAGES_BY_LENGTH,
        TOKEN_ATTENTION,
        CLASSIFIER_ACCURACY,
        CODEBOOK,
        TRAINING_CURVES,
    )
}
"""In the order in which the page shows them."""


def make_figure(name: str, reporting: Reporting, prefix: str | Path, sources: Sources) -> list[Path]:
    """Draws one figure; writes ``{prefix}.svg``, ``.png`` and ``.csv`` and returns their paths.

    Raises:
        MissingScore: the study does not ask for the figure, or a score it shows is not among the files.
        ScoreError: a file does not hold what the figure shows.
    """
    wanted = reporting.wanted_figures
    if name not in wanted:
        there = ", ".join(wanted) or "none"
        raise MissingScore(f"the study asks for no figure {name!r}; it has: {there}; add it to the study's reporting")
    with figure_style():
        drawing = FIGURES[name].draw(wanted[name].told, sources)
    return save(drawing, prefix, reporting.figure_dpi)
