"""Training batches that carry the tokens of a frozen encoder, which were computed before: once, not at every step.

For images in memory whose window never changes, as `titok.data.coded_images` has proxy codes. Letters: N images, K
tokens, E their width, B batch, S side of the window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from titok.data.images import ImageSet, centre_offset
from titok.data.order import batch_indices, rank_slice

MOST_BYTES = 2**30
"""Of tokens that are kept; more are computed for each batch."""


class TokenedBatch(NamedTuple):
    """Images (B, 3, S, S) uint8, their classes (B,) and their tokens (B, K, E)."""

    images: Tensor
    labels: Tensor
    tokens: Tensor


class TokenedImages:
    """Endless batches, each a function of the step number alone: the same images as those of ``TrainingImages``."""

    def __init__(
        self,
        images: ImageSet,
        crop: int,
        encode: Callable[[Tensor], Tensor],
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """``encode``: images (B, 3, S, S) in [0, 1] to tokens (B, K, E)."""
        everyone, start = torch.arange(len(images)), torch.full((len(images),), centre_offset(images.side, crop))
        windows = images.windows(everyone, start, start, torch.zeros_like(everyone, dtype=torch.bool), crop)
        tokens = torch.cat([encode(batch.images) for batch in images.crops(crop)])
        self._columns = windows, images.labels, tokens
        self._order = batch_size, len(images), seed
        self._share = rank_slice(batch_size, rank, world_size)

    def batch(self, step: int) -> TokenedBatch:
        """Batch ``step`` (from 0)."""
        samples = torch.from_numpy(batch_indices(step, *self._order)[self._share])
        return TokenedBatch(*(column.index_select(0, samples) for column in self._columns))
