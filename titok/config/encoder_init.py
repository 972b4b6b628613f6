"""A TiTok whose encoder begins as a network that understands images, and not at random."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from titok.config.encoder_record import EncoderRecord
from titok.config.section import Section
from titok.config.weight_files import WeightFile


class EncoderInit(Section):
    """A vision transformer of timm; patches, positions, blocks and norms are taken, latent tokens begin at random."""

    encoder: EncoderRecord
    """Its name in `config/encoders.yaml`, or a record like those there."""
    weights: WeightFile
    leave_out: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Parts that begin at random, by the beginnings of their tensors' names: `encoder.positional_embedding` where the
    network has another number of patches, `encoder.class_embedding` where it has no class token."""

    @property
    def stated(self) -> Self:
        """With the sum that the record states, where nothing else is stated."""
        weights = self.weights.model_copy(update={"sha256": self.weights.sha256 or self.encoder.sha256})
        return self.model_copy(update={"weights": weights})

    @model_validator(mode="after")
    def _one_sum(self) -> Self:
        if self.encoder.sha256 and self.weights.sha256 not in (None, self.encoder.sha256):
            raise ValueError(
                f"weights.sha256 is {self.weights.sha256}, but the encoder's record states {self.encoder.sha256}; "
                f"remove one of them, or describe another encoder"
            )
        return self
