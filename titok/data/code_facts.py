"""What stored proxy codes are codes of, as plain data: the words in which a store and its users must agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from titok.config.data import Dataset, ResizeRule
from titok.config.model import VQGANModel
from titok.config.views import StoredCodes, ViewSet
from titok.data.views import View, views_of
from titok.errors import TitokError
from titok.runtime.files import sha256_json

FORMAT = "titok-proxy-codes-1"
MAX_CODES = 2**16
"""Codes are kept in 16 bits."""
Precision = Literal["fp32", "bf16", "tf32"]


class CodesError(TitokError):
    """Stored codes that are missing, damaged, incomplete, or codes of something else."""


@dataclass(frozen=True)
class CodeFacts:
    """Everything that decides about the codes; who computed them is noted with each part instead."""

    fingerprint: str
    """Of the images: names, files and labels, in order (`titok.data.shard_index`)."""
    images: int
    """N."""
    resize: int
    resize_rule: ResizeRule
    crop: int
    """S, side of the windows in pixels."""
    views: dict[str, Any]
    """The settings (`titok.config.views.ViewSet`)."""
    view_specs: list[dict[str, Any]]
    """What these settings meant when the codes were made, view by view."""
    vqgan_sha256: str
    """Of the VQGAN's file of weights."""
    codebook_size: int
    codes_per_view: int
    """P."""
    precision: Precision
    part_images: int
    decoder: str = "pillow"
    format: str = FORMAT

    @classmethod
    def of(
        cls,
        settings: StoredCodes,
        dataset: Dataset,
        vqgan: VQGANModel,
        *,
        vqgan_sha256: str,
        fingerprint: str,
        images: int,
        precision: Precision = "fp32",
    ) -> Self:
        """The facts that an extraction with these settings has.

        Raises ``CodesError`` for a VQGAN whose codes do not fit 16 bits or whose patches do not fit the windows.
        """
        resize, rule, crop = settings.framing(dataset)
        if vqgan.codebook_size > MAX_CODES:
            raise CodesError(
                f"the VQGAN has {vqgan.codebook_size} codes; allowed: at most {MAX_CODES}, they are kept in 16 bits"
            )
        if crop % vqgan.downsampling:
            raise CodesError(
                f"windows of {crop} pixels do not split into the VQGAN's patches of {vqgan.downsampling}; set "
                f"dataset.image_size to a multiple of {vqgan.downsampling}"
            )
        return cls(
            fingerprint=fingerprint,
            images=images,
            resize=resize,
            resize_rule=rule,
            crop=crop,
            views=settings.views.resolved(),
            view_specs=[view.spec() for view in views_of(settings.views)],
            vqgan_sha256=vqgan_sha256,
            codebook_size=vqgan.codebook_size,
            codes_per_view=(crop // vqgan.downsampling) ** 2,
            precision=precision,
            part_images=settings.part_images,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any], where: object) -> Self:
        """The facts in a JSON document; raises ``CodesError`` unless this version can work with them."""
        found = document.get("format")
        if found != FORMAT:
            raise CodesError(f"{where}: format is {found!r}, this version reads {FORMAT!r}; extract the codes again")
        try:
            facts = cls(**document)
        except TypeError as error:
            raise CodesError(f"{where}: {error}; it was altered: extract the codes again") from error
        if [view.spec() for view in facts.view_list()] != facts.view_specs:
            raise CodesError(f"{where}: its views mean other windows in this version; extract the codes again")
        return facts

    def view_list(self) -> tuple[View, ...]:
        """The views, in the order of the codes."""
        return views_of(ViewSet.model_validate(self.views))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, views, P)."""
        return self.images, len(self.view_specs), self.codes_per_view

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that other facts do not have."""
        return sha256_json(self.as_dict())[:12]

    def parts(self) -> list[range]:
        """The images of each part: ``part_images`` of them, the last may have fewer."""
        return [
            range(first, min(first + self.part_images, self.images))
            for first in range(0, self.images, self.part_images)
        ]

    def differences(self, wanted: Mapping[str, Any]) -> list[str]:
        """Lines that say which of the ``wanted`` facts (by field) are others here."""
        own = self.as_dict()
        return [f"{key}: {own[key]!r}, but {value!r} is needed" for key, value in wanted.items() if own[key] != value]
