"""The distance at infinite N: a line recovered exactly, and a known distance found where N images overestimate it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from titok.metrics.extrapolation import ExtrapolationError, extrapolate, subset_sizes
from titok.metrics.frechet import Normal, frechet_distance
from titok.metrics.influence import frechet_influences


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


def test_the_smallest_subset_knows_its_covariance() -> None:
    """Of 10,000 images with Inception's features nothing straight can be drawn."""
    assert subset_sizes(50_000, 2048, 10)[0] == 10_240
    assert subset_sizes(50_000, 2048, 10)[-1] == 50_000
    assert subset_sizes(50_000, 64, 10)[0] == 5000
    with pytest.raises(ExtrapolationError, match=r"10000 images of 2048 features .* at least 20480 images"):
        subset_sizes(10_000, 2048, 10)


FEATURES = 32
SPECTRUM = 50 / np.arange(1, FEATURES + 1) / np.sum(1 / np.arange(1, FEATURES + 1))
"""Variances that fall as those of a network's features do."""
TRUTH = 0.5


def simulated(count: int, smallest: int, repetitions: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Distances at infinite N of ``count`` images, repeated with others, and their standard errors."""
    shift = np.full(FEATURES, np.sqrt(0.3 / FEATURES))
    scale = 1 + np.sqrt(0.2 / SPECTRUM.sum())  # the roots of the eigenvalues differ by this factor: 0.2 in all
    other = Normal.of(shift, np.diag(SPECTRUM * scale**2), "other")
    sizes = sorted({int(size) for size in np.linspace(smallest, count, 10)})
    found = []
    for seed in range(repetitions):
        points = torch.from_numpy(np.random.default_rng(seed).standard_normal((count, FEATURES)) * np.sqrt(SPECTRUM))

        def normal(places: np.ndarray | slice, points: torch.Tensor = points) -> Normal:
            return Normal.of(points[places].mean(dim=0), points[places].T.cov(), "set's")

        def distance(places: np.ndarray, normal: Callable[[np.ndarray], Normal] = normal) -> float:
            return normal(places).distance(other).value

        line = extrapolate(distance, count, sizes, torch.Generator().manual_seed(seed))
        influence = frechet_influences(normal(slice(None)), other)[0]
        found.append((line.value, line.error(influence(points))))
    return tuple(np.transpose(found))


@pytest.mark.parametrize("per_feature", [10, 24])
def test_the_value_is_right_and_its_error_is_that_of_other_images(per_feature: int) -> None:
    count = per_feature * FEATURES
    values, errors = simulated(count, subset_sizes(count, FEATURES, 10)[0])
    scatter = values.std(ddof=1)
    assert abs(values.mean() - TRUTH) < 0.35 * scatter
    assert errors.mean() == pytest.approx(scatter, rel=0.2)
    assert (np.abs(values - TRUTH) < 1.96 * errors).mean() > 0.88


def test_subsets_of_an_image_per_feature_would_end_far_too_low() -> None:
    """Why the smallest subset has five, and fewer than ten images per feature give no line."""
    values, _ = simulated(5 * FEATURES, FEATURES + 1)
    assert values.mean() < 0.5 * TRUTH
    values, _ = simulated(10 * FEATURES, FEATURES + 1)
    assert values.mean() < 0.75 * TRUTH


def test_shares_are_those_of_the_value() -> None:
    """Of a metric that is a mean over images the line's value is exactly that with the shares as weights."""
    of_image = np.random.default_rng(0).standard_normal(300)
    line = extrapolate(
        lambda places: of_image[places].mean(), 300, subset_sizes(300, 20, 7), torch.Generator().manual_seed(1)
    )
    assert line.shares.sum() == pytest.approx(1)
    assert line.value == pytest.approx(line.shares @ of_image)
    contributions = line.contributions(torch.from_numpy(of_image))
    assert float(contributions.mean()) == pytest.approx(line.value)
    assert line.error(torch.from_numpy(of_image)) == pytest.approx(np.sqrt(((line.shares * of_image) ** 2).sum()))
