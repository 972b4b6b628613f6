"""What every source of images is: it lists a split, and reads one image of a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

import numpy as np

from titok.config.data_sources import Source
from titok.data.plan import Listing, Plan

Settings = TypeVar("Settings", bound=Source)


class SourceImages(ABC):
    """Bytes of the images of a plan, opened once by every process that makes shards."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @abstractmethod
    def read(self, row: np.void) -> bytes:
        """One image, in a file format that Pillow reads."""


Forms = Mapping[str, type[SourceImages]]
"""How a kind's images are read, by the `form` that its listings say; two kinds may share one."""


class ImageSource(ABC, Generic[Settings]):
    """A dataset of one kind, found by the section of that kind."""

    forms: ClassVar[Forms]

    def __init__(self, settings: Settings, num_classes: int) -> None:
        self.settings = settings
        self.num_classes = num_classes

    @abstractmethod
    def listing(self, split: str) -> Listing:
        """Every image of a split, from names and headers alone: a key (unique, safe as the name of a file), the name
        its source has for it, its class, and where it lies.

        Raises:
            SourceError: the images are not those that the study describes.
            DataError: a file is damaged or missing.
        """

    def count(self, split: str, enough: int) -> int | None:
        """An upper bound of the images of a split, or ``enough`` as soon as there are so many, where moments tell.

        Raises:
            SourceError: they cannot be listed.
        """
        return None
