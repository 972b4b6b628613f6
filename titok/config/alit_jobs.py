"""Jobs that train a tokenizer of adaptive length (docs/adaptive_length.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from titok.config.alit import AlitModel, LengthProxyLosses
from titok.config.study import Study
from titok.config.study_models import alit_model
from titok.config.training_jobs import ReconstructingJob


class AlitStage1Job(ReconstructingJob):
    """Codes of every length learn to predict the codes of the study's VQGAN."""

    kind: ClassVar[str] = "alit_stage1"
    section: ClassVar[str] = "tokenizers"

    model: AlitModel
    losses: LengthProxyLosses

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every tokenizer of recipe `alit`."""
        return [name for name, tokenizer in study.tokenizers.items() if cls.kind in tokenizer.stages]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        model, entry = alit_model(study, name), study.tokenizers[name].alit
        if entry is None:
            raise KeyError(f"tokenizer {name!r} has no section `alit`")
        return cls(model=model, losses=entry.stage1.losses, **cls.shared(study, entry.stage1.training))
