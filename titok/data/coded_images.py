"""Training batches that carry the proxy codes of their images, which were computed before: once, not at every step.

Codes belong to a window, so each image is seen in one of the declared views (`titok.data.views`), cut exactly as it was
encoded: views of a file of codes (`titok.data.code_store`), or the centre alone, encoded when training starts. Letters:
N images, V views, P proxy codes per view, B batch, S side of the window.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from titok.data.images import Images, ImageSet
from titok.data.loading import ReadAhead
from titok.data.order import batch_indices, rank_slice
from titok.data.streamed import StreamedSet
from titok.data.transforms import from_uint8
from titok.data.views import View, crops_of, drawn_views


class CodedBatch(NamedTuple):
    """Images (B, 3, S, S) in [0, 1], their classes (B,) and their proxy codes (B, P) int64."""

    images: Tensor
    labels: Tensor
    codes: Tensor


class _Seen(NamedTuple):
    """One image of a batch, and the number of the view it is seen in."""

    sample: int
    view: int


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
        self._size = len(images)
        self._crop = crop
        self._views = views
        self._codes = codes
        self._batch_size = batch_size
        self._seed = seed
        self._share = rank_slice(batch_size, rank, world_size)
        self._ahead: ReadAhead[_Seen] | None = None
        if isinstance(images, ImageSet):
            self._at: Callable[[int], CodedBatch] = functools.partial(self._cut, images)
        else:
            name = images.reader.name
            self._ahead = ReadAhead(
                functools.partial(self._read, images),
                self._requests,
                workers=images.workers,
                name=lambda request: name(request.sample),
            )
            self._at = self._ahead.at

    def batch(self, step: int) -> CodedBatch:
        """Batch ``step`` (from 0)."""
        windows, labels, codes = self._at(step)
        return CodedBatch(from_uint8(windows), labels, codes)

    def close(self) -> None:
        """Ends the workers, if there are any; the next batch starts them again."""
        if self._ahead is not None:
            self._ahead.close()

    def _chosen(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (B,) and views (B,) of this process's share of a batch."""
        samples = batch_indices(step, self._batch_size, self._size, self._seed)
        views = drawn_views(step, self._batch_size, len(self._views), self._seed)
        return samples[self._share], views[self._share].numpy()

    def _cut(self, images: ImageSet, step: int) -> CodedBatch:
        """A whole batch at once; windows are still uint8."""
        samples, views = self._chosen(step)
        where = crops_of(self._views, views, images.side, images.side, self._crop, samples)
        top, left, flip = (torch.from_numpy(column) for column in where)
        chosen = torch.from_numpy(samples)
        codes = torch.from_numpy(self._codes[samples, views].astype(np.int64))
        return CodedBatch(images.windows(chosen, top, left, flip, self._crop), images.labels[chosen], codes)

    def _requests(self, step: int) -> list[_Seen]:
        return [_Seen(*request) for request in zip(*(column.tolist() for column in self._chosen(step)), strict=True)]

    def _read(self, images: StreamedSet, request: _Seen) -> CodedBatch:
        """One sample, in a worker; its window is still uint8."""
        sample, view = request
        where = self._views[view].crop_of(*images.resized_size(sample), self._crop, sample)
        codes = torch.from_numpy(self._codes[sample, view].astype(np.int64))
        return CodedBatch(images.window(sample, self._crop, where), images.labels[sample], codes)


def centre_codes(images: Images, crop: int, tokenize: Callable[[Tensor], Tensor]) -> np.ndarray:
    """(N, 1, P) int32: codes of every image's centre; ``tokenize`` turns images (B, 3, S, S) into codes (B, P)."""
    found = [tokenize(batch.images).to("cpu", torch.int32) for batch in images.crops(crop)]
    return torch.cat(found)[:, None].numpy()
