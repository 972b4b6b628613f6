"""LPIPS as a measure, for scores and for the choice of lengths."""

from __future__ import annotations

from typing import cast

import torch

from titok.config.evaluation import Lpips
from titok.config.training import Perceptual
from titok.config.weight_files import PerceptualWeights
from titok.evaluation.reconstruction import PerceptualDistance
from titok.losses.perceptual import LPIPS, build_perceptual_loss
from titok.runtime.files import sha256_file


def open_lpips(settings: Lpips | None, device: torch.device) -> PerceptualDistance | None:
    """LPIPS with the weights that the settings name; their sums are part of the protocol."""
    if settings is None:
        return None
    weights = PerceptualWeights(vgg16=settings.vgg16, lpips_heads=settings.heads)
    network = build_perceptual_loss(Perceptual(kind="lpips", weights=weights))
    files = {"vgg16": settings.vgg16.path, "heads": settings.heads.path}
    sums = {f"{name}_sha256": sha256_file(path) for name, path in files.items()}
    return PerceptualDistance(
        cast(LPIPS, network).to(device).per_image, {"network": "LPIPS 0.1", "backbone": "vgg16", **sums}
    )
