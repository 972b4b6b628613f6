"""The Frechet distance against closed forms, scipy's matrix square root and the official evaluator's number."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from golden.rule import load_golden

from titok.errors import ScoreError
from titok.metrics.frechet import Normal, frechet_distance
from titok.metrics.moments import Moments


def covariance(dim: int, rank: int, seed: int) -> np.ndarray:
    factor = np.random.default_rng(seed).standard_normal((dim, rank))
    return factor @ factor.T


def reference_distance(mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray) -> float:
    root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
    return float(((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * root))


@pytest.mark.parametrize("dim", [1, 2, 24, 100])
def test_equals_scipys_matrix_square_root(dim: int) -> None:
    rng = np.random.default_rng(dim)
    mu1, mu2 = rng.standard_normal(dim), rng.standard_normal(dim)
    sigma1, sigma2 = covariance(dim, 2 * dim, 1), covariance(dim, 2 * dim, 2)
    expected = reference_distance(mu1, sigma1, mu2, sigma2)
    assert frechet_distance(mu1, sigma1, mu2, sigma2).value == pytest.approx(expected, rel=1e-8)


def test_diagonal_covariances_have_a_closed_form() -> None:
    mu1, mu2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    deviation1, deviation2 = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0, 0.5])
    distance = frechet_distance(mu1, np.diag(deviation1**2), mu2, np.diag(deviation2**2))
    assert distance.mean_term == pytest.approx(5.0, rel=1e-12)
    assert distance.trace_term == pytest.approx(((deviation1 - deviation2) ** 2).sum(), rel=1e-12)
    assert distance.value == pytest.approx(distance.mean_term + distance.trace_term)


def test_scaled_covariance_has_a_closed_form() -> None:
    sigma, mean = covariance(30, 60, 3), np.zeros(30)
    assert frechet_distance(mean, sigma, mean, 9 * sigma).value == pytest.approx(4 * np.trace(sigma), rel=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 10, 64, 128])
def test_identical_moments_are_at_distance_zero(rank: int) -> None:
    sigma, mean = covariance(64, rank, 4), np.ones(64)
    assert abs(frechet_distance(mean, sigma, mean, sigma).value) <= 1e-11 * max(np.trace(sigma), 1)


@pytest.mark.long
def test_inceptions_number_of_features_at_distance_zero() -> None:
    """As many features as Inception has, of its size; more images than features, and fewer."""
    draws = torch.Generator().manual_seed(5)
    for count in (2500, 300):
        moments = Moments(2048)
        moments.update(torch.randn(count, 2048, generator=draws).abs() * 0.4)
        first = Normal.of(moments.mean, moments.covariance, "first")
        assert abs(first.distance(first).value) <= 1e-6


def test_rank_deficient_covariances_in_different_subspaces() -> None:
    """Images of rank-1 covariances along orthogonal directions: no overlap, so both traces count."""
    first, second = np.zeros((5, 5)), np.zeros((5, 5))
    first[0, 0], second[1, 1] = 4.0, 9.0
    assert frechet_distance(np.zeros(5), first, np.zeros(5), second).value == pytest.approx(13.0, rel=1e-12)


def test_rank_one_covariances_have_a_closed_form() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal(40), rng.standard_normal(40)
    expected = a @ a + b @ b - 2 * abs(a @ b)
    distance = frechet_distance(np.zeros(40), np.outer(a, a), np.zeros(40), np.outer(b, b))
    assert distance.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("rank1", "rank2"), [(80, 80), (5, 80), (3, 4)])
def test_symmetric(rank1: int, rank2: int) -> None:
    rng = np.random.default_rng(6)
    mu1, mu2 = rng.standard_normal(40), rng.standard_normal(40)
    sigma1, sigma2 = covariance(40, rank1, 7), covariance(40, rank2, 8)
    forward = frechet_distance(mu1, sigma1, mu2, sigma2).value
    assert frechet_distance(mu2, sigma2, mu1, sigma1).value == pytest.approx(forward, rel=1e-12)


def test_unchanged_by_rotation() -> None:
    rng = np.random.default_rng(9)
    rotation = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    mean, sigma1, sigma2 = rng.standard_normal(20), covariance(20, 9, 10), covariance(20, 40, 11)
    plain = frechet_distance(mean, sigma1, np.zeros(20), sigma2).value
    turned = frechet_distance(
        rotation @ mean, rotation @ sigma1 @ rotation.T, np.zeros(20), rotation @ sigma2 @ rotation.T
    ).value
    assert turned == pytest.approx(plain, rel=1e-10)


def test_official_evaluators_number() -> None:
    golden = load_golden("evaluator_metrics").outputs
    real, fake = Moments(24), Moments(24)
    for moments, name in ((real, "real_features"), (fake, "fake_features")):
        for batch in torch.from_numpy(golden[name]).split(32):
            moments.update(batch)
    distance = frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)
    assert distance.value == pytest.approx(float(golden["metrics"][1]), rel=1e-6)


def test_float32_moments_of_a_file_are_accepted() -> None:
    sigma, mean = covariance(64, 20, 12), np.zeros(64)
    distance = frechet_distance(mean.astype(np.float32), sigma.astype(np.float32), mean, 4 * sigma)
    assert distance.value == pytest.approx(np.trace(sigma), rel=1e-4)


def test_errors_say_what_was_found() -> None:
    eye, zero = np.eye(3), np.zeros(3)
    with pytest.raises(ScoreError, match="3 features and the second 2"):
        frechet_distance(zero, eye, np.zeros(2), np.eye(2))
    with pytest.raises(ScoreError, match=r"second moments have shapes \(3,\) and \(2, 2\)"):
        frechet_distance(zero, eye, zero, np.eye(2))
    with pytest.raises(ScoreError, match="first moments are not finite"):
        frechet_distance(np.full(3, np.nan), eye, zero, eye)
    with pytest.raises(ScoreError, match="second covariance has the negative eigenvalue -1"):
        frechet_distance(zero, eye, zero, np.diag([1.0, 1.0, -1.0]))
