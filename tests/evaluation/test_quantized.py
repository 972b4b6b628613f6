"""Channels in few bits: values by hand, errors bounded by half a step, and a decoder that sees nothing else.

Run: pytest tests/evaluation/test_quantized.py
"""

from __future__ import annotations

import pytest
import torch
from models.test_image_tokenizer import FAMILIES

from titok.errors import ModelError, ScoreError
from titok.evaluation.quantized import ChannelRanges, quantized, soft_latents

LATENTS = torch.randn(5, 3, 4, generator=torch.manual_seed(0)) * torch.tensor([1.0, 10.0, 0.1, 1.0])


def test_values_by_hand() -> None:
    ranges = ChannelRanges(torch.tensor([0.0, -4.0]), torch.tensor([8.0, 4.0]))
    found = ranges.rounded(torch.tensor([[[0.0, -4.0], [3.9, 0.0], [8.0, 99.0]]]), bits=2)
    assert found.tolist() == [[[1.0, -3.0], [3.0, 1.0], [7.0, 3.0]]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_errors_are_half_a_step_at_most(bits: int) -> None:
    ranges = ChannelRanges.of([LATENTS[:2], LATENTS[2:]])
    assert torch.equal(ranges.low, LATENTS.flatten(0, 1).amin(dim=0))
    found = ranges.rounded(LATENTS, bits)
    steps = (ranges.high - ranges.low) / 2**bits
    # Four operations on numbers as large as the ends, each of which float32 rounds.
    rounding = 4 * torch.finfo(torch.float32).eps * torch.maximum(ranges.low.abs(), ranges.high.abs())
    assert bool(((found - LATENTS).abs() <= steps / 2 + rounding).all())
    for channel in range(4):
        assert len(found[..., channel].unique()) <= 2**bits


def test_a_channel_that_never_moves_keeps_its_value() -> None:
    still = torch.full((2, 3, 1), 0.7)
    assert torch.equal(ChannelRanges.of([still]).rounded(still, 1), still)


def test_nothing_and_nan_are_refused() -> None:
    with pytest.raises(ScoreError, match="there are none"):
        ChannelRanges.of([])
    with pytest.raises(ScoreError, match="NaN or infinite"):
        ChannelRanges.of([torch.full((1, 2, 3), torch.nan)])


def test_many_bits_are_the_model_and_few_are_not() -> None:
    torch.manual_seed(0)
    model = FAMILIES["vae"]().eval()
    images = torch.rand(4, 3, 16, 16, generator=torch.manual_seed(1))
    with torch.inference_mode():
        latents = soft_latents(model, images)
        ranges, whole = ChannelRanges.of([latents]), model.decode(latents)
        errors = [float((quantized(model, ranges, bits)(images).images - whole).abs().max()) for bits in (8, 4, 1)]
    assert errors[0] < errors[1] < errors[2]


def test_ids_have_no_channels() -> None:
    with pytest.raises(ModelError, match="turns images into ids"):
        soft_latents(FAMILIES["single_stage"]().eval(), torch.rand(1, 3, 16, 16))
