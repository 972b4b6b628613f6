"""Density and coverage against the authors' package prdc (golden numbers), and on sets whose answer is known.

Run: pytest tests/metrics/test_density_coverage.py
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from golden.rule import load_golden

from titok.errors import ScoreError
from titok.metrics.density_coverage import balls_and_cover, density_coverage
from titok.metrics.manifold import Exact, squared_radii
from titok.metrics.precision_recall import precision_recall

GOLDEN = load_golden("density_coverage")
CASES = list(GOLDEN.extra["cases"])
WITHOUT_TIES = [name for name in CASES if name != "duplicates"]


def case(name: str) -> tuple[int, torch.Tensor, torch.Tensor]:
    """k and both sets, by the golden folder's rule."""
    facts = GOLDEN.extra["cases"][name]
    draws = np.random.Generator(np.random.PCG64(facts["seed"]))
    dim = facts["d"]
    real, fake = draws.standard_normal((facts["num_real"], dim)), draws.standard_normal((facts["num_fake"], dim))
    scale = 2 / (1 + np.arange(dim)) + 0.02
    fake[:, 0] = np.abs(fake[:, 0]) + 0.2
    real, fake = np.float32(real * scale), np.float32(1.1 * fake * scale)
    if name == "duplicates":
        real[1::10] = real[0::10]
        fake[2::10] = fake[0::10]
        fake[3::10] = real[3::10]
    sums = [zlib.crc32(features.tobytes()) for features in (real, fake)]
    assert sums == [facts["crc32_real"], facts["crc32_fake"]], "the features are not those of the golden numbers"
    return facts["k"], torch.from_numpy(real), torch.from_numpy(fake)


@pytest.mark.parametrize("block_rows", [64, 1024])
@pytest.mark.parametrize("name", CASES)
def test_equals_the_authors_package(name: str, block_rows: int) -> None:
    neighbours, real, fake = case(name)
    found = density_coverage(real, fake, neighbours, Exact(block_rows))
    _, _, density, coverage = GOLDEN.outputs[f"{name}/exact"]
    assert (found.density, found.coverage) == pytest.approx((density, coverage), rel=0, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_every_ball_and_every_flag_is_the_same(name: str) -> None:
    neighbours, real, fake = case(name)
    balls, covered = balls_and_cover(real, fake, neighbours, Exact())
    assert np.array_equal(balls.numpy(), GOLDEN.outputs[f"{name}/balls_around_each_fake"])
    assert np.array_equal(covered.numpy(), GOLDEN.outputs[f"{name}/covered"])
    radii = squared_radii(Exact().prepare(real, fake)[0], neighbours, Exact())
    assert np.sqrt(radii.numpy()) == pytest.approx(GOLDEN.outputs[f"{name}/radii_real"], rel=1e-5)


@pytest.mark.parametrize("name", WITHOUT_TIES)
def test_its_precision_and_recall_are_ours_where_nothing_ties(name: str) -> None:
    neighbours, real, fake = case(name)
    found = precision_recall(real, fake, neighbours)
    assert [found.precision, found.recall] == GOLDEN.outputs[f"{name}/exact"][:2].tolist()


def test_sets_whose_answer_is_known() -> None:
    """Real images at 0, 1, ..., 9: with k = 1 each ball reaches 1 to either side, its surface excluded."""
    real = torch.arange(10.0)[:, None]
    assert density_coverage(real, real + 0.25, 1).coverage == 1.0
    assert density_coverage(real, real, 1).density == 1.0, "each sample lies in one ball, its neighbours' end at it"
    assert density_coverage(real, real + 0.25, 1).density == pytest.approx(1.9), "in two, the last in one"
    found = density_coverage(real, torch.full((20, 1), 4.5), 1)
    assert (found.density, found.coverage) == (2.0, 0.2)
    found = density_coverage(real, torch.full((20, 1), 30.0), 1)
    assert (found.density, found.coverage) == (0.0, 0.0)


def test_an_outlier_moves_precision_and_not_density() -> None:
    draws = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(200, 4, generator=draws) for _ in range(2))
    fake += 8
    with_outlier = torch.cat([real, torch.full((1, 4), 30.0)])
    assert precision_recall(real, fake).precision < 0.1
    assert precision_recall(with_outlier, fake).precision > 0.9
    assert density_coverage(real, fake).density < 0.1
    assert density_coverage(with_outlier, fake).density < 0.3


def test_errors_say_what_was_found() -> None:
    points = torch.rand(10, 4)
    with pytest.raises(ScoreError, match="references are 5, but 5 neighbours need at least 6"):
        density_coverage(points[:5], points)
    with pytest.raises(ScoreError, match=r"samples have shape \(10, 3\)"):
        density_coverage(points, points[:, :3])
    with pytest.raises(ScoreError, match="features of the samples are NaN"):
        density_coverage(points, points * torch.nan)
