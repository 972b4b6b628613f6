"""Squared distances as ADM's evaluator has them (guided-diffusion at 22e0df8, `DistanceBlock`): in float16, by blocks.

Published precision and recall come from these. A float16 step at the squared norms of Inception's features, about 500,
is 0.25 to 0.5, so that more points count as inside a ball, and both scores are a little higher than exact ones.

TensorFlow adds in an order of its own, another one on each device. Here sums are exact and rounded once, to what any
order comes close to and no device changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from titok.metrics.manifold import BLOCK_ROWS, Tile
from titok.runtime.elementwise import squared_distances

BLOCK = 10_000
"""Rows and columns of a block. One value of it that float16 cannot hold, and all of it is done in float32."""


class _Side(NamedTuple):
    """A block's points and their squared norms, both float16."""

    points: Tensor
    norms: Tensor

    @classmethod
    def of(cls, features: Tensor) -> _Side:
        points = features.half()
        return cls(points, _rounded(points.square().double().sum(dim=1)))


class Float16Blocks:
    """An arithmetic of ``titok.metrics.manifold``; memory is a block in float16 (200 MB) and some rows of it.

    Args:
        block: rows and columns of a block; another number is another arithmetic.
    """

    def __init__(self, block: int = BLOCK) -> None:
        self.block = block

    def prepare(self, references: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """In float32, as the network gives them."""
        return references.float(), samples.float()

    def tiles(self, rows: Tensor, columns: Tensor) -> Iterator[Tile]:
        """Blocks after ADM's order, each in strips of rows, float32."""
        for start in range(0, len(rows), self.block):
            for left in range(0, len(columns), self.block):
                across = slice(left, min(left + self.block, len(columns)))
                top = start
                for strip in _block(rows[start : start + self.block], columns[across]):
                    yield Tile(slice(top, top + len(strip)), across, strip.float())
                    top += len(strip)

    def slack(self, points: Tensor, radii: Tensor) -> Tensor:
        """None: ADM compares the rounded numbers."""
        return torch.zeros_like(radii)


def _block(rows: Tensor, columns: Tensor) -> Iterator[Tensor]:
    strips = []
    across = _Side.of(columns)
    for part in rows.split(BLOCK_ROWS):
        strips.append(_float16_distances(_Side.of(part), across))
        if not torch.isfinite(strips[-1]).all():
            del strips
            return _float32_block(rows, columns)
    return iter(strips)


def _float16_distances(rows: _Side, columns: _Side) -> Tensor:
    """(R, C) float16: each operation is rounded, in ADM's order; below 0 becomes 0, as does minus infinity."""
    products = _rounded(rows.points.double() @ columns.points.double().T)
    return (rows.norms[:, None] - 2 * products + columns.norms).clamp_min_(0.0)


def _float32_block(rows: Tensor, columns: Tensor) -> Iterator[Tensor]:
    across = columns.double()
    for part in rows.split(BLOCK_ROWS):
        yield squared_distances(part.double(), across).float()


def _rounded(sums: Tensor) -> Tensor:
    """Float64 to float16 by way of float32, in which TensorFlow accumulates."""
    return sums.float().half()
