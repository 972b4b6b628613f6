"""Jobs in which released weights take the place of a training: `titok adopt WHAT`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from titok.config.entries import Source
from titok.config.generator_model import GeneratorModel
from titok.config.job import ALL, Job
from titok.config.model import TokenizerModel, VQGANModel
from titok.config.study import Study
from titok.config.study_models import generator_model, tokenizer_model


class ReleasedJob(Job):
    """Weights from somewhere else."""

    computes: ClassVar[bool] = False
    adopts: ClassVar[str]
    """What is adopted, as in `titok adopt WHAT`."""

    source: Source


class ReleasedVQGANJob(ReleasedJob):
    """The 2D tokenizer."""

    kind: ClassVar[str] = "released_vqgan"
    adopts: ClassVar[str] = "vqgan"
    section: ClassVar[str] = "vqgan"

    model: VQGANModel

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """The study's VQGAN, if it is a released one."""
        return [ALL] if study.vqgan and not study.vqgan.training else []

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The study's VQGAN."""
        entry = study.vqgan
        if entry is None or entry.source is None:
            raise KeyError("the study uses no released vqgan")
        return cls(source=entry.source, model=entry.model)


class ReleasedTokenizerJob(ReleasedJob):
    """A TiTok."""

    kind: ClassVar[str] = "released_tokenizer"
    adopts: ClassVar[str] = "tokenizer"
    section: ClassVar[str] = "tokenizers"
    wildcard: ClassVar[str] = "tokenizer"

    model: TokenizerModel
    """What the study says it is; released weights of another model are refused."""

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every released tokenizer."""
        return [name for name, tokenizer in study.tokenizers.items() if "released" in tokenizer.stages]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        source = study.tokenizers[name].source
        if source is None:
            raise KeyError(f"tokenizer {name!r} is no released one")
        return cls(source=source, model=tokenizer_model(study, name, "released"))


class ReleasedGeneratorJob(ReleasedJob):
    """A MaskGIT transformer."""

    kind: ClassVar[str] = "released_generator"
    adopts: ClassVar[str] = "generator"
    section: ClassVar[str] = "generators"
    wildcard: ClassVar[str] = "generator"

    model: GeneratorModel

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every released generator."""
        return [name for name, generator in study.generators.items() if not generator.training]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        source = study.generators[name].source
        if source is None:
            raise KeyError(f"generator {name!r} is no released one")
        return cls(source=source, model=generator_model(study, name))
