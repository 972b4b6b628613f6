"""Jobs that train a tokenizer of adaptive length (docs/adaptive_length.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from titok.config.alit import AlitModel, LengthPixelLosses, LengthProxyLosses
from titok.config.study import Study
from titok.config.study_models import alit_model
from titok.config.training_jobs import ReconstructingJob


class AlitJob(ReconstructingJob):
    """A stage of an ALIT."""

    section: ClassVar[str] = "tokenizers"

    model: AlitModel

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every tokenizer of recipe `alit` that has the stage."""
        return [name for name, tokenizer in study.tokenizers.items() if cls.kind in tokenizer.stages]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        model, recipe = alit_model(study, name), study.tokenizers[name].alit
        entry = getattr(recipe, cls.kind.removeprefix("alit_"))
        if entry is None:
            raise KeyError(f"tokenizer {name!r} has no {cls.kind}")
        return cls(**{"model": model, "losses": entry.losses, **cls.shared(study, entry.training)})


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
