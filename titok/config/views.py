"""Views: which windows of an image are encoded once and kept, as proxy codes or as tokens."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from titok.config.data import Dataset, ResizeRule
from titok.config.section import NonNegativeInt, PositiveInt, Section

MAX_IDS = 2**16
"""Ids are kept in 16 bits."""


class ViewSet(Section):
    """Windows of a resized image: fixed ones, each also mirrored if wanted, then random ones."""

    crops: Literal["none", "centre", "five"] = "centre"
    """The fixed windows: none, the centre, or the four corners and the centre. `five` with `mirrored` is ten-crop."""
    mirrored: bool = False
    """Every fixed window a second time, mirrored."""
    random_crops: NonNegativeInt = 0
    """Further windows, each drawn once for every image from `seed`, the view's number and the image's number alone."""
    random_flip: bool = True
    """Whether half of the random windows are mirrored."""
    seed: NonNegativeInt = 0
    """Of the random windows."""

    @property
    def number(self) -> int:
        """Views of one image."""
        fixed = {"none": 0, "centre": 1, "five": 5}[self.crops]
        return fixed * (2 if self.mirrored else 1) + self.random_crops

    @model_validator(mode="after")
    def _one_view_at_least(self) -> Self:
        if self.crops == "none" and not self.random_crops:
            raise ValueError(
                "crops is 'none' and random_crops is 0, which leaves no view; allowed: crops 'centre' or 'five', or "
                "random_crops of 1 or more"
            )
        return self


class StoredCodes(Section):
    """What stored proxy codes depend on, beside the images and the VQGAN."""

    views: ViewSet = ViewSet()
    """Training takes one of them at random for each image and step; `random_crop` and `random_flip` of its settings
    then say nothing."""
    resize: PositiveInt | None = None
    """Pixels of the shorter edge, of which the views are windows; null: the dataset's. Corners of ten-crop differ from
    the centre only if this is more than the dataset's `image_size` (1.1 times in the usual recipe)."""
    resize_rule: ResizeRule | None = None
    """Null: the dataset's."""
    part_images: PositiveInt = 4096
    """Images per part: what a killed extraction repeats at most, and what jobs share out."""

    def framing(self, dataset: Dataset) -> tuple[int, ResizeRule, int]:
        """Resize, its rule and the side of the windows, for images of ``dataset``."""
        return self.resize or dataset.resize, self.resize_rule or dataset.resize_rule, dataset.image_size

    def check(self, dataset: Dataset) -> None:
        """Raises ``ValueError`` when windows of ``dataset`` are larger than the resized images."""
        resize, _, side = self.framing(dataset)
        if resize < side:
            raise ValueError(
                f"proxy_codes.resize is {resize}, smaller than dataset.image_size {side}; allowed: {side} or more"
            )


class ProxyCodes(StoredCodes):
    """A study's proxy codes, extracted before stage 1."""

    jobs: PositiveInt = 1
    """Jobs that extract side by side; the result is the same for any number."""

    def stored(self) -> StoredCodes:
        """What jobs depend on."""
        return StoredCodes(**self.model_dump(include=set(StoredCodes.model_fields)))
