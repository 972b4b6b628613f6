"""A dataset of any size: images are decoded from the shards whenever they are needed, by worker processes.

Memory holds the index, a few batches per worker, and never the images. Letters: N images, B batch, S side of the crop.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from titok.config.data import ResizeRule
from titok.config.training import Decoder
from titok.data.decoders import WINDOWS, Window
from titok.data.images import BATCH_SIZE, Batch, Where
from titok.data.loading import ReadAhead, batches_of, in_order
from titok.data.order import batch_indices, rank_slice
from titok.data.shards import ShardReader
from titok.data.transforms import Crop, centre_of, draw_crop, from_uint8, resized_size
from titok.runtime.seed import generator


class StreamedSet:
    """Images of one split, of any aspect ratio, in their shards."""

    def __init__(
        self, directory: str | Path, split: str, resize: int, rule: ResizeRule = "official", *, workers: int = 0
    ) -> None:
        """``workers``: processes that decode, 0 for this one; nothing but the speed depends on it."""
        self.reader = ShardReader(directory, split)
        self.resize = resize
        self.rule: ResizeRule = rule
        self.workers = workers
        self.labels = torch.from_numpy(self.reader.labels)

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def keys(self) -> np.ndarray:
        """(N,) names of the samples; made when asked for."""
        return self.reader.keys

    @property
    def split(self) -> str:
        """Which part of the dataset they are, such as ``test``."""
        return self.reader.split

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, files and labels."""
        return self.reader.fingerprint

    def crops(
        self, crop: int, batch_size: int = BATCH_SIZE, where: Where | None = None, only: Sequence[int] | None = None
    ) -> Iterator[Batch]:
        """Every image once, in order; see ``titok.data.images.Images``. Always decoded by Pillow."""
        read = functools.partial(self._read, crop, where)
        parts = batches_of(range(len(self)) if only is None else only, batch_size)
        for images, labels in in_order(read, parts, workers=self.workers, name=self.reader.name):
            yield Batch(from_uint8(images), labels)

    def resized_size(self, index: int) -> tuple[int, int]:
        """(width, height) of image ``index`` after resizing."""
        return resized_size(*self.reader.size(index), self.resize, self.rule)

    def window(self, index: int, crop: int, where: Crop, cut: Window = WINDOWS["pillow"]) -> torch.Tensor:
        """(3, S, S) uint8: the window ``where`` of image ``index``."""
        return cut(self.reader, index, self.resize, crop, where, self.rule)

    def _read(self, crop: int, where: Where | None, index: int) -> Batch:
        size = self.resized_size(index)
        chosen = where(*size, crop, index) if where else centre_of(*size, crop)
        return Batch(self.window(index, crop, chosen), self.labels[index])


class StreamedTraining:
    """Endless augmented batches, each a function of the step number alone; the next ones are read ahead.

    Order, ``batch_size``, ``rank`` and ``world_size`` as in ``titok.data.images.TrainingImages``. Each image's crop and
    flip are drawn in the official order from a stream of its own, named by the step and its position in the global
    batch, so that who reads it changes nothing. Steps asked for one after the other are read ahead by the workers;
    any other step is found at once and starts them anew.
    """

    def __init__(
        self,
        images: StreamedSet,
        crop: int,
        batch_size: int,
        seed: int,
        random_crop: bool = True,
        random_flip: bool = True,
        *,
        decoder: Decoder = "pillow",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._reading = _Reading(images, crop, seed, random_crop, random_flip, WINDOWS[decoder])
        share = rank_slice(batch_size, rank, world_size)
        requests = functools.partial(requests_of, share, batch_size, len(images), seed)
        self._ahead = ReadAhead(self._reading, requests, workers=images.workers, name=self._reading.name)

    def batch(self, step: int) -> Batch:
        """Batch ``step`` (from 0): (B, 3, S, S) uint8 and (B,) int64."""
        return Batch(*self._ahead.at(step))

    def close(self) -> None:
        """Ends the workers; the next batch starts them again."""
        self._ahead.close()


class Position(NamedTuple):
    """One image of one global batch."""

    step: int
    position: int
    sample: int


def requests_of(share: slice, batch_size: int, size: int, seed: int, step: int) -> list[Position]:
    """This process's share of batch ``step``."""
    samples = batch_indices(step, batch_size, size, seed).tolist()
    return [Position(step, position, samples[position]) for position in range(batch_size)[share]]


@dataclass(frozen=True, eq=False)
class _Reading:
    """How one image of a batch is read.

    An object of its own, because workers end with the last reference to what they do: nothing here may refer back to
    the batches that own them.
    """

    images: StreamedSet
    crop: int
    seed: int
    random_crop: bool
    random_flip: bool
    cut: Window

    def __call__(self, request: Position) -> Batch:
        draws = generator(self.seed, "augment", request.step, request.position)
        size = self.images.resized_size(request.sample)
        where = draw_crop(*size, self.crop, draws, random_crop=self.random_crop, random_flip=self.random_flip)
        return Batch(self.images.window(request.sample, self.crop, where, self.cut), self.images.labels[request.sample])

    def name(self, request: Position) -> str:
        return self.images.reader.name(request.sample)
