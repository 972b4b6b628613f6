"""What stored rows are rows of, as plain data: the words in which a store and its users must agree.

A *row* is what a frozen network says of one view of one image: ids (proxy codes, tokens) or a linear probe's features.
Letters: N images, V views, F numbers in a row, S side of a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np

from titok.config.adaptive_length import TokenLengths
from titok.config.data import Dataset, ResizeRule
from titok.config.model import VQGANModel
from titok.config.views import MAX_IDS, StoredCodes, ViewSet
from titok.data.views import View, views_of
from titok.errors import TitokError
from titok.runtime.sums import sha256_json

FORMAT = "titok-proxy-codes-1"
PART_IMAGES = 1024
"""Images per part where no settings say: what a killed extraction repeats at most."""
Precision = Literal["fp32", "bf16", "tf32"]
_IN_DOCUMENTS = {"network_sha256": "vqgan_sha256", "columns": "codes_per_view"}
"""Names from when rows were proxy codes alone: documents, and identities made of them, stay what they were."""
_LATER = ("lengths", "readings")


class RowsError(TitokError):
    """Stored rows that are missing, damaged, incomplete, or rows of something else."""


@dataclass(frozen=True)
class Facts:
    """Everything that decides about the rows; who computed them is noted with each part instead."""

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
    """What these settings meant when the rows were made, view by view."""
    network_sha256: str
    """Of the network's file of weights."""
    codebook_size: int | None
    """Of ids; None: features, in float32."""
    columns: int
    """F."""
    precision: Precision
    part_images: int
    decoder: str = "pillow"
    format: str = FORMAT
    lengths: dict[str, Any] | None = None
    """How each view got a length of its own, which its row ends with; None: all rows are of one length."""
    readings: list[str] | None = None
    """Of features: what of the network they are."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        settings: StoredCodes,
        *,
        fingerprint: str,
        images: int,
        network_sha256: str,
        columns: int,
        codebook_size: int | None = None,
        precision: Precision = "fp32",
        lengths: TokenLengths | None = None,
        readings: Sequence[str] | None = None,
    ) -> Self:
        """Of rows of a dataset's images, in the framing and views of ``settings``; the rest as the fields say.

        Raises ``RowsError`` for a codebook whose ids do not fit 16 bits.
        """
        if codebook_size and codebook_size > MAX_IDS:
            raise RowsError(
                f"the codebook has {codebook_size} codes; allowed: at most {MAX_IDS}, they are kept in 16 bits"
            )
        resize, rule, crop = settings.framing(dataset)
        return cls(
            fingerprint=fingerprint,
            images=images,
            resize=resize,
            resize_rule=rule,
            crop=crop,
            views=settings.views.resolved(),
            view_specs=[view.spec() for view in views_of(settings.views)],
            network_sha256=network_sha256,
            codebook_size=codebook_size,
            columns=columns,
            precision=precision,
            part_images=settings.part_images,
            lengths=lengths.resolved() if lengths else None,
            readings=list(readings) if readings else None,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any], where: object) -> Self:
        """The facts in a JSON document; raises ``RowsError`` unless this version can work with them."""
        found = document.get("format")
        if found != FORMAT:
            raise RowsError(f"{where}: format is {found!r}, this version reads {FORMAT!r}; extract them again")
        names = {written: name for name, written in _IN_DOCUMENTS.items()}
        try:
            facts = cls(**{names.get(key, key): value for key, value in document.items()})
        except TypeError as error:
            raise RowsError(f"{where}: {error}; it was altered: extract them again") from error
        if [view.spec() for view in facts.view_list()] != facts.view_specs:
            raise RowsError(f"{where}: its views mean other windows in this version; extract them again")
        return facts

    def as_dict(self) -> dict[str, Any]:
        """Plain data, without lengths and readings where there are none."""
        found = {name: value for name, value in asdict(self).items() if value is not None or name not in _LATER}
        return {_IN_DOCUMENTS.get(name, name): value for name, value in found.items()}

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that other facts do not have."""
        return sha256_json(self.as_dict())[:12]

    @property
    def what(self) -> str:
        """What messages call the rows."""
        return "ids" if self.codebook_size else "features"

    @property
    def dtype(self) -> np.dtype:
        """Of the numbers."""
        return np.dtype("<u2" if self.codebook_size else "<f4")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, V, F)."""
        return self.images, len(self.view_specs), self.columns

    @property
    def highest(self) -> int | None:
        """The largest number allowed in rows of ids, which may end with a length."""
        return max(self.codebook_size - 1, self.columns if self.lengths else 0) if self.codebook_size else None

    def view_list(self) -> tuple[View, ...]:
        """The views, in the order of the rows."""
        return views_of(ViewSet.model_validate(self.views))

    def parts(self) -> list[range]:
        """The images of each part: ``part_images`` of them, the last may have fewer."""
        return [
            range(first, min(first + self.part_images, self.images))
            for first in range(0, self.images, self.part_images)
        ]

    def differences(self, wanted: Mapping[str, Any]) -> list[str]:
        """Lines that say which of the ``wanted`` facts (by their names in documents) are others here."""
        own = self.as_dict()
        return [
            f"{key}: {own.get(key)!r}, but {value!r} is needed"
            for key, value in wanted.items()
            if own.get(key) != value
        ]


def codes_of_a_window(side: int, vqgan: VQGANModel) -> int:
    """P, proxy codes of a window of ``side`` pixels; raises ``RowsError`` where patches do not fill it."""
    if side % vqgan.downsampling:
        raise RowsError(
            f"windows of {side} pixels do not split into the VQGAN's patches of {vqgan.downsampling}; set "
            f"dataset.image_size to a multiple of {vqgan.downsampling}"
        )
    return (side // vqgan.downsampling) ** 2
