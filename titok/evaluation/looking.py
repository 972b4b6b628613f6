"""One pass of a network over one set of images, and everything that scores need from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.evaluation.uncertainty import Side
from titok.metrics.feature_store import FeatureStore
from titok.metrics.features import FeatureExtractor, ImageFeatures
from titok.metrics.inception_score import OFFICIAL_EPSILON, InceptionScore
from titok.metrics.moments import Moments


@dataclass(frozen=True)
class Look:
    """A set of images as a network sees it."""

    side: Side
    """Moments of the features, with the features themselves if those of all images were kept."""
    spatial: Side | None
    """Moments of the spatial features; null: the network has none."""
    inception: InceptionScore
    """All images as one split."""
    features: FeatureStore
    logits: FeatureStore
    """What was kept of both, in the order of the images."""

    def inception_influences(self) -> Tensor:
        """(N,) float64: how the score changes with the weight of each image; needs the logits."""
        return self.inception.influences(self.logits.chunks())


class Looking:
    """The pass: sums on the device, which nothing here waits for, and features on the disk.

    Args:
        network: on ``device``.
        features: keep those of all images, of none, or of the images at these sorted places.
        logits: whether to keep them.
        scratch: folder for what is kept, while it is needed; null: the system's.
        device: where sums are kept.
    """

    def __init__(
        self,
        network: FeatureExtractor,
        *,
        features: bool | np.ndarray = True,
        logits: bool = False,
        scratch: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._network, self._features, self._logits = network, features, logits
        self._moments = Moments(network.feature_dim, device)
        self._spatial = Moments(network.spatial_dim, device) if network.spatial_dim else None
        self._inception = InceptionScore(network.num_logits, epsilon=OFFICIAL_EPSILON, device=device)
        self._kept = FeatureStore(scratch), FeatureStore(scratch)

    @property
    def count(self) -> int:
        """Images so far."""
        return self._moments.count

    def update(self, images: Tensor) -> ImageFeatures:
        """Looks at uint8 images (B, 3, H, W), which are on the network's device; gives back what it saw."""
        seen, (features, logits) = self._network(images), self._kept
        if isinstance(self._features, np.ndarray):
            low, high = np.searchsorted(self._features, [self.count, self.count + len(images)])
            rows = torch.from_numpy(self._features[low:high] - self.count)
            features.append(seen.features[rows.to(seen.features.device, non_blocking=True)])
        elif self._features:
            features.append(seen.features)
        if self._logits:
            logits.append(seen.logits)
        self._moments.update(seen.features)
        if self._spatial is not None and seen.spatial is not None:
            self._spatial.update(seen.spatial)
        self._inception.update(seen.logits)
        return seen

    def look(self) -> Look:
        """All images so far.

        Raises:
            ScoreError: there are fewer than two, or a feature is not finite.
        """
        if self.count < 2:
            raise ScoreError(f"{self.count} images are no set; give at least 2")
        moments, spatial, (features, logits) = self._moments, self._spatial, self._kept
        return Look(
            side=Side(moments.mean, moments.covariance, features if self._features is True else None),
            spatial=None if spatial is None else Side(spatial.mean, spatial.covariance),
            inception=self._inception,
            features=features,
            logits=logits,
        )


def look(
    batches: Iterable[Tensor],
    network: FeatureExtractor,
    *,
    scratch: Path | None = None,
    device: torch.device | str = "cpu",
) -> Look:
    """Looks at uint8 images (B, 3, H, W), anywhere, once, and keeps features and logits of all.

    Raises:
        ScoreError: there are fewer than two images.
    """
    looking = Looking(network, logits=True, scratch=scratch, device=device)
    with torch.inference_mode():
        for batch in batches:
            looking.update(batch.to(device, non_blocking=True))
    return looking.look()


def distance_protocol(network: FeatureExtractor) -> dict[str, Any]:
    """What a protocol says of Frechet distances: whose features, and in what arithmetic."""
    return {
        "extractor": network.identity,
        "frechet": "float64, unbiased covariance, symmetric eigendecomposition",
    }


INCEPTION_PROTOCOL = {"inception_score": {"splits": 1, "epsilon": OFFICIAL_EPSILON}}
