"""Density and coverage (Naeem et al. 2020): precision and recall that one outlier cannot move.

Both look at the balls of real images alone, each reaching to its k-th nearest other real image. Density counts in how
many balls samples lie, where precision asks whether in any; coverage is the share of balls that hold a sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from titok.metrics.manifold import Arithmetic, Exact, require_manifolds, squared_radii


@dataclass(frozen=True)
class DensityCoverage:
    """What one look at all pairs gives."""

    density: float
    """Balls around a sample over k, mean over samples: about 1 for samples like the real images; it may be more."""
    coverage: float
    """A fraction."""


def density_coverage(
    references: Tensor, samples: Tensor, neighbours: int = 5, arithmetic: Arithmetic | None = None
) -> DensityCoverage:
    """Density and coverage; who lies on a ball's surface lies outside, as in the authors' code.

    Args:
        references: features (M, F) of real images.
        samples: features (N, F) of samples.
        neighbours: k; a point is not its own neighbour.
        arithmetic: of the distances; null: ``Exact()``.

    Raises:
        ScoreError: the features disagree in F, a set has no more than k points, or a value is not finite.
    """
    require_manifolds(references, samples, neighbours)
    balls, covered = balls_and_cover(references, samples, neighbours, arithmetic or Exact())
    return DensityCoverage(float(balls.sum()) / (neighbours * len(balls)), float(covered.double().mean()))


def balls_and_cover(
    references: Tensor, samples: Tensor, neighbours: int, arithmetic: Arithmetic
) -> tuple[Tensor, Tensor]:
    """(N,) int64 in how many balls each sample lies, and (M,) whether each ball holds one."""
    real, fake = arithmetic.prepare(references, samples.to(references.device))
    radii = squared_radii(real, neighbours, arithmetic)
    reach = radii - arithmetic.slack(real, radii)
    balls = torch.zeros(len(fake), dtype=torch.int64, device=real.device)
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for rows, columns, distances in arithmetic.tiles(real, fake):
        within = distances < reach[rows, None]
        balls[columns] += within.sum(dim=0)
        covered[rows] |= within.any(dim=1)
    return balls, covered
