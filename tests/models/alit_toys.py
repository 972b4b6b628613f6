"""An ALIT that computes in milliseconds, as in `training.tiny`, with codes to tell apart."""

from __future__ import annotations

from typing import Any

import torch
from training import tiny

from titok.models.alit import Alit


def alit(seed: int = 0, **changes: Any) -> Alit:
    """With weights large enough that tokens and images differ from image to image and from length to length."""
    torch.manual_seed(seed)
    model = tiny.alit(**changes)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(8.0)
        if model.config.latents == "quantized":
            model.quantize.embedding.weight.normal_()
    return model.eval().requires_grad_(False)


def alit_images(count: int = 12) -> torch.Tensor:
    """(count, 3, 16, 16) in [0, 1]: noise, each image of a contrast of its own, the first ones nearly flat."""
    numbers = torch.Generator().manual_seed(1)
    noise = torch.rand(count, 3, 16, 16, generator=numbers) - 0.5
    return 0.5 + noise * torch.linspace(0.02, 1.0, count)[:, None, None, None]
