"""A small dataset wholly in memory, with crops and flips of a batch done at once.

Letters: N images, B batch, R resized side, S side of the crop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from titok.config.data import ResizeRule
from titok.data.loading import batches_of, in_order
from titok.data.order import batch_indices, rank_slice
from titok.data.shard_index import ShardError
from titok.data.shards import ShardReader
from titok.data.transforms import Crop, centre_of, centre_offset, crop_pixels, from_uint8, resized_size
from titok.runtime.seed import generator

BATCH_SIZE = 256
"""Images at a time where nothing else is asked for."""

Where = Callable[[int, int, int, int], Crop]
"""Which window of an image: (width, height) after resizing, side of the crop, the image's number."""


class Batch(NamedTuple):
    """Images (B, 3, S, S) and their classes (B,) int64.

    What is looked at once comes as float32 in [0, 1]; training batches stay uint8 until they are on their device
    (``titok.data.transforms.floats_on``).
    """

    images: torch.Tensor
    labels: torch.Tensor


class Images(Protocol):
    """The images of one split, wherever they are kept."""

    @property
    def labels(self) -> torch.Tensor:
        """(N,) int64 classes."""

    @property
    def keys(self) -> np.ndarray:
        """(N,) names of the samples."""

    @property
    def split(self) -> str:
        """Which part of the dataset they are, such as ``test``."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, files and labels: the same images have the same, however they are kept."""

    def __len__(self) -> int:
        """N."""

    def crops(
        self, crop: int, batch_size: int = BATCH_SIZE, where: Where | None = None, only: Sequence[int] | None = None
    ) -> Iterator[Batch]:
        """Every image once, in order, as the window that ``where`` says, or its centre; the last batch may be smaller.

        ``only``: these images, in this order. Pixels follow the official evaluation transform (specification 9),
        however the images are kept.
        """


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Resized square images of one split, in memory."""

    pixels: torch.Tensor
    """(N, 3, R, R) uint8."""
    labels: torch.Tensor
    """(N,) int64 classes."""
    keys: np.ndarray
    """(N,) names of the samples."""
    fingerprint: str
    """SHA-256 over names, files and labels."""
    split: str = "made up"
    """Which part of the dataset they are, such as ``test``."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """R."""
        return int(self.pixels.shape[-1])

    def crops(
        self, crop: int, batch_size: int = BATCH_SIZE, where: Where | None = None, only: Sequence[int] | None = None
    ) -> Iterator[Batch]:
        """Every image once, in order; see ``Images``."""
        centre = centre_of(self.side, self.side, crop)
        for part in batches_of(range(len(self)) if only is None else only, batch_size):
            chosen = [where(self.side, self.side, crop, index) if where else centre for index in part]
            top, left, flip = (torch.tensor(values) for values in zip(*chosen, strict=True))
            samples = torch.tensor(part)
            yield Batch(from_uint8(self.windows(samples, top, left, flip, crop)), self.labels[samples])

    def windows(
        self, samples: torch.Tensor, top: torch.Tensor, left: torch.Tensor, flip: torch.Tensor, crop: int
    ) -> torch.Tensor:
        """(B, 3, S, S) uint8: one window of each of ``samples`` (B,), mirrored where ``flip`` (B,).

        ``top`` and ``left`` (B,) are the windows' first rows and columns.
        """
        if not flip.any() and top.eq(top[0]).all() and left.eq(left[0]).all():  # a tenth of the time
            row, column = int(top[0]), int(left[0])
            whole = self.pixels.index_select(0, samples)
            return whole[:, :, row : row + crop, column : column + crop].contiguous()
        steps = torch.arange(crop)
        rows = top[:, None] + steps  # (B, S)
        columns = left[:, None] + torch.where(flip[:, None], steps.flip(0), steps)  # (B, S)
        channels = torch.arange(self.pixels.shape[1])
        return self.pixels[
            samples[:, None, None, None], channels[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
        ]


def load_images(
    directory: str | Path, split: str, resize: int, rule: ResizeRule = "official", *, workers: int = 0
) -> ImageSet:
    """Decodes and resizes a whole split, in ``workers`` processes; the images must be square after that."""
    with ShardReader(directory, split) as reader:
        images = torch.empty((len(reader), 3, resize, resize), dtype=torch.uint8)
        read = functools.partial(_square, reader, resize, rule)
        parts = batches_of(range(len(reader)), BATCH_SIZE)
        for number, batch in enumerate(in_order(read, parts, workers=workers, name=reader.name)):
            images[number * BATCH_SIZE :][: len(batch)] = batch
        return ImageSet(images, torch.from_numpy(reader.labels), reader.keys, reader.fingerprint, reader.split)


def _square(reader: ShardReader, resize: int, rule: ResizeRule, index: int) -> torch.Tensor:
    """(3, R, R) uint8."""
    width, height = resized_size(*reader.size(index), resize, rule)
    if width != height:
        raise ShardError(
            f"{reader.name(index)} is {width} x {height} pixels after resizing; only sets of square images can be held "
            f"in memory as one array: set in_memory: false"
        )
    return crop_pixels(reader.image(index), resize, resize, rule=rule)


class TrainingImages:
    """Endless augmented batches, each a function of the step number alone.

    ``batch_size`` counts the images of all processes; with ``world_size`` > 1 every process makes the same draws and
    keeps its contiguous share, so that the global batch does not depend on the number of processes.
    """

    def __init__(
        self,
        images: ImageSet,
        crop: int,
        batch_size: int,
        seed: int,
        random_crop: bool = True,
        random_flip: bool = True,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._images = images
        self._crop = crop
        self._batch_size = batch_size
        self._seed = seed
        self._random_flip = random_flip
        self._share = rank_slice(batch_size, rank, world_size)
        self._centre = centre_offset(images.side, crop)
        self._random_crop = random_crop and images.side > crop

    def batch(self, step: int) -> Batch:
        """Batch ``step`` (from 0): (B, 3, S, S) uint8 and (B,) int64."""
        indices = torch.from_numpy(batch_indices(step, self._batch_size, len(self._images), self._seed))
        draws = generator(self._seed, "augment", step)
        top = left = torch.full_like(indices, self._centre)
        if self._random_crop:
            highest = self._images.side - self._crop
            top, left = torch.randint(0, highest + 1, (2, self._batch_size), generator=draws)
        flip = torch.zeros_like(indices, dtype=torch.bool)
        if self._random_flip:
            flip = torch.rand(self._batch_size, generator=draws) < 0.5
        share = self._share
        windows = self._images.windows(indices[share], top[share], left[share], flip[share], self._crop)
        return Batch(windows, self._images.labels[indices[share]])
