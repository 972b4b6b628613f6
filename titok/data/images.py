"""A small dataset wholly in memory, with crops and flips of a batch done at once.

Letters: N images, B batch, R resized side, S side of the crop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from titok.data.order import batch_indices, rank_slice
from titok.data.shard_index import ShardError
from titok.data.shards import ShardReader
from titok.data.transforms import centre_offset, from_uint8, pixels, resize_shorter_edge
from titok.runtime.seed import generator


class Batch(NamedTuple):
    """Images (B, 3, S, S) float32 in [0, 1] and their classes (B,) int64."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Resized square images of one split."""

    pixels: torch.Tensor
    """(N, 3, R, R) uint8."""
    labels: torch.Tensor
    """(N,) int64 classes."""
    keys: np.ndarray
    """(N,) names of the samples."""
    fingerprint: str
    """SHA-256 over pixels, labels and keys."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """R."""
        return int(self.pixels.shape[-1])


def load_images(directory: str | Path, split: str, resize: int) -> ImageSet:
    """Decodes a whole split and resizes the shorter edges to ``resize``; the images must be square after that."""
    with ShardReader(directory, split) as reader:
        images = [pixels(resize_shorter_edge(reader.image(index), resize)) for index in range(len(reader))]
        keys, labels = reader.keys, torch.from_numpy(reader.labels)
    for key, image in zip(keys, images, strict=True):
        if image.shape[1] != image.shape[2]:
            raise ShardError(
                f"split {split!r} of {directory}: sample {key} is {image.shape[2]} x {image.shape[1]} pixels "
                f"after resizing; only sets of square images can be held in memory as one array"
            )
    return image_set(torch.stack(images), labels, keys)


def image_set(pixel_values: torch.Tensor, labels: torch.Tensor, keys: np.ndarray) -> ImageSet:
    """``pixel_values`` (N, 3, R, R) uint8, ``labels`` (N,) int64 and ``keys`` (N,) with their fingerprint."""
    digest = hashlib.sha256(repr(tuple(pixel_values.shape)).encode())
    digest.update(pixel_values.contiguous().numpy().data)
    digest.update(labels.contiguous().numpy().astype("<i8").tobytes())
    digest.update("\n".join(keys.tolist()).encode())
    return ImageSet(pixel_values, labels, keys, digest.hexdigest())


def eval_images(images: ImageSet, crop: int, batch_size: int = 256) -> Iterator[Batch]:
    """Every image once, in order, centre-cropped; the last batch may be smaller."""
    offset = centre_offset(images.side, crop)
    window = images.pixels[:, :, offset : offset + crop, offset : offset + crop]
    for start in range(0, len(images), batch_size):
        chosen = slice(start, start + batch_size)
        yield Batch(from_uint8(window[chosen]), images.labels[chosen])


def view_images(
    images: ImageSet, crop: int, view: int, *, random_flip: bool = False, batch_size: int = 256
) -> Iterator[Batch]:
    """Every image once, in order, as its view number ``view``: 0 is the centre crop, others are random crops.

    A view's crops depend on its number alone, so tokens of another day or machine are of the same crops.
    """
    if view == 0:
        yield from eval_images(images, crop, batch_size)
        return
    draws = generator(view, "view")
    top, left = torch.randint(0, images.side - crop + 1, (2, len(images)), generator=draws)
    flip = torch.rand(len(images), generator=draws) < 0.5 if random_flip else torch.zeros(len(images), dtype=torch.bool)
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        chosen = torch.arange(len(images))[part]
        windows = _windows(images.pixels, chosen, top[part], left[part], flip[part], crop)
        yield Batch(from_uint8(windows), images.labels[part])


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
        """Batch ``step`` (from 0): (B, 3, S, S) float32 in [0, 1] and (B,) int64."""
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
        windows = _windows(self._images.pixels, indices[share], top[share], left[share], flip[share], self._crop)
        return Batch(from_uint8(windows), self._images.labels[indices[share]])


def _windows(
    source: torch.Tensor, indices: torch.Tensor, top: torch.Tensor, left: torch.Tensor, flip: torch.Tensor, size: int
) -> torch.Tensor:
    """(B, 3, size, size): one window per chosen image, mirrored where ``flip``.

    ``source`` (N, 3, R, R), the rest (B,).
    """
    steps = torch.arange(size)
    rows = top[:, None] + steps  # (B, S)
    columns = left[:, None] + torch.where(flip[:, None], steps.flip(0), steps)  # (B, S)
    channels = torch.arange(source.shape[1])
    return source[
        indices[:, None, None, None], channels[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
