"""Improved precision and recall (Kynkaanniemi et al. 2019): do samples lie among real images, and the other way round.

A set's manifold is the union of balls around its points, each reaching to its k-th nearest neighbour in the set.
Precision is the share of samples inside the real manifold, recall the share of real images inside the samples'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from titok.metrics.manifold import Arithmetic, Exact, require_manifolds, squared_radii


@dataclass(frozen=True)
class PrecisionRecall:
    """Both as fractions."""

    precision: float
    recall: float


def precision_recall(
    references: Tensor, samples: Tensor, neighbours: int = 3, arithmetic: Arithmetic | None = None
) -> PrecisionRecall:
    """Precision and recall of samples against real images; who lies on a ball's surface lies inside.

    Args:
        references: features (M, F) of real images.
        samples: features (N, F) of samples.
        neighbours: k; a point is not its own neighbour.
        arithmetic: of the distances; null: ``Exact()``. ADM's is ``titok.metrics.adm_distances.Float16Blocks()``.

    Raises:
        ScoreError: the features disagree in F, a set has no more than k points, or a value is not finite.
    """
    require_manifolds(references, samples, neighbours)
    found_real, found_fake = inside(references, samples, neighbours, arithmetic or Exact())
    return PrecisionRecall(precision=float(found_fake.double().mean()), recall=float(found_real.double().mean()))


def inside(references: Tensor, samples: Tensor, neighbours: int, arithmetic: Arithmetic) -> tuple[Tensor, Tensor]:
    """(M,) and (N,) whether a real image lies in a sample's ball, and a sample in a real image's.

    From one look at each pair: in float16 the distance of a to b is not always the distance of b to a.
    """
    real, fake = arithmetic.prepare(references, samples.to(references.device))
    reach_real, reach_fake = (_reach(points, neighbours, arithmetic) for points in (real, fake))
    found_real, found_fake = (torch.zeros(len(points), dtype=torch.bool, device=real.device) for points in (real, fake))
    for rows, columns, distances in arithmetic.tiles(real, fake):
        found_real[rows] |= (distances <= reach_fake[columns]).any(dim=1)
        found_fake[columns] |= (distances <= reach_real[rows, None]).any(dim=0)
    return found_real, found_fake


def _reach(points: Tensor, neighbours: int, arithmetic: Arithmetic) -> Tensor:
    radii = squared_radii(points, neighbours, arithmetic)
    return radii + arithmetic.slack(points, radii)
