"""The images that were given the fewest tokens and the most, kept while a pass goes by, with all their lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Extremes:
    """At most ``count`` images at either end; nobody picks any.

    Of those with equally few tokens, the ones that are best by the criterion; of those with equally many, the worst.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []
        """Of the fewest first, then of the most: order (M, 2), images (M, 1 + L, 3, H, W) and lengths' places (M,)."""

    def update(
        self, originals: Tensor, restored: Tensor, places: Tensor, measured: Tensor, higher_is_better: bool
    ) -> None:
        """Originals (B, 3, H, W) and reconstructions (B, L, 3, H, W), both uint8; places and measures (B,)."""
        if not self.count:
            return
        images = torch.cat([originals[:, None], restored], dim=1).cpu()
        effort = torch.stack([places.double(), measured.double() * (-1 if higher_is_better else 1)], dim=1).cpu()
        new = [(effort, images, places.cpu()), (-effort, images, places.cpu())]
        kept = (
            [
                tuple(torch.cat(parts) for parts in zip(old, own, strict=True))
                for old, own in zip(self._kept, new, strict=True)
            ]
            if self._kept
            else new
        )
        self._kept = [self._first(*side) for side in kept]

    def _first(self, order: Tensor, images: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.from_numpy(np.lexsort((order[:, 1].numpy(), order[:, 0].numpy()))[: self.count].copy())
        return order[chosen], images[chosen], places[chosen]

    def arrays(self, lengths: Sequence[int]) -> dict[str, np.ndarray]:
        """``images`` (1 + L, M, H, W, 3) uint8 in rows of one length, originals first, their ``row_labels``, and
        ``tokens`` (M,) that each image was given: the fewest first, the most last."""
        if not self._kept:
            return {}
        (_, few, few_places), (_, many, many_places) = self._kept
        images = torch.cat([few, many.flip(0)]).permute(1, 0, 3, 4, 2).contiguous().numpy()
        given = np.array(lengths)[torch.cat([few_places, many_places.flip(0)]).numpy()]
        return {"images": images, "row_labels": np.array(["original", *map(str, lengths)]), "tokens": given}
