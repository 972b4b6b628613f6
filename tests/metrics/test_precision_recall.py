"""Precision and recall against brute force over all pairs, and on sets whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.errors import ScoreError
from titok.metrics.manifold import Exact
from titok.metrics.precision_recall import precision_recall


def cloud(count: int, dim: int, seed: int, centre: float = 0.0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + centre


def brute_force(points: np.ndarray, queries: np.ndarray, neighbours: int) -> float:
    """Share of queries within the k-th neighbour's distance of any point, one pair at a time."""
    inside = 0
    radii = [sorted(np.linalg.norm(points - point, axis=1))[neighbours] for point in points]
    for query in queries:
        inside += any(np.linalg.norm(query - point) <= radius for point, radius in zip(points, radii, strict=True))
    return inside / len(queries)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
@pytest.mark.parametrize("block_rows", [1, 16, 1000])
def test_equals_brute_force(neighbours: int, block_rows: int) -> None:
    references, samples = cloud(60, 4, 0), cloud(45, 4, 1, centre=0.8)
    result = precision_recall(references, samples, neighbours, Exact(block_rows))
    real, fake = references.double().numpy(), samples.double().numpy()
    assert result.precision == brute_force(real, fake, neighbours)
    assert result.recall == brute_force(fake, real, neighbours)
    assert 0 < result.precision < 1
    assert 0 < result.recall < 1


@pytest.mark.parametrize("block_rows", [7, 1000])
def test_ties_are_ties(block_rows: int) -> None:
    """Points of a lattice: many distances are equal to a radius, and integers say so exactly."""
    draws = np.random.default_rng(0)
    real, fake = draws.integers(0, 4, (500, 6)), draws.integers(1, 5, (400, 6))

    def reached(points: np.ndarray, queries: np.ndarray) -> float:
        radii = np.sort(np.square(points[:, None] - points).sum(-1), axis=1)[:, 3]
        return float((np.square(queries[:, None] - points).sum(-1) <= radii).any(axis=1).mean())

    references, samples = (torch.from_numpy(points).float() for points in (real, fake))
    result = precision_recall(references, samples, arithmetic=Exact(block_rows))
    assert (result.precision, result.recall) == (reached(real, fake), reached(fake, real))
    assert 0.1 < result.precision < 0.9


def test_equal_sets_cover_each_other() -> None:
    points = cloud(50, 8, 2)
    assert precision_recall(points, points.flip(0)) == precision_recall(points, points)
    assert precision_recall(points, points).precision == 1.0


def test_far_sets_do_not_touch() -> None:
    result = precision_recall(cloud(50, 8, 3), cloud(50, 8, 4, centre=100.0))
    assert (result.precision, result.recall) == (0.0, 0.0)


def test_dropped_modes_cost_recall_only() -> None:
    references = torch.cat([cloud(50, 4, 5), cloud(50, 4, 6, centre=50.0)])
    result = precision_recall(references, cloud(200, 4, 7) * 0.3)
    assert result.precision > 0.95
    assert result.recall <= 0.5


def test_features_far_from_zero_keep_their_distances() -> None:
    references, samples = cloud(60, 4, 8).double(), cloud(60, 4, 9, centre=1.0).double()
    assert precision_recall(references + 1e8, samples + 1e8) == precision_recall(references, samples)


def test_errors_say_what_was_found() -> None:
    points = cloud(10, 4, 10)
    with pytest.raises(ScoreError, match="samples are 3, but 3 neighbours need at least 4"):
        precision_recall(points, points[:3])
    with pytest.raises(ScoreError, match=r"samples have shape \(10, 5\)"):
        precision_recall(points, cloud(10, 5, 11))
    with pytest.raises(ScoreError, match="features of the references are NaN"):
        precision_recall(points * torch.nan, points)
