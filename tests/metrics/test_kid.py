"""Kernel distance against torch-fidelity's, against sums over single pairs, and its being unbiased."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.rule import load_golden
from torch_fidelity.metric_kid import kid_features_to_metric

from titok.errors import ScoreError
from titok.metrics.kid import kernel_distance, squared_discrepancy


def cloud(count: int, dim: int, seed: int, centre: float = 0.0) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + centre


@pytest.mark.parametrize(("subsets", "subset_size", "seed"), [(7, 50, 2020), (3, 200, 5)])
def test_equals_torch_fidelity(subsets: int, subset_size: int, seed: int) -> None:
    outputs = load_golden("evaluator_metrics").outputs
    fake, real = (torch.from_numpy(outputs[name]) for name in ("fake_features", "real_features"))
    theirs = kid_features_to_metric(
        fake.double(), real.double(), kid_subsets=subsets, kid_subset_size=subset_size, rng_seed=seed, verbose=False
    )
    ours = kernel_distance(fake, real, subsets, subset_size, seed)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6, abs=1e-12)


def test_equals_the_sum_over_pairs() -> None:
    first, second = cloud(6, 4, 0).double().numpy(), cloud(5, 4, 1, centre=0.5).double().numpy()

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (float(x @ y) / 4 + 1) ** 3

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j])
        for points in (first, second)
    ]
    between = np.mean([kernel(x, y) for x in first for y in second])
    found = squared_discrepancy(torch.from_numpy(first), torch.from_numpy(second))
    assert found.item() == pytest.approx(within[0] + within[1] - 2 * between, rel=1e-12)


def test_is_unbiased_whatever_the_size_of_the_subsets() -> None:
    same, other = cloud(3000, 8, 2), cloud(3000, 8, 3)
    values = [kernel_distance(same, other, 200, size).value for size in (20, 200)]
    assert values == pytest.approx([0, 0], abs=0.02)
    moved = [kernel_distance(same, other + 1, 200, size).value for size in (20, 200)]
    assert moved[0] == pytest.approx(moved[1], rel=0.05)
    assert moved[0] > 1


def test_errors_say_what_was_found() -> None:
    points = cloud(10, 4, 10)
    with pytest.raises(ScoreError, match="subset_size is 1000 for 10 samples"):
        kernel_distance(points, points)
    with pytest.raises(ScoreError, match=r"samples have shape \(10, 5\)"):
        kernel_distance(cloud(10, 5, 11), points, 2, 5)
    with pytest.raises(ScoreError, match="NaN or infinite"):
        kernel_distance(points * torch.nan, points, 2, 5)
