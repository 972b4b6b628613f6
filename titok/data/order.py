"""Which images are in a batch, from the step number alone.

The stream of training images is the concatenation of one shuffled pass over the dataset per epoch; batch ``step`` is
positions ``step * batch_size`` to ``(step + 1) * batch_size - 1`` of it. Nothing is carried from batch to batch, so a
resumed or differently distributed run sees exactly the same images, and every epoch sees every image once.
"""

from __future__ import annotations

import functools

import numpy as np

from titok.errors import DataError
from titok.runtime.seed import derive_seed


@functools.lru_cache(maxsize=4)
def permutation(size: int, seed: int, epoch: int) -> np.ndarray:
    """(size,) int64, the order of the dataset in one epoch; read-only, cached.

    Sorts the raw output of PCG64, which numpy keeps stable for ever; its shuffling methods may change between versions.
    """
    draws = np.random.PCG64(derive_seed(seed, "order", epoch)).random_raw(size)
    order = np.argsort(draws, kind="stable").astype(np.int64)
    order.flags.writeable = False
    return order


def batch_indices(step: int, batch_size: int, size: int, seed: int) -> np.ndarray:
    """(batch_size,) int64 positions in a dataset of ``size`` samples that batch ``step`` (from 0) is made of.

    Takes the same time for any step. A batch may span two epochs (several when it is larger than the dataset).
    """
    if size < 1 or batch_size < 1 or step < 0:
        raise DataError(
            f"size is {size}, batch_size {batch_size}, step {step}; sizes must be at least 1 and steps at least 0"
        )
    position, end = step * batch_size, (step + 1) * batch_size
    pieces = []
    while position < end:
        epoch, start = divmod(position, size)
        piece = permutation(size, seed, epoch)[start : start + end - position]
        pieces.append(piece)
        position += len(piece)
    return np.concatenate(pieces)


def rank_slice(batch_size: int, rank: int, world_size: int) -> slice:
    """The contiguous part of a global batch that process ``rank`` of ``world_size`` works on."""
    if batch_size % world_size:
        raise DataError(
            f"batch_size is {batch_size}, which {world_size} processes cannot share equally; "
            f"choose a multiple of {world_size}"
        )
    if not 0 <= rank < world_size:
        raise DataError(f"rank is {rank}; allowed for {world_size} processes: 0 to {world_size - 1}")
    share = batch_size // world_size
    return slice(rank * share, (rank + 1) * share)
