"""Views: which window of an image, mirrored or not, is meant by view number 3 of image number 70,000.

A window depends on the view and the image's number (and size) alone: any subset of the images, in any order, by any
number of workers and on any machine, is cut alike. Letters: B images at once, S side of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch

from titok.config.views import ViewSet
from titok.data.order import batch_indices, rank_slice
from titok.data.transforms import Crop, centre_offset
from titok.errors import DataError
from titok.runtime.seed import derive_seed, generator

Anchor = Literal["top left", "top right", "bottom left", "bottom right", "centre", "random"]
FIXED: dict[str, tuple[Anchor, ...]] = {
    "none": (),
    "centre": ("centre",),
    "five": ("top left", "top right", "bottom left", "bottom right", "centre"),
}
"""In the usual order of five-crop."""
_DRAWS = 3
"""Top, left, mirrored."""


class Crops(NamedTuple):
    """Windows of B images: rows and columns of their upper left corners (B,) int64, and whether mirrored (B,) bool."""

    top: np.ndarray
    left: np.ndarray
    flip: np.ndarray


@dataclass(frozen=True)
class View:
    """One view; made by `views_of`."""

    name: str
    anchor: Anchor
    mirrored: bool
    """For a random view: whether half of its windows are mirrored."""
    seed: int = 0
    number: int = 0
    """Of a random view among the random ones, from 0."""

    def spec(self) -> dict[str, Any]:
        """Everything that decides about the view's windows, as plain data."""
        if self.anchor != "random":
            return {"name": self.name, "window": self.anchor, "mirrored": self.mirrored}
        mirrored = "half" if self.mirrored else False
        draws = {"generator": "splitmix64", "seed": self.seed, "number": self.number}
        return {"name": self.name, "window": "random", "mirrored": mirrored, "draws": draws}

    def crop_of(self, width: int, height: int, crop: int, sample: int) -> Crop:
        """The window of side ``crop`` in image number ``sample`` of ``width`` x ``height`` pixels (after resizing)."""
        top, left, flip = self.crops_of(width, height, crop, np.array([sample]))
        return Crop(int(top[0]), int(left[0]), bool(flip[0]))

    def crops_of(self, width: int, height: int, crop: int, samples: np.ndarray) -> Crops:
        """The windows of images ``samples`` (B,), all of ``width`` x ``height`` pixels.

        Raises ``DataError`` when the window is larger than the image.
        """
        if crop > min(width, height):
            raise DataError(f"crop is {crop}, larger than the {width} x {height} pixels of the image; lower it")
        if self.anchor == "random":
            top, left, flip = _uniform(derive_seed(self.seed, "view", self.number), samples)
            rows, columns = (np.floor(u * (size - crop + 1)) for u, size in ((top, height), (left, width)))
            return Crops(rows.astype(np.int64), columns.astype(np.int64), self.mirrored & (flip < 0.5))
        row = {"top": 0, "bottom": height - crop}.get(self.anchor.split()[0], centre_offset(height, crop))
        column = {"left": 0, "right": width - crop}.get(self.anchor.split()[-1], centre_offset(width, crop))
        return Crops(*(np.full(len(samples), value) for value in (row, column, self.mirrored)))


def views_of(settings: ViewSet) -> tuple[View, ...]:
    """The views that the settings declare: fixed ones, the same mirrored, random ones."""
    fixed = [View(name, name, False) for name in FIXED[settings.crops]]
    mirrored = [View(f"{view.name} mirrored", view.anchor, True) for view in fixed] if settings.mirrored else []
    return (
        *fixed,
        *mirrored,
        *(
            View(f"random {number}", "random", settings.random_flip, settings.seed, number)
            for number in range(settings.random_crops)
        ),
    )


def crops_of(
    views: Sequence[View], numbers: np.ndarray, width: int, height: int, crop: int, samples: np.ndarray
) -> Crops:
    """The windows of images ``samples`` (B,), each in its own view: ``numbers`` (B,) into ``views``."""
    found = Crops(*(np.empty(len(samples), kind) for kind in (np.int64, np.int64, np.bool_)))
    for number in np.unique(numbers):
        chosen = numbers == number
        for column, values in zip(found, views[number].crops_of(width, height, crop, samples[chosen]), strict=True):
            column[chosen] = values
    return found


def drawn_views(step: int, batch_size: int, num_views: int, seed: int) -> torch.Tensor:
    """(batch_size,) int64: the number of the view in which each image of batch ``step`` is seen."""
    return torch.randint(0, num_views, (batch_size,), generator=generator(seed, "view", step))


class Draws(NamedTuple):
    """What is in which batch: images in shuffled order, each in one of its views, from the step number alone."""

    batch_size: int
    num_images: int
    num_views: int
    seed: int
    share: slice
    """This process's part."""

    @classmethod
    def of(cls, rows: np.ndarray, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> Self:
        """Of stored rows (N, V, F), for one of several processes, which share the global batch."""
        images, views, _ = rows.shape
        return cls(batch_size, images, views, seed, rank_slice(batch_size, rank, world_size))

    def columns(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (B,) and views (B,)."""
        views = drawn_views(step, self.batch_size, self.num_views, self.seed)
        return self.samples(step), views[self.share].numpy()

    def samples(self, step: int) -> np.ndarray:
        """Images (B,)."""
        return batch_indices(step, self.batch_size, self.num_images, self.seed)[self.share]


def _uniform(key: int, samples: np.ndarray) -> np.ndarray:
    """(3, B) float64 in [0, 1): outputs 3 i to 3 i + 2 of SplitMix64 with seed ``key`` for each sample i.

    A generator whose n-th output is a function of n serves any samples at once (Steele, Lea and Flood 2014);
    ``torch.Generator`` would take 30 microseconds for each.
    """
    position = np.arange(1, _DRAWS + 1, dtype=np.uint64)[:, None] + samples.astype(np.uint64) * np.uint64(_DRAWS)
    state = np.uint64(key) + position * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
