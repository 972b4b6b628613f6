"""The distance at infinite N: a line recovered exactly, and a known distance found where N images overestimate it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.metrics.extrapolation import ExtrapolationError, extrapolate, subset_sizes
from titok.metrics.frechet import frechet_distance


def test_a_line_is_found_exactly() -> None:
    sizes = subset_sizes(1000, 20, 10)
    line = extrapolate(lambda places: 3.0 + 70.0 / len(places), 1000, sizes, torch.Generator().manual_seed(0))
    assert (line.value, line.slope) == (pytest.approx(3.0), pytest.approx(70.0))
    assert line.sizes == tuple(sizes)
    assert line.distances[-1] == pytest.approx(3.07)


def test_the_bias_of_few_images_is_removed() -> None:
    dim, count = 24, 1500
    points = np.random.default_rng(1).standard_normal((count, dim))
    known = dim * 0.5**2  # N(0, I) against N(0, 2.25 I): the roots of the eigenvalues differ by 0.5

    def distance_of(places: np.ndarray) -> float:
        chosen = points[places]
        covariance = np.cov(chosen, rowvar=False)
        return frechet_distance(chosen.mean(axis=0), covariance, np.zeros(dim), 2.25 * np.eye(dim)).value

    sizes = subset_sizes(count, dim, 12)
    line = extrapolate(distance_of, count, sizes, torch.Generator().manual_seed(2))
    at_smallest = line.distances[0]
    assert at_smallest > known * 1.05
    assert abs(line.value - known) < abs(at_smallest - known) / 3
    assert line.slope > 0


def test_subsets_are_drawn_without_repetition_and_by_seed() -> None:
    seen: list[np.ndarray] = []

    def remember(places: np.ndarray) -> float:
        seen.append(places)
        return 0.0

    for _ in range(2):
        extrapolate(remember, 100, [10, 100], torch.Generator().manual_seed(3))
    np.testing.assert_array_equal(seen[0], seen[2])
    assert (np.diff(seen[0]) > 0).all()
    np.testing.assert_array_equal(seen[1], np.arange(100))


def test_sizes_keep_covariances_whole() -> None:
    assert subset_sizes(50_000, 2048, 10)[0] == 5000
    assert subset_sizes(10_000, 2048, 10)[0] == 2049
    assert subset_sizes(10_000, 2048, 10)[-1] == 10_000
    with pytest.raises(ExtrapolationError, match="4000 images of 2048 features"):
        subset_sizes(4000, 2048, 10)
