"""Weights that somebody else trained and that losses and scores look through: where they are, what they must be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from titok.config.section import KnownBy, Section


class WeightFile(Section):
    """One file on this machine; ``titok fetch`` gets the known ones."""

    path: Annotated[str, Field(min_length=1), KnownBy("sha256")]
    """`.safetensors`, or a PyTorch file that holds nothing but tensors; `package:NAME/FILE` is one inside an installed
    Python package (where frozen encoders are read)."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What its SHA-256 must be; null takes the file as it is (every score records the sum it found)."""


class PerceptualWeights(Section):
    """The frozen networks of the perceptual losses (specification 7.3)."""

    convnext_s: WeightFile | None = None
    """torchvision's ConvNeXt-S, `IMAGENET1K_V1`."""
    vgg16: WeightFile | None = None
    """torchvision's VGG16, `IMAGENET1K_V1`; LPIPS compares its features."""
    lpips_heads: WeightFile | None = None
    """The linear heads of LPIPS 0.1 for VGG16."""
