"""Figures that a study says more of than whether it wants them: which rows, images, seeds and codecs each shows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from titok.config.rows import Codec, Quality, Row
from titok.config.section import Name, NonNegativeInt, PositiveInt, Section


def require_tokenizers(rows: tuple[Row, ...], figure: str) -> None:
    """Raises ``ValueError`` for a row of a figure that shows reconstructions, yet names nothing that makes them."""
    for row in rows:
        if row.tokenizer is None:
            raise ValueError(f"row {row.label!r} of the {figure} names no tokenizer; give one")


class Reconstructions(Section):
    """Test images above their reconstructions."""

    rows: tuple[Row, ...]
    """Tokenizers from top to bottom, under the originals."""
    num_images: PositiveInt = 10
    seed: NonNegativeInt = 0
    """Which seed's tokenizers."""

    @model_validator(mode="after")
    def _rows_reconstruct(self) -> Self:
        require_tokenizers(self.rows, "reconstructions")
        return self


class Samples(Section):
    """Class-conditional samples, one row per class, the first ones drawn; nobody picks any."""

    generator: Name
    sampler: Name
    seed: NonNegativeInt = 0
    per_class: PositiveInt = 10
    classes: dict[NonNegativeInt, str] = Field(default_factory=dict)
    """Which classes, from top to bottom, and what readers call them; empty: all, by their numbers."""


class ImagesByLength(Section):
    """The images that a tokenizer gave the fewest tokens and the most, at every length."""

    row: Row
    num_images: Annotated[int, Field(ge=2, le=16)] = 12
    """Half of them of the fewest tokens."""
    seed: NonNegativeInt = 0


class TokenAttention(Section):
    """What latent tokens look at in some images."""

    row: Row
    num_images: Annotated[int, Field(ge=1, le=8)] = 3
    """Of those that were given the fewest tokens and the most, taken in turn."""
    seed: NonNegativeInt = 0
    of: Literal["encoder", "decoder"] = "encoder"
    """`encoder`: how much each token looks at each patch, in the last block. `decoder`: how much each patch looks at
    each token, in the last block but one (docs/adaptive_length.md)."""


class Rates(Section):
    """Bits per image against quality: tokenizers, and ordinary codecs for reference."""

    rows: tuple[Row, ...]
    """Tokenizers with a codebook."""
    codecs: dict[Codec, tuple[Quality, ...]] = Field(default_factory=dict)
    """Qualities (1 to 100) at which the test images are written as JPEG or WebP."""

    @model_validator(mode="after")
    def _rows_reconstruct(self) -> Self:
        require_tokenizers(self.rows, "rates")
        return self
