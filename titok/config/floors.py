"""Floors: what a tokenizer must beat that learns nothing but averages, of patches or of an image's own regions."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from titok.config.entries import Seeds
from titok.config.section import NonNegativeFloat, PositiveFloat, PositiveInt, Section

FLOOR = "floor"
"""Stage of such a row."""
FLOOR_RECIPES = ("patches", "regions")
"""What their records say of how they were made."""


class PatchCodebook(Section):
    """Every patch becomes the nearest of V mean patches, which k-means finds among those of the training images."""

    kind: Literal["patches"]
    patch_size: PositiveInt
    """Pixels of a side; it divides the image's."""
    codebook_size: Annotated[int, Field(ge=2)]
    """V."""
    fit_patches: PositiveInt = 200_000
    """Patches of training images, all those of images drawn by the seed, that the means are made of, at most."""
    passes: PositiveInt = 20
    """Over these patches, at most; k-means stops sooner where nothing moves."""
    seeds: Seeds | None = None
    """Null: the study's."""


class ImageRegions(Section):
    """Every image is cut into connected regions (SLIC), of which the map and the mean colours are kept."""

    kind: Literal["regions"]
    regions: PositiveInt
    """About so many; an image may get fewer or more."""
    compactness: PositiveFloat = 10.0
    """How much nearness counts beside likeness of colour; more makes squarer regions."""
    smoothing: NonNegativeFloat = 0.0
    """Standard deviation in pixels of the blur before, for the map alone."""


Floor: TypeAlias = Annotated[PatchCodebook | ImageRegions, Field(discriminator="kind")]
