"""The PatchGAN of pix2pix with BatchNorm, which ALIT's official training has one of for every length.

Another one than `titok.models.discriminator`, which is TiTok's. Modules carry the official names (``main.0``, ...).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from titok.config.alit import BatchNormDiscriminator
from titok.models.shared_norm import SharedBatchNorm

LEAKY_SLOPE = 0.2


class PatchGAN(nn.Module):
    """Says for each patch of an image how real it looks (high = real)."""

    def __init__(self, config: BatchNormDiscriminator) -> None:
        super().__init__()
        widths = [config.channels * min(2**stage, 8) for stage in range(config.num_stages + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(LEAKY_SLOPE)]
        for stage in range(1, config.num_stages + 1):
            stride = 2 if stage < config.num_stages else 1
            layers += [
                nn.Conv2d(widths[stage - 1], widths[stage], 4, stride=stride, padding=1, bias=False),
                SharedBatchNorm(widths[stage]),
                nn.LeakyReLU(LEAKY_SLOPE),
            ]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self._init()

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> one logit per patch (B, 1, H', W')."""
        logits: Tensor = self.main(images)
        return logits

    @torch.no_grad()
    def _init(self) -> None:
        """Convolutions normal(0, 0.02), norms normal(1, 0.02); biases of convolutions as torch draws them."""
        for module in self.main:
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
                nn.init.zeros_(module.bias)
