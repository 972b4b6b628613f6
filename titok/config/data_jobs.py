"""Jobs that make what trainings read: shards, proxy codes and tokens of a dataset's images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Self

from pydantic import model_validator

from titok.config.adaptive_length import TokenLengths
from titok.config.data import Dataset, Preparation
from titok.config.external import ExternalTokens
from titok.config.job import ALL, Job
from titok.config.section import Name, Neutral, PositiveInt
from titok.config.study import Study
from titok.config.views import StoredCodes, ViewSet


class DataJob(Job):
    """`titok prepare`: archives to shards."""

    kind: ClassVar[str] = "data"
    section: ClassVar[str] = "dataset"
    computes: ClassVar[bool] = False

    dataset: Preparation

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one."""
        return cls(dataset=study.dataset.prepared())


class CodesJob(Job):
    """`titok codes extract`: the views of a dataset's images to proxy codes."""

    kind: ClassVar[str] = "codes"
    section: ClassVar[str] = "proxy_codes"

    dataset: Dataset
    codes: StoredCodes = StoredCodes()

    @model_validator(mode="after")
    def _views_fit(self) -> Self:
        self.codes.check(self.dataset)
        return self

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """The one, where codes are stored."""
        return (ALL,) if study.proxy_codes else ()

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one."""
        if study.proxy_codes is None:
            raise KeyError("the study computes proxy codes while training; its proxy_codes is null")
        return cls(dataset=study.dataset.seen(), codes=study.proxy_codes.stored())


class TokensJob(Job):
    """`titok tokens`: a dataset's images to token ids."""

    kind: ClassVar[str] = "tokens"
    section: ClassVar[str] = "token_views"

    dataset: Dataset
    views: ViewSet
    lengths: Annotated[TokenLengths | None, Neutral(None)] = None
    """How each view gets its length, of tokenizers that have several; null: the longest code."""

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one."""
        lengths = study.adaptive_length.of_tokens if study.adaptive_length else None
        return cls(dataset=study.dataset.seen(), views=study.token_views, lengths=lengths)


class ExternalTokensJob(Job):
    """`titok external-tokens`: the ids that another program made of the training images."""

    kind: ClassVar[str] = "external_tokens"
    section: ClassVar[str] = "external"
    wildcard: ClassVar[str] = "external"
    computes: ClassVar[bool] = False

    name: Name
    tokens: ExternalTokens
    num_latent_tokens: PositiveInt
    codebook_size: PositiveInt

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every program's that gave ids."""
        return [name for name, entry in study.external.items() if entry.tokens]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """Where the ids lie, and what they must be."""
        entry = study.external[name]
        if entry.tokens is None:
            raise KeyError(f"external.{name} has no tokens")
        told = entry.model_dump(include={"tokens", "num_latent_tokens", "codebook_size"})
        return cls.model_validate({"name": name, **told})
