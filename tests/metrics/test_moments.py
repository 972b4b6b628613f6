"""Streaming moments equal numpy's of the whole set, however the images are split and merged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.errors import ScoreError
from titok.metrics.moments import Moments


def features(count: int = 203, dim: int = 7, offset: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, dim, generator=generator, dtype=torch.float64) * torch.arange(1, dim + 1) + offset


def streamed(rows: torch.Tensor, batch_size: int) -> Moments:
    moments = Moments(rows.shape[1])
    for batch in rows.split(batch_size):
        moments.update(batch)
    return moments


@pytest.mark.parametrize("batch_size", [1, 32, 203])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_any_batch_size_gives_numpys_moments(batch_size: int, offset: float) -> None:
    rows = features(offset=offset)
    moments = streamed(rows, batch_size)
    assert moments.count == 203
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.numpy(), rowvar=False), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_any_order_of_merging_gives_the_same(order: tuple[int, ...]) -> None:
    rows = features()
    parts = [streamed(part, 10) for part in rows.split([50, 3, 150])]
    merged = Moments(7)
    for index in order:
        merged.merge(parts[index])
    whole = streamed(rows, 203)
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("count", [1, 7, 64])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_parts_merge_to_the_same(count: int, offset: float) -> None:
    rows = features(offset=offset)
    merged = Moments(7)
    for part in np.array_split(np.arange(203), count):
        merged.merge(streamed(rows[part], 2))
    np.testing.assert_allclose(merged.mean, rows.mean(0), rtol=1e-10)
    expected = np.cov(rows.numpy(), rowvar=False)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(merged.covariance.numpy() - expected) / scale).max() < 1e-10


def test_small_spread_far_from_zero_keeps_its_digits() -> None:
    rows = features() * 1e-4 + 1e6
    expected = np.cov((rows - 1e6).numpy(), rowvar=False)
    np.testing.assert_allclose(streamed(rows, 16).covariance, expected, rtol=1e-4, atol=1e-14)


def test_float32_features_are_summed_in_float64() -> None:
    rows = features().float()
    np.testing.assert_allclose(streamed(rows, 9).mean, rows.double().mean(0), rtol=1e-12)


def test_empty_batches_change_nothing() -> None:
    moments = streamed(features(), 50)
    before = moments.mean.clone()
    moments.update(torch.empty(0, 7))
    moments.merge(Moments(7))
    assert moments.count == 203
    assert torch.equal(moments.mean, before)


def test_errors_say_what_was_found() -> None:
    with pytest.raises(ScoreError, match=r"\(5, 6\).*\(batch, 7\)"):
        Moments(7).update(torch.zeros(5, 6))
    with pytest.raises(ScoreError, match="6 features into moments of 7"):
        Moments(7).merge(Moments(6))
    with pytest.raises(ScoreError, match="no features"):
        _ = Moments(7).mean
    with pytest.raises(ScoreError, match="1 were added"):
        _ = streamed(torch.zeros(1, 7), 1).covariance


def test_features_that_are_not_finite_are_refused() -> None:
    rows = features()
    rows[17, 3] = torch.nan
    with pytest.raises(ScoreError, match="1 of 7 features"):
        _ = streamed(rows, 20).mean
