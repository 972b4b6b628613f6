"""Training batches that carry the proxy codes of their images, which were computed before: once, not at every step.

Codes belong to a window, so each image is seen in one of the declared views (`titok.data.views`), cut exactly as it was
encoded: views of a file of codes (`titok.data.rows.store`), or the centre alone, encoded when training starts. Letters:
N images, V views, P proxy codes per view, B batch, S side of the window.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from titok.data.images import Images, ImageSet
from titok.data.loading import ReadAhead
from titok.data.streamed import StreamedSet
from titok.data.views import Draws, View, crops_of


class CodedBatch(NamedTuple):
    """Images (B, 3, S, S) uint8, their classes (B,) and their proxy codes (B, P) int64."""

    images: Tensor
    labels: Tensor
    codes: Tensor


class CodedImages:
    """Endless batches, each a function of the step number alone; a random view per image and step.

    Order, ``batch_size``, ``rank`` and ``world_size`` as in ``titok.data.images.TrainingImages``, views drawn as in
    ``titok.data.tokens.TrainingTokens``. Streamed images are read ahead by their workers, together with their codes.
    """

    def __init__(
        self,
        images: ImageSet | StreamedSet,
        crop: int,
        views: Sequence[View],
        codes: np.ndarray,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """``codes``: (N, V, P) integers, in memory or memory-mapped, of the windows of side ``crop``."""
        if codes.shape[:2] != (len(images), len(views)):
            raise ValueError(
                f"codes have shape {codes.shape}, but there are {len(images)} images and {len(views)} views"
            )
        draws = Draws.of(codes, batch_size, seed, rank, world_size)
        self._ahead: ReadAhead[_Seen] | None = None
        if isinstance(images, ImageSet):
            kind = _Cut if len(views) == 1 else _Cutting
            self._at: Callable[[int], CodedBatch] = kind(images, crop, views, codes, draws)
        else:
            reading = _Reading(images, crop, views, codes)
            requests = functools.partial(_requests, draws)
            self._ahead = ReadAhead(reading, requests, workers=images.workers, name=reading.name)
            self._at = self._ahead.at

    def batch(self, step: int) -> CodedBatch:
        """Batch ``step`` (from 0)."""
        return CodedBatch(*self._at(step))

    def close(self) -> None:
        """Ends the workers, if there are any; the next batch starts them again."""
        if self._ahead is not None:
            self._ahead.close()


class _Seen(NamedTuple):
    """One image of a batch, and the number of the view it is seen in."""

    sample: int
    view: int


def _requests(draws: Draws, step: int) -> list[_Seen]:
    return [_Seen(*request) for request in zip(*(column.tolist() for column in draws.columns(step)), strict=True)]


@dataclass(frozen=True, eq=False)
class _Cutting:
    """Makes a whole batch at once from images in memory; windows are still uint8."""

    images: ImageSet
    crop: int
    views: Sequence[View]
    codes: np.ndarray
    draws: Draws

    def __call__(self, step: int) -> CodedBatch:
        samples, views = self.draws.columns(step)
        side = self.images.side
        where = crops_of(self.views, views, side, side, self.crop, samples)
        top, left, flip = (torch.from_numpy(column) for column in where)
        chosen = torch.from_numpy(samples)
        codes = torch.from_numpy(self.codes[samples, views].astype(np.int64))
        return CodedBatch(self.images.windows(chosen, top, left, flip, self.crop), self.images.labels[chosen], codes)


class _Cut:
    """Takes batches from images in memory whose only windows were cut before: of a small model's step, cutting them at
    every step took a twentieth."""

    def __init__(self, images: ImageSet, crop: int, views: Sequence[View], codes: np.ndarray, draws: Draws) -> None:
        everyone = np.arange(len(images))
        where = views[0].crops_of(images.side, images.side, crop, everyone)
        top, left, flip = (torch.from_numpy(column) for column in where)
        windows = images.windows(torch.from_numpy(everyone), top, left, flip, crop)
        self._columns = windows, images.labels, torch.from_numpy(codes[:, 0].astype(np.int64))
        self._draws = draws

    def __call__(self, step: int) -> CodedBatch:
        samples = torch.from_numpy(self._draws.samples(step))
        return CodedBatch(*(column.index_select(0, samples) for column in self._columns))


@dataclass(frozen=True, eq=False)
class _Reading:
    """Reads one image and its codes, in a worker; the window is still uint8.

    Knows nothing of the batches that own it: workers end with the last reference to what they do.
    """

    images: StreamedSet
    crop: int
    views: Sequence[View]
    codes: np.ndarray

    def __call__(self, request: _Seen) -> CodedBatch:
        sample, view = request
        where = self.views[view].crop_of(*self.images.resized_size(sample), self.crop, sample)
        codes = torch.from_numpy(self.codes[sample, view].astype(np.int64))
        return CodedBatch(self.images.window(sample, self.crop, where), self.images.labels[sample], codes)

    def name(self, request: _Seen) -> str:
        return self.images.reader.name(request.sample)


def centre_codes(images: Images, crop: int, tokenize: Callable[[Tensor], Tensor]) -> np.ndarray:
    """(N, 1, P) int32: codes of every image's centre; ``tokenize`` turns images (B, 3, S, S) into codes (B, P)."""
    found = [tokenize(batch.images).to("cpu", torch.int32) for batch in images.crops(crop)]
    return torch.cat(found)[:, None].numpy()
