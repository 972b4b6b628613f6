"""The PatchGAN of pix2pix with BatchNorm, which ALIT's official training has one of for every length.

Another one than `titok.models.discriminator`, which is TiTok's. Modules carry the official names (``main.0``, ...).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from titok.config.alit import BatchNormDiscriminator
from titok.runtime.processes import place, total

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


class _Total(torch.autograd.Function):
    """The sum over all processes; what each adds to everybody's losses comes back to it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return total(own.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient.clone())


class SharedBatchNorm(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, whose statistics in training are those of all processes, whose number then decides nothing.

    torch's own `SyncBatchNorm` knows GPUs only. With one process it is the parent, bit for bit.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; every process has as many images."""
        world_size = place().world_size
        if not self.training or world_size == 1:
            return super().forward(input)
        count = input.numel() // input.shape[1] * world_size
        mean = self._over_all(input) / count
        centred = input - mean[:, None, None]
        variance = self._over_all(centred.square()) / count
        self._remember(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return centred * scale[:, None, None] + self.bias[:, None, None]

    def _over_all(self, values: Tensor) -> Tensor:
        return cast(Tensor, _Total.apply(values.sum(dim=(0, 2, 3))))

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
