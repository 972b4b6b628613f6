"""Schedules of sampling against the official tables and the formulas of the paper's code."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from titok.config.sampling import Sampler
from titok.generation.per_step import choice_temperatures, guidance_scales, softmax_temperatures
from titok.generation.schedule import decoding_steps, mask_ratio, masked_counts

# Specification 5, measured on the official code.
OFFICIAL_COUNTS = {
    (32, 8): "32 29 26 24 21 18 14 10 0",
    (64, 8): "64 58 53 48 42 36 29 20 0",
    (128, 8): "128 117 107 96 85 72 58 41 0",
    (128, 64): (
        "128 126 125 124 122 121 120 119 117 116 115 113 112 111 110 108 107 106 104 103 102 100 99 98 96 95 93 92 91 "
        "89 88 86 85 83 82 80 79 77 76 74 72 71 69 67 66 64 62 60 58 56 54 52 50 48 46 43 41 38 35 32 28 25 20 14 0"
    ),
    (16, 32): "16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 0",
}
SCHEDULES = ("arccos", "cosine", "linear", "root")


@pytest.mark.parametrize(("size", "counts"), OFFICIAL_COUNTS.items())
def test_counts_are_the_official_ones(size: tuple[int, int], counts: str) -> None:
    assert masked_counts(*size, "arccos") == [int(count) for count in counts.split()]


@pytest.mark.parametrize("num_steps", [1, 2, 3, 7, 8, 12, 20, 64])
@pytest.mark.parametrize("num_tokens", [1, 2, 3, 12, 32, 33, 96, 128])
def test_arccos_counts_follow_the_official_arithmetic(num_tokens: int, num_steps: int) -> None:
    """An independent reading of specification 5, step 6: Python floats, floor, clamps, sample 0's count."""
    masked, expected = num_tokens, [num_tokens]
    for step in range(num_steps):
        wanted = math.floor(num_tokens * (math.acos((step + 1) / num_steps) / (math.pi * 0.5)))
        masked = 0 if step == num_steps - 1 else max(1, min(masked - 1, wanted))
        expected.append(masked)
    assert masked_counts(num_tokens, num_steps, "arccos") == expected


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("num_steps", [1, 2, 8, 40])
@pytest.mark.parametrize("num_tokens", [1, 2, 16, 128])
def test_counts_start_full_end_empty_and_never_rise(num_tokens: int, num_steps: int, schedule: str) -> None:
    counts = masked_counts(num_tokens, num_steps, schedule)
    assert (len(counts), counts[0], counts[-1]) == (num_steps + 1, num_tokens, 0)
    assert all(1 <= after <= before and (after < before or before == 1) for before, after in pairwise(counts[:-1]))


def test_whole_numbers_are_not_lost_to_rounding() -> None:
    assert masked_counts(20, 10, "linear") == [20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_mask_ratio_falls_from_one_to_zero(schedule: str) -> None:
    progress = torch.linspace(0, 1, 101, dtype=torch.float64)
    ratio = mask_ratio(progress, schedule)
    assert ratio[0] == 1
    assert ratio[-1].abs() < 1e-15
    assert (ratio.diff() < 0).all()
    p = progress.numpy()
    formulas = {
        "arccos": np.arccos(p) / (np.pi / 2),
        "cosine": np.cos(p * np.pi / 2),
        "linear": 1 - p,
        "root": 1 - p**0.5,
    }
    np.testing.assert_allclose(ratio.numpy(), formulas[schedule], atol=1e-15)


def test_guidance_scales() -> None:
    constant = Sampler(guidance_schedule="constant", guidance_scale=3.0, num_steps=4)
    assert guidance_scales(constant) == [3.0] * 4
    # Lags one step and never reaches the full scale (specification 11, pitfall 4).
    linear = Sampler(guidance_schedule="linear", guidance_scale=4.5, num_steps=8)
    assert guidance_scales(linear) == pytest.approx([4.5 * step / 8 for step in range(8)])
    power = Sampler(guidance_schedule="power_cosine", guidance_scale=5.9, num_steps=64)
    assert guidance_scales(power)[0] == 0


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_power_cosine_is_the_published_one_minus_one(power: float) -> None:
    """The released code mixes uncond + g * (cond - uncond) with g from 1 to its scale; ours is g - 1 everywhere."""
    published, num_steps = 6.9, 64
    g = [1 + (published - 1) * (1 - math.cos(math.pi * (step / num_steps) ** power)) / 2 for step in range(num_steps)]
    sampler = Sampler(
        num_steps=num_steps, guidance_schedule="power_cosine", guidance_scale=published - 1, guidance_power=power
    )
    assert guidance_scales(sampler) == pytest.approx([value - 1 for value in g])
    conditional, unconditional = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -0.7])
    for ours, theirs in zip(guidance_scales(sampler), g, strict=True):
        np.testing.assert_allclose(
            conditional + ours * (conditional - unconditional), unconditional + theirs * (conditional - unconditional)
        )


def test_temperatures() -> None:
    sampler = Sampler(num_steps=8, choice_temperature=4.0, softmax_temperature_annealing=True)
    assert softmax_temperatures(sampler) == pytest.approx([1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert choice_temperatures(sampler) == pytest.approx([3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.0])
    assert choice_temperatures(sampler)[-1] == 0, "the last step must be greedy"
    assert softmax_temperatures(Sampler(softmax_temperature_annealing=False)) == [1.0] * 8


def test_steps_combine_the_schedules() -> None:
    sampler = Sampler(num_steps=2, guidance_scale=3.0, choice_temperature=4.0)
    first, last = decoding_steps(9, sampler)
    assert (first.guidance_scale, first.choice_temperature, first.num_masked_after) == (0, 2.0, 6)
    assert (last.guidance_scale, last.choice_temperature, last.num_masked_after) == (1.5, 0, 0)
    assert (first.softmax_temperature, last.softmax_temperature) == pytest.approx((0.9, 0.5))
