"""Batch normalisation over the batch of all processes, so that a training does not depend on their number."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from titok.runtime.processes import place, total


class _Total(torch.autograd.Function):
    """The sum over all processes; what each adds to everybody's losses comes back to it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return total(own.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient.clone())


class SharedBatchNorm(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, whose statistics in training are those of the images of all processes.

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
