"""Monge Inception Distance against torch-fidelity's (golden numbers), and where the answer is known.

Run: pytest tests/metrics/test_mind.py
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from golden.rule import load_golden

from titok.errors import ScoreError
from titok.metrics import mind
from titok.metrics.mind import monge_inception_distance, moving_costs, unit_directions

GOLDEN = load_golden("mind")
CASES = GOLDEN.extra["cases"]


def case(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Both sets, by the golden folder's rule."""
    facts = CASES[name]
    draws = np.random.Generator(np.random.PCG64(facts["features_seed"]))
    first = np.abs(draws.standard_normal((facts["n1"], facts["d"]), dtype=np.float32)) * np.float32(0.5)
    second = np.abs(draws.standard_normal((facts["n2"], facts["d"]), dtype=np.float32)) * np.float32(0.6)
    second = first.copy() if name == "same_features" else second + np.float32(0.05)
    sums = [zlib.crc32(features.tobytes()) for features in (first, second)]
    assert sums == [facts["crc32_features_1"], facts["crc32_features_2"]], "not the golden numbers' features"
    return torch.from_numpy(first), torch.from_numpy(second)


@pytest.mark.parametrize("name", CASES)
def test_equals_torch_fidelity(name: str) -> None:
    first, second = case(name)
    facts = CASES[name]
    found = monge_inception_distance(first, second, facts["mind_num_projections"], facts["rng_seed"])
    if name == "same_features":
        assert found == 0.0
    assert found == pytest.approx(facts["mind_float64"], rel=1e-6)
    assert found == pytest.approx(facts["mind"], rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_what_is_drawn_is_the_same(name: str) -> None:
    facts, (first, second) = CASES[name], case(name)
    draws = torch.Generator().manual_seed(facts["rng_seed"])
    size = min(len(first), len(second))
    for place, features in enumerate((first, second), start=1):
        drawn = mind._drawn(features, size, draws)
        rows = GOLDEN.outputs.get(f"{name}/subset_{place}")
        assert torch.equal(drawn, features if rows is None else features[torch.from_numpy(rows).long()])
    state = draws.get_state()
    raw = torch.randn(facts["mind_num_projections"], facts["d"], generator=draws)
    assert zlib.crc32(raw.numpy().tobytes()) == facts["crc32_directions_raw"]
    draws.set_state(state)
    units = unit_directions(facts["mind_num_projections"], facts["d"], draws)
    assert units[0, :8].numpy() == pytest.approx(GOLDEN.outputs[f"{name}/directions_first8"], rel=1e-6)
    assert units.square().sum(dim=1).numpy() == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("name", ["equal_sizes", "few_directions"])
def test_the_cost_along_each_direction_is_the_same(name: str) -> None:
    facts = CASES[name]
    units = unit_directions(facts["mind_num_projections"], facts["d"], torch.Generator().manual_seed(facts["rng_seed"]))
    costs = moving_costs(*case(name), units)
    assert costs.numpy() == pytest.approx(GOLDEN.outputs[f"{name}/sliced_w2_squared_float64"], rel=1e-6)


def test_how_many_directions_at_once_changes_nothing_but_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = case("equal_sizes")
    whole = monge_inception_distance(first, second)
    monkeypatch.setattr(mind, "DIRECTIONS_AT_ONCE", 7)
    assert monge_inception_distance(first, second) == pytest.approx(whole, rel=1e-12)


def test_a_shift_of_one_feature_costs_its_square() -> None:
    """Along one dimension there is one direction, to and fro."""
    points = torch.rand(50, 1, generator=torch.Generator().manual_seed(0))
    assert monge_inception_distance(points + 2, points, 5) == pytest.approx(3 * 4, rel=1e-6)


def test_a_shift_of_many_features_costs_about_three_times_its_square() -> None:
    """Of a shift s, a random direction of F sees s^2 / F, which the factor F takes back."""
    points = torch.randn(100, 64, generator=torch.Generator().manual_seed(1))
    shift = torch.full((64,), 0.5)
    assert monge_inception_distance(points + shift, points, 4000) == pytest.approx(3 * 16, rel=0.05)


def test_the_order_of_images_changes_nothing() -> None:
    first, second = case("equal_sizes")
    order = torch.randperm(200, generator=torch.Generator().manual_seed(2))
    assert monge_inception_distance(first[order], second) == pytest.approx(
        monge_inception_distance(first, second), rel=1e-12
    )


def test_errors_say_what_was_found() -> None:
    points = torch.rand(10, 4)
    with pytest.raises(ScoreError, match=r"samples have shape \(10, 5\); allowed: \(N, 4\)"):
        monge_inception_distance(torch.rand(10, 5), points)
    with pytest.raises(ScoreError, match=r"references have shape \(0, 4\)"):
        monge_inception_distance(points, points[:0])
    with pytest.raises(ScoreError, match="NaN or infinite"):
        monge_inception_distance(points * torch.nan, points)
