"""Stored codes compared with codes computed now.

Only codes can be: a quantizer says how far a stored one is from the nearest, and so tells rounding from damage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from titok.data.loading import batches_of, in_order
from titok.data.rows.extraction import ViewReader
from titok.data.rows.facts import RowsError
from titok.data.rows.store import RowStore
from titok.runtime.seed import derive_seed

Gap = Callable[[Tensor, Tensor], Tensor]
"""Windows (B, 3, S, S) uint8 and codes (B, P) to how much farther than the nearest code each is, (B, P), relative to
the squared lengths involved; 0 is the nearest."""


class Verification(NamedTuple):
    """Outcome of encoding some images again."""

    images: int
    codes: int
    changed: int
    """Codes that are others now."""
    worst_gap: float
    """Of the changed ones: how much farther the stored code is than the nearest, relatively; rounding gives 1e-6."""


def verify_sample(
    store: RowStore,
    read: ViewReader,
    gap: Gap,
    *,
    samples: int,
    seed: int,
    batch_size: int,
    workers: int,
    tolerance: float,
    tell: Callable[[int], object] = lambda images: None,
) -> Verification:
    """Encodes ``samples`` random images again, all views, and compares.

    Rounding differs with batch sizes, devices and versions, so a code counts as wrong only when it is farther from the
    latent than the nearest one by more than ``tolerance``.

    Raises ``RowsError`` that names the image and view of the first wrong code, and how many there are.
    """
    chosen = random_samples(len(store.rows), samples, seed)
    names = [spec["name"] for spec in store.facts.view_specs]
    changed, worst, wrong = 0, 0.0, []
    batches = list(batches_of(chosen, max(1, batch_size // len(names))))
    for batch, windows in zip(batches, in_order(read, batches, workers=workers, name=read.samples.name), strict=True):
        stored = torch.from_numpy(store.rows[batch].astype(np.int64))  # (B, V, P)
        parts = zip(windows.flatten(0, 1).split(batch_size), stored.flatten(0, 1).split(batch_size), strict=True)
        gaps = torch.cat([gap(*part) for part in parts]).unflatten(0, stored.shape[:2])
        changed += int((gaps > 0).sum())
        worst = max(worst, float(gaps.max()))
        wrong += [(batch[i], names[v]) for i, v, _ in (gaps > tolerance).nonzero().tolist()]
        tell(len(batch))
    checked = len(chosen) * store.rows[0].size
    if wrong:
        (index, view), images = wrong[0], len({index for index, _ in wrong})
        raise RowsError(
            f"{store.path}: {len(wrong)} of {checked} codes of {images} of {len(chosen)} images are not the nearest "
            f"ones (first: view {view!r} of {read.samples.name(index)}; relative gap up to {worst:.2g}, allowed "
            f"{tolerance:.2g}); images, VQGAN or file were changed, or decoding differs: extract the codes again"
        )
    return Verification(len(chosen), checked, changed, worst)


def random_samples(count: int, wanted: int, seed: int) -> list[int]:
    """``wanted`` different numbers below ``count`` (all, if there are no more), in ascending order."""
    draws = np.random.PCG64(derive_seed(seed, "verify")).random_raw(count)
    return sorted(np.argsort(draws, kind="stable")[:wanted].tolist())
