"""When a reconstruction is good enough for its code to be long enough (`titok.models.length_choice`).

Measured on 8-bit images, as scores are, but for the official L1, which looks at reconstructions as they are.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from titok.config.adaptive_length import CLASS_THRESHOLD, Measure
from titok.errors import ScoreError
from titok.metrics.pixel import psnr
from titok.models.classifier import Classifier
from titok.models.length_choice import Criterion, mean_absolute_error

__all__ = ["criterion_of", "lpips_below", "mean_absolute_error", "psnr_above", "same_class"]


class Distance(Protocol):
    """LPIPS, built by whoever may look into the losses."""

    def of(self, restored: Tensor, originals: Tensor) -> Tensor:
        """(B,) of images (B, 3, H, W) in [0, 1]."""
        ...


def as_8_bit(images: Tensor) -> Tensor:
    """Images (B, 3, H, W), not clamped, as what a file of them would hold, in [0, 1]."""
    return (images.float().clamp(0.0, 1.0) * 255).round() / 255


def psnr_above(threshold: float) -> Criterion:
    """PSNR above ``threshold`` dB."""
    return Criterion(
        "psnr",
        lambda images, restored: psnr(as_8_bit(images), as_8_bit(restored)).float(),
        threshold,
        higher_is_better=True,
    )


def lpips_below(distance: Distance, threshold: float) -> Criterion:
    """LPIPS below ``threshold``."""
    return Criterion("lpips", lambda images, restored: distance.of(as_8_bit(restored), as_8_bit(images)), threshold)


def same_class(classifier: Classifier) -> Criterion:
    """Until ``classifier`` takes the reconstruction for what it takes the image for: an oracle, for it has seen more
    than the image."""

    def agrees(images: Tensor, restored: Tensor) -> Tensor:
        with torch.no_grad():
            seen, wanted = (classifier(as_8_bit(each)).argmax(dim=-1) for each in (restored, images))
        return (seen == wanted).float()

    return Criterion("class", agrees, CLASS_THRESHOLD, higher_is_better=True, is_oracle=True)


def criterion_of(
    measure: Measure, threshold: float, distance: Distance | None = None, classifier: Classifier | None = None
) -> Criterion:
    """The criterion of a name; `lpips` needs a distance, `class` a classifier and no threshold but its own.

    Raises:
        ScoreError: what the name needs is not there.
    """
    if measure == "lpips":
        if distance is None:
            raise ScoreError("criterion 'lpips' needs the weights of LPIPS; name them, or choose l1 or psnr")
        return lpips_below(distance, threshold)
    if measure == "class":
        if classifier is None:
            raise ScoreError("criterion 'class' needs a classifier trained in the study; choose l1, psnr or lpips")
        return same_class(classifier)
    return psnr_above(threshold) if measure == "psnr" else mean_absolute_error(threshold)
