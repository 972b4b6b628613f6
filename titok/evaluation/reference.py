"""Real images as the scores of samples see them: moments of their features, and features that span their manifold.

A reference is made once per dataset and extractor and kept as ``.npz``. ADM's own reference files (``mu`` and ``sigma``
only) can be read too; they allow a gFID, but no precision and recall.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titok.data.transforms import to_uint8
from titok.evaluation.findings import ScoreError
from titok.metrics.features import FeatureExtractor
from titok.metrics.moments import Moments
from titok.runtime.files import load_npz, save_npz


@dataclass(frozen=True)
class Reference:
    """What a set of real images looks like to one extractor."""

    mean: Tensor
    """(F,) float64"""
    covariance: Tensor
    """(F, F) float64"""
    count: int | None = None
    """Images behind the moments; null if the file does not say (ADM's do not)."""
    features: Tensor | None = None
    """(M, F) float32 of at most so many images, evenly spaced over the set; null: no precision and recall."""
    extractor: dict[str, Any] | None = None
    """Identity of the network the features come from; null if the file does not say."""
    source: dict[str, Any] = field(default_factory=dict)
    """Which images: dataset, split, hash, crop. Part of the protocol."""


def collect_reference(
    batches: Iterable[Tensor],
    num_images: int,
    extractor: FeatureExtractor,
    *,
    max_features: int = 10_000,
    source: dict[str, Any] | None = None,
    device: torch.device | str = "cpu",
) -> Reference:
    """One pass over real images.

    Args:
        batches: images (B, 3, H, W) float32 in [0, 1].
        num_images: how many there will be; decides which features are kept.
        extractor: the network, on ``device``.
        max_features: keep the features of at most this many images.
        source: what to say about the images in the protocol.
        device: where to work.

    Raises:
        ScoreError: another number of images came.
    """
    moments = Moments(extractor.feature_dim, device)
    kept = []
    wanted = np.unique(np.arange(min(max_features, num_images)) * num_images // min(max_features, num_images))
    with torch.inference_mode():
        for batch in batches:
            features = extractor(to_uint8(batch.to(device, non_blocking=True), "round")).features
            low, high = np.searchsorted(wanted, [moments.count, moments.count + len(batch)])
            rows = torch.from_numpy(wanted[low:high] - moments.count).to(device, non_blocking=True)
            kept.append(features[rows].float())
            moments.update(features)
    if moments.count != num_images:
        raise ScoreError(f"the reference set was announced with {num_images} images, but {moments.count} came")
    return Reference(
        mean=moments.mean,
        covariance=moments.covariance,
        count=num_images,
        features=torch.cat(kept),
        extractor=extractor.identity,
        source=source or {},
    )


def save_reference(path: str | Path, reference: Reference) -> None:
    """Writes a reference as ``.npz`` with ADM's names ``mu`` and ``sigma``."""
    arrays = {"mu": reference.mean.cpu().numpy(), "sigma": reference.covariance.cpu().numpy()}
    if reference.features is not None:
        arrays["features"] = reference.features.cpu().numpy()
    about = {"count": reference.count, "extractor": reference.extractor, "source": reference.source}
    save_npz(path, **arrays, about=np.asarray(json.dumps(about)))


def load_reference(path: str | Path) -> Reference:
    """Reads a reference of ours or of ADM's.

    Raises:
        FileError: the file is missing or damaged.
        ScoreError: it holds no moments.
    """
    arrays = load_npz(path)
    if not {"mu", "sigma"} <= set(arrays):
        raise ScoreError(f"{path} has arrays {sorted(arrays)}; a reference needs mu and sigma")
    about = json.loads(str(arrays["about"])) if "about" in arrays else {}
    return Reference(
        mean=torch.from_numpy(arrays["mu"].astype(np.float64)),
        covariance=torch.from_numpy(arrays["sigma"].astype(np.float64)),
        count=about.get("count"),
        features=torch.from_numpy(arrays["features"]) if "features" in arrays else None,
        extractor=about.get("extractor"),
        source=about.get("source", {"file": Path(path).name}),
    )
