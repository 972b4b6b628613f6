"""The discriminator is the released one at its size, and scales to small images.

Run: pytest tests/models/test_discriminator.py
"""

from __future__ import annotations

import pytest
import torch
from golden.loss_inputs import photographs
from golden.rule import Golden, load_golden, rule_tensor
from torch.nn import functional as F

from titok.config.model import DiscriminatorModel
from titok.models.discriminator import BlurDownsample, PatchDiscriminator


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden("loss_stage2")


def test_parameter_names_shapes_and_count_are_the_published_ones(golden: Golden) -> None:
    discriminator = PatchDiscriminator(DiscriminatorModel())
    prefix = "discriminator."
    published = {
        key.removeprefix(prefix): tuple(entry["shape"]) for key, entry in golden.keys.items() if key.startswith(prefix)
    }
    assert {key: tuple(value.shape) for key, value in discriminator.state_dict().items()} == published
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 1_909_889


def test_near_black_images_get_the_official_logits(golden: Golden) -> None:
    """They make the group norms' eps visible; ordinary images are compared in tests/losses/test_adversarial.py."""
    discriminator = PatchDiscriminator(DiscriminatorModel())
    state = {
        key: rule_tensor(f"discriminator.{key}", tuple(value.shape)) for key, value in discriminator.named_parameters()
    }
    discriminator.load_state_dict(state, strict=False)
    with torch.no_grad():
        logits = discriminator(0.002 * photographs())
    wanted = torch.from_numpy(golden.outputs["discriminator_logits_dark"])
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)


def test_blur_is_the_separable_binomial_filter() -> None:
    maps = torch.rand(2, 3, 8, 12)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    rows = F.conv2d(maps.reshape(6, 1, 8, 12), taps.view(1, 1, 4, 1), stride=(2, 1), padding=(1, 0))
    both = F.conv2d(rows, taps.view(1, 1, 1, 4), stride=(1, 2), padding=(0, 1)).reshape(2, 3, 4, 6)
    torch.testing.assert_close(BlurDownsample()(maps), both)


@pytest.mark.parametrize(("side", "stages", "pool"), [(16, 1, 4), (16, 2, 4), (32, 3, 2), (48, 3, 6)])
def test_any_size_gives_one_logit_per_pooled_patch(side: int, stages: int, pool: int) -> None:
    config = DiscriminatorModel(channels=8, num_stages=stages, pool_size=pool, norm_groups=4)
    discriminator = PatchDiscriminator(config)
    assert discriminator(torch.rand(2, 3, side, side)).shape == (2, 1, pool, pool)
    assert discriminator.blocks[-1][0].out_channels == 8 * 2 ** (stages - 1)
