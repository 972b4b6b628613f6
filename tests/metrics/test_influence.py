"""Influences against what a distance does when images get other weights, and intervals against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.errors import ScoreError
from titok.metrics.bootstrap import bootstrap_intervals
from titok.metrics.frechet import Normal, frechet_distance
from titok.metrics.influence import frechet_influences


def features(count: int, dim: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=draws, dtype=torch.float64) * scale
    return torch.randn(count, dim, generator=draws, dtype=torch.float64) @ mixing + scale


def moments(points: torch.Tensor, weights: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance (divided by the sum of the weights)."""
    weights = torch.ones(len(points), dtype=torch.float64) if weights is None else weights
    mean = weights @ points / weights.sum()
    centred = points - mean
    return mean, centred.T * weights @ centred / weights.sum()


def normal(points: torch.Tensor) -> Normal:
    return Normal.of(*moments(points), "test's")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("dim", [1, 5, 20])
def test_is_the_derivative_by_an_images_weight(which: int, dim: int) -> None:
    sets = [features(200, dim, 0), features(300, dim, 1, scale=0.7)]
    influence = frechet_influences(normal(sets[0]), normal(sets[1]))[which]
    found = influence(sets[which])
    assert float(found.mean()) == pytest.approx(0, abs=1e-9 * float(found.abs().max()))
    for image in (0, 17, 150):

        def distance(step: float, image: int = image) -> float:
            weights = torch.ones(len(sets[which]), dtype=torch.float64)
            weights[image] += step * len(weights)
            pair = [moments(points) for points in sets]
            pair[which] = moments(sets[which], weights)
            return frechet_distance(*pair[0], *pair[1]).value

        slope = (distance(1e-5) - distance(-1e-5)) / 2e-5
        assert float(found[image]) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_features_of_rank_below_their_dimension() -> None:
    flat = features(50, 4, 2) @ torch.randn(4, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    whole = features(80, 9, 4)
    found = frechet_influences(normal(flat), normal(whole))[0](flat)
    assert torch.isfinite(found).all()
    assert float(found.mean()) == pytest.approx(0, abs=1e-8 * float(found.abs().max()))


def test_intervals_are_as_wide_as_those_of_resampled_images() -> None:
    """Pairs of images (reconstructions) resampled together, their distance computed anew every time."""
    real = features(2000, 4, 5)
    fake = real * 0.8 + 0.3 * features(2000, 4, 6)
    influences = frechet_influences(normal(real), normal(fake))
    contributions = influences[0](real) + influences[1](fake)
    value = frechet_distance(*moments(real), *moments(fake)).value
    draws = np.random.default_rng(0)
    resampled = []
    for _ in range(400):
        weights = torch.from_numpy(np.bincount(draws.integers(0, 2000, 2000), minlength=2000).astype(float))
        resampled.append(frechet_distance(*moments(real, weights), *moments(fake, weights)).value)
    low, high = np.quantile(resampled, [0.025, 0.975])
    options = {"resamples": 2000, "coverage": 0.95}
    found = bootstrap_intervals(
        {"d": value}, {"d": contributions}, generator=torch.Generator().manual_seed(0), **options
    )["d"]
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)
    assert found.low < value < found.high
    assert found.coverage == 0.95
    apart = bootstrap_intervals(
        {"d": value}, {"d": influences[1](fake)}, generator=torch.Generator().manual_seed(0), **options
    )["d"]
    assert apart.high - apart.low > 1.2 * (found.high - found.low), "pairs vary together"


def test_the_interval_of_a_mean_is_the_known_one() -> None:
    numbers = torch.randn(10_000, generator=torch.Generator().manual_seed(1)) * 3 + 7
    one = bootstrap_intervals(
        {"mean": float(numbers.mean())},
        {"mean": numbers},
        resamples=2000,
        coverage=0.9,
        generator=torch.Generator().manual_seed(2),
    )["mean"]
    half = 1.645 * 3 / 100
    assert (one.high - one.low) / 2 == pytest.approx(half, rel=0.06)


def test_equal_seeds_give_equal_intervals_and_lengths_must_agree() -> None:
    numbers = torch.arange(50.0)
    values = {"a": 24.5, "b": 24.5}
    same = [
        bootstrap_intervals(
            values,
            {"a": numbers, "b": numbers},
            resamples=50,
            coverage=0.5,
            generator=torch.Generator().manual_seed(3),
        )
        for _ in range(2)
    ]
    assert same[0] == same[1]
    assert same[0]["a"] == same[0]["b"], "the same draws for every metric"
    with pytest.raises(ScoreError, match=r"contributions of \[49, 50\] images"):
        bootstrap_intervals(
            values, {"a": numbers, "b": numbers[1:]}, resamples=5, coverage=0.5, generator=torch.Generator()
        )
    with pytest.raises(ScoreError, match="NaN or infinite"):
        bootstrap_intervals(values, {"a": numbers * torch.nan}, resamples=5, coverage=0.5, generator=torch.Generator())


@pytest.mark.parametrize(("share", "excess"), [(0.0, 1.0), (0.3, 1.18), (0.5, 1.41), (0.7, 1.83)])
def test_samples_of_equal_classes_are_drawn_within_them(share: float, excess: float) -> None:
    """40 samples of each of 50 classes; ``share`` of the variance lies between classes and is in every set of samples.

    Draws from all of them add a scatter of classes: the interval is too wide by the root of 1 / (1 - share).
    """
    draws = torch.Generator().manual_seed(int(10 * share))
    classes = torch.arange(50).repeat_interleave(40)
    means = torch.randn(50, generator=draws, dtype=torch.float64)
    means = (means - means.mean()) / means.std() * share**0.5
    inside = torch.randn(2000, generator=draws, dtype=torch.float64)
    numbers = means[classes] + inside * (1 - share) ** 0.5
    true = ((1 - share) / 2000) ** 0.5
    halves = []
    for strata in (classes, None):
        found = bootstrap_intervals(
            {"mean": float(numbers.mean())},
            {"mean": numbers},
            resamples=2000,
            coverage=0.95,
            generator=torch.Generator().manual_seed(1),
            strata=strata,
        )["mean"]
        halves.append((found.high - found.low) / 2 / 1.96)
    assert halves[0] == pytest.approx(true, rel=0.06)
    assert halves[1] / halves[0] == pytest.approx(excess, rel=0.08)


def test_few_of_a_class_are_no_strata() -> None:
    numbers = torch.tensor([1.0, 2.0, 3.0])
    options = {"resamples": 5, "coverage": 0.5, "generator": torch.Generator()}
    with pytest.raises(ScoreError, match="a class has a single image"):
        bootstrap_intervals({"a": 2.0}, {"a": numbers}, strata=torch.tensor([0, 0, 1]), **options)
    with pytest.raises(ScoreError, match="2 strata for 3 images"):
        bootstrap_intervals({"a": 2.0}, {"a": numbers}, strata=torch.tensor([0, 0]), **options)
