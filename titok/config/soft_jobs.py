"""The job that trains a decoder on the tokens of a frozen encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from titok.config.section import NonNegativeFloat
from titok.config.soft_models import soft_model
from titok.config.soft_tokens import SOFT_STAGE, SoftModel
from titok.config.study import Study
from titok.config.training import ReconstructionLosses
from titok.config.training_jobs import ReconstructingJob
from titok.config.weight_files import WeightFile


class SoftDecoderJob(ReconstructingJob):
    """The decoder learns pixels, the encoder stays as it is."""

    kind: ClassVar[str] = SOFT_STAGE
    section: ClassVar[str] = "soft_tokenizers"
    reads: ClassVar[tuple[str, ...]] = ("data", "encoder", "critic")

    model: SoftModel
    losses: ReconstructionLosses
    latent_noise: NonNegativeFloat = 0.0
    weights: WeightFile | None = None
    """Of a network of timm; null: the encoder is one that the study trains."""

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every frozen encoder."""
        return study.soft_tokenizers

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        entry = study.soft_tokenizers[name]
        return cls(
            model=soft_model(study, name),
            losses=entry.losses,
            latent_noise=entry.latent_noise,
            weights=entry.weight_file,
            **cls.shared(study, entry.training),
        )
