"""The margins of a study's working checks."""

from __future__ import annotations

from titok.config.section import Fraction, Section


class Checks(Section):
    """What shows that a study's models work at all; a check that fails, fails the run.

    The margins are wide, so that no other seed or processor reaches them. What the paper claims is shown as trends,
    which fail nothing (`titok verdict --strict` turns them into errors).
    """

    enabled: bool = True
    """False: only whether all scores are there and finite. For studies that try the machinery and train next to
    nothing; their page says so."""
    min_skill: Fraction = 0.25
    """Where a classifier of the study measures: the share of the way from guessing to reading everything that it must
    reach on real test images, and the share of the way from guessing to its own accuracy there that reconstructions and
    samples must reach."""
    min_explained_variance: Fraction = 0.1
    """Of the test images' pixels, by every tokenizer's reconstructions; the images' mean image has 0."""
    min_codebook_usage: Fraction = 0.02
    """Share of the codebook that every tokenizer must use; below it, it has collapsed."""
