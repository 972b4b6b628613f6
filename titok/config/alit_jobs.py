"""Jobs that train a tokenizer of adaptive length (docs/adaptive_length.md)."""

from __future__ import annotations

from typing import Any, ClassVar

from titok.config.alit import AlitModel, LengthPixelLosses, LengthProxyLosses
from titok.config.entries import Tokenizer
from titok.config.study import Study
from titok.config.training_jobs import OwnRecipeJob


class AlitJob(OwnRecipeJob):
    """A stage of an ALIT."""

    model: AlitModel

    @classmethod
    def stage(cls, tokenizer: Tokenizer) -> Any:
        """ALIT's stages stand in a section of their own."""
        return tokenizer.alit and getattr(tokenizer.alit, cls.kind.removeprefix("alit_"))

    @classmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """Losses, too."""
        return {**super().own(study, name, stage), "losses": stage.losses}


class AlitStage1Job(AlitJob):
    """Codes of every length learn to predict the codes of the study's VQGAN."""

    kind: ClassVar[str] = "alit_stage1"
    reads: ClassVar[tuple[str, ...]] = ("data", "vqgan")

    losses: LengthProxyLosses


class AlitStage2Job(AlitJob):
    """Everything learns pixels, one length at a time."""

    kind: ClassVar[str] = "alit_stage2"
    reads: ClassVar[tuple[str, ...]] = ("data", "alit_stage1", "critic")

    losses: LengthPixelLosses
