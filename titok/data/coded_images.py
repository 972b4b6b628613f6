"""Training batches that carry the proxy codes of their images, computed once instead of at every step.

Only for crops that never change: codes belong to a crop, so with random crops or flips they are computed on the fly.
Letters: N images, B batch, P proxy codes per image, S side of the crop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from titok.data.images import ImageSet, TrainingImages
from titok.data.order import batch_indices, rank_slice


class CodedBatch(NamedTuple):
    """Images (B, 3, S, S) in [0, 1], their classes (B,) and their proxy codes (B, P) int64."""

    images: Tensor
    labels: Tensor
    codes: Tensor


class CodedImages:
    """Endless batches of centre crops with their codes; the same order as ``TrainingImages`` without random crops."""

    def __init__(
        self,
        images: ImageSet,
        crop: int,
        batch_size: int,
        seed: int,
        tokenize: Callable[[Tensor], Tensor],
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """``tokenize``: images (B, 3, S, S) to codes (B, P); called once for every image of the set."""
        self._source = TrainingImages(
            images, crop, batch_size, seed, random_crop=False, random_flip=False, rank=rank, world_size=world_size
        )
        self._codes = torch.cat([tokenize(batch.images).cpu() for batch in images.crops(crop)])
        self._batch_size = batch_size
        self._seed = seed
        self._share = rank_slice(batch_size, rank, world_size)

    def batch(self, step: int) -> CodedBatch:
        """Batch ``step`` (from 0)."""
        chosen = torch.from_numpy(batch_indices(step, self._batch_size, len(self._codes), self._seed))[self._share]
        return CodedBatch(*self._source.batch(step), self._codes[chosen])
