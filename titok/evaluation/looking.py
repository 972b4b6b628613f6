"""One pass of a network over one set of images, and everything that scores need from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.evaluation.reference import Reference
from titok.evaluation.uncertainty import Side
from titok.metrics.feature_store import FeatureStore
from titok.metrics.features import FeatureExtractor
from titok.metrics.inception_score import OFFICIAL_EPSILON, InceptionScore
from titok.metrics.moments import Moments


@dataclass(frozen=True)
class Look:
    """A set of images as a network sees it."""

    side: Side
    """Moments of the features, with the features themselves."""
    spatial: Side | None
    """Moments of the spatial features."""
    logits: FeatureStore
    count: int
    inception_score: float
    """All images as one split."""


def look(
    batches: Iterable[Tensor],
    extractor: FeatureExtractor,
    *,
    scratch: Path | None = None,
    device: torch.device | str = "cpu",
) -> Look:
    """Looks at uint8 images (B, 3, H, W) once.

    Args:
        batches: the images, anywhere; they are moved.
        extractor: the network, on ``device``.
        scratch: folder for the features while they are needed; null: the system's.
        device: where to work.

    Raises:
        ScoreError: there are fewer than two images.
    """
    moments = Moments(extractor.feature_dim, device)
    spatial = Moments(extractor.spatial_dim, device) if extractor.spatial_dim else None
    one_split = InceptionScore(extractor.num_logits, epsilon=OFFICIAL_EPSILON, device=device)
    features, logits = FeatureStore(scratch), FeatureStore(scratch)
    with torch.inference_mode():
        for batch in batches:
            seen = extractor(batch.to(device, non_blocking=True))
            moments.update(seen.features)
            if spatial is not None and seen.spatial is not None:
                spatial.update(seen.spatial)
            one_split.update(seen.logits)
            features.append(seen.features)
            logits.append(seen.logits)
    if moments.count < 2:
        raise ScoreError(f"{moments.count} images are no set; give at least 2")
    return Look(
        side=Side(moments.mean, moments.covariance, features),
        spatial=None if spatial is None else Side(spatial.mean, spatial.covariance),
        logits=logits,
        count=moments.count,
        inception_score=one_split.compute(),
    )


def as_sides(reference: Reference, device: torch.device | str) -> tuple[Side, Side | None]:
    """Moments of a reference file: features and, where it has them, spatial features."""
    spatial = None
    if reference.spatial_mean is not None and reference.spatial_covariance is not None:
        spatial = Side(reference.spatial_mean.to(device), reference.spatial_covariance.to(device))
    return Side(reference.mean.to(device), reference.covariance.to(device)), spatial
