"""Improved precision and recall (Kynkaanniemi et al. 2019): do samples lie among real images, and the other way round.

A set's manifold is the union of balls around its points, each reaching to its k-th nearest neighbour in the set.
Precision is the share of samples inside the real manifold, recall the share of real images inside the samples'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import squared_distances

BLOCK_ROWS = 1024
"""Rows of the distance matrix held at once; memory is this times the number of points, never N x N."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Both as fractions."""

    precision: float
    recall: float


def precision_recall(
    references: Tensor, samples: Tensor, neighbours: int = 3, block_rows: int = BLOCK_ROWS
) -> PrecisionRecall:
    """Precision and recall of samples against real images.

    Args:
        references: features (M, F) of real images.
        samples: features (N, F) of samples.
        neighbours: k; a point is not its own neighbour.
        block_rows: distances are computed this many rows at a time; changes memory, not the result.

    Raises:
        ScoreError: the features disagree in F, a set has no more than k points, or a value is not finite.
    """
    for name, features in (("references", references), ("samples", samples)):
        if features.ndim != 2 or features.shape[1] != references.shape[1]:
            raise ScoreError(f"{name} have shape {tuple(features.shape)}; allowed: (N, {references.shape[-1]})")
        if len(features) <= neighbours:
            raise ScoreError(f"{name} are {len(features)}, but {neighbours} neighbours need at least {neighbours + 1}")
        if not torch.isfinite(features).all():
            raise ScoreError(f"some features of the {name} are NaN or infinite")
    # Distances do not change when both sets move; near the origin their rounding errors are smallest.
    origin = references.double().mean(dim=0)
    real, fake = references.double() - origin, samples.to(references.device).double() - origin
    return PrecisionRecall(
        precision=_share_inside(fake, real, _radii(real, neighbours, block_rows), block_rows),
        recall=_share_inside(real, fake, _radii(fake, neighbours, block_rows), block_rows),
    )


def _radii(points: Tensor, neighbours: int, block_rows: int) -> Tensor:
    """(N,) squared distance of each point to its k-th nearest other point."""
    blocks = [
        # The nearest point of all is the point itself, hence k + 1.
        squared_distances(block, points).kthvalue(neighbours + 1, dim=1).values
        for block in points.split(block_rows)
    ]
    return torch.cat(blocks)


def _share_inside(queries: Tensor, points: Tensor, radii: Tensor, block_rows: int) -> float:
    inside = [(squared_distances(block, points) <= radii).any(dim=1) for block in queries.split(block_rows)]
    return float(torch.cat(inside).double().mean())
