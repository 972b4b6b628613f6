"""Precision and recall in ADM's arithmetic against ADM's own evaluator and its restatements (golden numbers).

Run: pytest tests/metrics/test_adm_distances.py
"""

from __future__ import annotations

import functools
import zlib
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from golden.rule import load_golden

from titok.metrics.adm_distances import BLOCK, Float16Blocks
from titok.metrics.manifold import Arithmetic, Exact, squared_radii
from titok.metrics.precision_recall import inside, precision_recall

GOLDEN = load_golden("adm_precision_recall")
CASES = list(GOLDEN.extra["cases"])
DIM = 2048


@functools.cache
def drawn(seed: int, num_real: int, num_fake: int, outlier: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Features as wide and as long as Inception's, with copies in and between the sets, by the golden folder's rule."""
    draws = np.random.Generator(np.random.PCG64(seed))
    basis, shift = draws.standard_normal((12, DIM)), draws.standard_normal(12)
    real, real_noise = draws.standard_normal((num_real, 12)), draws.standard_normal((num_real, DIM))
    fake, fake_noise = draws.standard_normal((num_fake, 12)), draws.standard_normal((num_fake, DIM))

    def features(places: np.ndarray, noise: np.ndarray) -> np.ndarray:
        values = np.maximum(0.35 + 0.1 * (places @ basis) + 0.15 * noise, 0)
        return np.float32(np.round(values * 65536) / 65536)

    real, fake = features(real, real_noise), features(0.85 * fake + 0.35 * shift, fake_noise)
    real[1::50] = real[0::50][: len(real[1::50])]
    fake[2::40] = fake[0::40][: len(fake[2::40])]
    fake[3::40] = real[: len(fake[3::40])]
    if outlier:
        real[5] *= 16
    return torch.from_numpy(real), torch.from_numpy(fake)


def case(name: str) -> tuple[dict[str, Any], torch.Tensor, torch.Tensor]:
    facts = GOLDEN.extra["cases"][name]
    real, fake = drawn(facts["seed"], facts["num_real"], facts["num_fake"], facts["outlier"])
    sums = [zlib.crc32(features.numpy().tobytes()) for features in (real, fake)]
    assert sums == [facts["crc32_real"], facts["crc32_fake"]], "the features are not those of the golden numbers"
    return facts, real, fake


def golden(name: str, arithmetic: str, what: str) -> np.ndarray:
    return GOLDEN.outputs[f"{name}/{arithmetic}/{what}"]


class Found(NamedTuple):
    """Who is inside, and squared radii, each of real images and of samples."""

    inside: tuple[torch.Tensor, torch.Tensor]
    radii: tuple[torch.Tensor, torch.Tensor]

    @property
    def scores(self) -> list[float]:
        """Precision and recall."""
        return [float(flags.double().mean()) for flags in reversed(self.inside)]


@functools.cache
def found(name: str, which: str) -> Found:
    facts, real, fake = case(name)
    arithmetic: Arithmetic = Float16Blocks(facts["block"]) if which == "float16" else Exact()
    radii = tuple(squared_radii(points, 3, arithmetic) for points in arithmetic.prepare(real, fake))
    return Found(inside(real, fake, 3, arithmetic), radii)  # type: ignore[arg-type]


def differing(name: str, arithmetic: str, ours: Found) -> list[int]:
    """How many real images and samples are inside here and not there, or the other way round."""
    theirs = (golden(name, arithmetic, f"{which}_inside") for which in ("real", "fake"))
    return [int((mine.numpy() != flags).sum()) for mine, flags in zip(ours.inside, theirs, strict=True)]


def radii_apart(name: str, arithmetic: str, ours: Found) -> float:
    """Largest difference of the squared radii of both sets."""
    theirs = (golden(name, arithmetic, f"radii_{which}") for which in ("real", "fake"))
    return max(float(np.abs(mine.numpy() - radii).max()) for mine, radii in zip(ours.radii, theirs, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_float16_blocks_are_the_restatement_of_adm(name: str) -> None:
    """Sums are exact here and of float32 there: a few radii one float16 step (0.5) apart, scores at most 2 / n."""
    facts, ours = GOLDEN.extra["cases"][name], found(name, "float16")
    assert max(differing(name, "float16", ours)) <= 2
    precision, recall = golden(name, "float16", "precision_recall")
    assert ours.scores[0] == pytest.approx(precision, rel=0, abs=2 / facts["num_fake"])
    assert ours.scores[1] == pytest.approx(recall, rel=0, abs=2 / facts["num_real"])
    assert radii_apart(name, "float16", ours) <= 0.5


@pytest.mark.parametrize("name", CASES)
def test_float16_blocks_are_close_to_the_real_evaluator(name: str) -> None:
    """TensorFlow's own order of sums moves norms by a step; as far as it moved the restatement, and 2 as above."""
    ours = found(name, "float16")
    moved = GOLDEN.extra["cases"][name]["inside_flags_that_differ_from_the_real_evaluator"]["float16"]
    assert max(differing(name, "tensorflow", ours)) <= max(moved) + 2
    assert radii_apart(name, "tensorflow", ours) <= 1.0


@pytest.mark.parametrize("name", CASES)
def test_exact_distances_are_the_float64_ones(name: str) -> None:
    """Copies within and between the sets make ties; they are decided alike."""
    ours = found(name, "float64")
    assert ours.scores == golden(name, "float64", "precision_recall").tolist()
    assert differing(name, "float64", ours) == [0, 0]
    for which, mine in zip(("real", "fake"), ours.radii, strict=True):
        assert mine.numpy() == pytest.approx(golden(name, "float64", f"radii_{which}"), rel=1e-6)


def test_the_two_arithmetics_differ() -> None:
    """Else nothing above would tell them apart."""
    exact, published = found("medium", "float64").scores, found("medium", "float16").scores
    assert published[0] > exact[0]
    assert published[1] > exact[1]


def test_the_scores_are_shares_of_those_inside() -> None:
    _, real, fake = case("small")
    for which, arithmetic in (("float16", Float16Blocks()), ("float64", None)):
        result = precision_recall(real, fake, arithmetic=arithmetic)
        assert [result.precision, result.recall] == found("small", which).scores


@pytest.mark.parametrize("name", ["small", "overflow", "overflow_blocks128"])
def test_only_blocks_that_overflow_are_in_float32(name: str) -> None:
    facts, real, fake = case(name)
    block = facts["block"]
    for pair, expected in facts["blocks_in_float16_of_all"].items():
        rows, columns = ({"real": real, "fake": fake}[which] for which in pair.split("-"))
        kept: dict[tuple[int, int], bool] = {}
        for tile in Float16Blocks(block).tiles(rows, columns):
            where = (tile.rows.start // block, tile.columns.start // block)
            is_half = torch.equal(tile.distances.half().float(), tile.distances)
            kept[where] = kept.get(where, True) and is_half
        assert [sum(kept.values()), len(kept)] == expected, pair


def test_distances_of_few_pairs() -> None:
    _, real, fake = case("small")
    (tile,) = Float16Blocks().tiles(real[:8], fake[:8])
    assert np.abs(tile.distances.numpy() - golden("small", "float16", "distances_8x8")).max() <= 0.5
    assert tile.distances.dtype == torch.float32


def test_tiles_cover_every_pair_once() -> None:
    rows, columns = torch.rand(2500, 3), torch.rand(35, 3)
    seen = torch.zeros(2500, 35, dtype=torch.int64)
    for tile in Float16Blocks(block=1200).tiles(rows, columns):
        assert tile.distances.shape == seen[tile.rows, tile.columns].shape
        seen[tile.rows, tile.columns] += 1
    assert (seen == 1).all()


def test_infinity_below_zero_is_zero_as_with_adm() -> None:
    """Norms that fit float16 and twice a product that does not: minus infinity, which the maximum with 0 hides."""
    far = torch.full((1, 4), 100.0)
    (tile,) = Float16Blocks().tiles(far, far)
    assert tile.distances.item() == 0.0
    (tile,) = Float16Blocks().tiles(far, -far)
    assert tile.distances.item() == 160_000.0


def test_blocks_are_adms() -> None:
    assert Float16Blocks().block == BLOCK == 10_000
