"""PatchGAN discriminator with blurred down-sampling (specification 7.4; 1,909,889 parameters at the defaults).

Parameters and buffers carry the published names (`block_in.0.weight`, `blocks.0.1.kernel`, ...), so released and
own states load without a name table. Letters: B batch, C channels, H W pixels.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from titok.config.model import DiscriminatorModel

LEAKY_SLOPE = 0.1


class BlurDownsample(nn.Module):
    """Halves an image with the fixed binomial filter (1, 3, 3, 1) along both sides, so that nothing aliases."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        kernel = torch.outer(taps, taps)
        self.register_buffer("kernel", (kernel / kernel.sum())[None, None])

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H // 2, W // 2)."""
        channels = features.shape[1]
        # One kernel per channel: a depthwise convolution is far quicker on CPUs than moving channels into the batch.
        return F.conv2d(features, self.kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


class PatchDiscriminator(nn.Module):
    """Says for each patch of an image how real it looks (high = real).

    The first stage keeps the channels, every further one doubles them; each halves the image. An adaptive max pool
    then fixes the number of patches. PyTorch's default initialisation, as released.
    """

    def __init__(self, config: DiscriminatorModel) -> None:
        super().__init__()
        self.block_in = nn.Sequential(
            nn.Conv2d(3, config.channels, kernel_size=5, padding="same"), nn.LeakyReLU(LEAKY_SLOPE)
        )
        widths = [config.channels, *(config.channels * 2**stage for stage in range(config.num_stages))]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width_in, width_out, kernel_size=3, padding="same"),
                BlurDownsample(),
                nn.GroupNorm(config.norm_groups, width_out),
                nn.LeakyReLU(LEAKY_SLOPE),
            )
            for width_in, width_out in pairwise(widths)
        )
        self.pool = nn.AdaptiveMaxPool2d(config.pool_size)
        self.to_logits = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], kernel_size=1),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(widths[-1], 1, kernel_size=5, padding="same"),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> one logit per patch (B, 1, pool_size, pool_size)."""
        features = self.block_in(images)
        for block in self.blocks:
            features = block(features)
        return cast(Tensor, self.to_logits(self.pool(features)))
