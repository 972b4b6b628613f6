"""Real images as the scores of samples see them: moments of their features, and features that span their manifold.

A reference is made once per dataset and extractor and kept as ``.npz``. ADM's own reference files can be read too:
``mu`` and ``sigma`` for gFID, ``mu_s`` and ``sigma_s`` for sFID, and real images ``arr_0``, which an extractor looks at
for precision and recall.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titok.data.transforms import to_uint8
from titok.errors import ScoreError
from titok.evaluation.looking import Look, Looking
from titok.evaluation.neighbours import evenly_spaced
from titok.evaluation.samples import IMAGES, Samples
from titok.evaluation.uncertainty import Side
from titok.metrics.features import FeatureExtractor
from titok.runtime.files import load_npz, save_npz, sha256_file


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
    spatial_mean: Tensor | None = None
    """(S,) float64; null: no sFID."""
    spatial_covariance: Tensor | None = None
    """(S, S) float64"""
    image_size: tuple[int, int] | None = None
    """Height and width of the real images; null if nothing says."""
    extractor: dict[str, Any] | None = None
    """Identity of the network the features come from; null if the file does not say."""
    source: dict[str, Any] = field(default_factory=dict)
    """Which images: dataset, split, hash, crop. Part of the protocol."""

    @classmethod
    def of(cls, seen: Look, **about: Any) -> Reference:
        """Of what a network saw, with the features that were kept; ``about`` has the other fields."""
        spatial = (None, None) if seen.spatial is None else (seen.spatial.mean, seen.spatial.covariance)
        return cls(
            mean=seen.side.mean,
            covariance=seen.side.covariance,
            features=seen.features.rows(device=seen.side.mean.device),
            spatial_mean=spatial[0],
            spatial_covariance=spatial[1],
            **about,
        )

    def sides(self, device: torch.device | str) -> tuple[Side, Side | None]:
        """Moments of the features and, where it has them, of the spatial ones; they are taken as they are."""
        spatial = None
        if self.spatial_mean is not None and self.spatial_covariance is not None:
            spatial = Side(self.spatial_mean.to(device), self.spatial_covariance.to(device))
        return Side(self.mean.to(device), self.covariance.to(device)), spatial


def collect_reference(
    batches: Iterable[Tensor],
    num_images: int,
    extractor: FeatureExtractor,
    *,
    max_features: int = 10_000,
    source: dict[str, Any] | None = None,
    scratch: Path | None = None,
    device: torch.device | str = "cpu",
) -> Reference:
    """What one network sees of real images; see `collect_references`.

    Args:
        batches: images (B, 3, H, W) float32 in [0, 1].
        num_images: how many there will be; decides which features are kept.
        extractor: the network, on ``device``.
        max_features: keep the features of at most this many images.
        source: what to say about the images in the protocol.
        scratch: folder for those features while this runs; null: the system's.
        device: where to work.

    Raises:
        ScoreError: another number of images came.
    """
    one = {"": extractor}
    return collect_references(
        batches, num_images, one, max_features=max_features, source=source, scratch=scratch, device=device
    )[""]


def collect_references(
    batches: Iterable[Tensor],
    num_images: int,
    extractors: Mapping[str, FeatureExtractor],
    *,
    max_features: int = 10_000,
    source: dict[str, Any] | None = None,
    scratch: Path | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Reference]:
    """One pass over real images, which are read once for all networks; by the networks' names.

    Raises:
        ScoreError: another number of images came.
    """
    wanted = evenly_spaced(max_features, num_images)
    looks = {name: Looking(one, features=wanted, scratch=scratch, device=device) for name, one in extractors.items()}
    count, image_size = 0, None
    with torch.inference_mode():
        for batch in batches:
            images = to_uint8(batch.to(device, non_blocking=True), "round")
            count, image_size = count + len(batch), (batch.shape[2], batch.shape[3])
            for look in looks.values():
                look.update(images)
    if count != num_images:
        raise ScoreError(f"the reference set was announced with {num_images} images, but {count} came")
    about = {"count": count, "image_size": image_size, "source": source or {}}
    return {name: Reference.of(looks[name].look(), extractor=one.identity, **about) for name, one in extractors.items()}


def save_reference(path: str | Path, reference: Reference) -> None:
    """Writes a reference as ``.npz`` with ADM's names ``mu`` and ``sigma``."""
    arrays = {"mu": reference.mean.cpu().numpy(), "sigma": reference.covariance.cpu().numpy()}
    if reference.spatial_mean is not None and reference.spatial_covariance is not None:
        arrays |= {"mu_s": reference.spatial_mean.cpu().numpy(), "sigma_s": reference.spatial_covariance.cpu().numpy()}
    if reference.features is not None:
        arrays["features"] = reference.features.cpu().numpy()
    about = {
        "count": reference.count,
        "extractor": reference.extractor,
        "source": reference.source,
        "image_size": reference.image_size,
    }
    save_npz(path, **arrays, about=np.asarray(json.dumps(about)))


def load_reference(path: str | Path) -> Reference:
    """Reads a reference of ours or of ADM's, without features of ADM's images (see `with_image_features`).

    Raises:
        FileError: the file is missing or damaged.
        ScoreError: it holds no moments, or they do not fit each other.
    """
    path = Path(path)
    arrays = load_npz(path, skip=(IMAGES,))  # ADM's 10,000 images stay in the file
    if not {"mu", "sigma"} <= arrays.keys():
        found = [*arrays, *([IMAGES] if _has_images(path) else [])]
        raise ScoreError(
            f"{path} holds {', '.join(sorted(found)) or 'nothing'}; a reference needs mu and sigma"
            + (" (the images of a set are for --originals)" if IMAGES in found else "")
        )
    about = _about(arrays)
    mean, covariance = _moments(arrays, "mu", "sigma", path)
    spatial = _moments(arrays, "mu_s", "sigma_s", path) if {"mu_s", "sigma_s"} <= arrays.keys() else (None, None)
    image_size = about.get("image_size") or (Samples.open(path).shape[1:3] if _has_images(path) else None)
    return Reference(
        mean=mean,
        covariance=covariance,
        count=about.get("count"),
        features=torch.from_numpy(arrays["features"]) if "features" in arrays else None,
        spatial_mean=spatial[0],
        spatial_covariance=spatial[1],
        image_size=None if image_size is None else (int(image_size[0]), int(image_size[1])),
        extractor=about.get("extractor"),
        source=about.get("source", {"file": path.name}),
    )


def open_reference(
    path: str | Path,
    sha256: str | None,
    extractor: FeatureExtractor,
    *,
    max_features: int = 10_000,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> Reference:
    """A reference file that is the one wanted, with the features of its images where it has images.

    Raises:
        ScoreError: its SHA-256 is another, or its moments are of another network than ``extractor``.
    """
    reference = load_reference(path)
    found = sha256_file(path)
    if sha256 is not None and found != sha256:
        raise ScoreError(
            f"{path} has SHA-256 {found}, but evaluation.reference.sha256 is {sha256}; it is another file: fetch it "
            f"again, or correct the sum"
        )
    if len(reference.mean) != extractor.feature_dim:
        raise ScoreError(
            f"{path} has moments of {len(reference.mean)} features, but the extractor {extractor.identity} has "
            f"{extractor.feature_dim}; name the reference of that network"
        )
    reference = replace(reference, source=reference.source | {"sha256": found})
    if reference.features is not None or not _has_images(Path(path)):
        return reference
    images = Samples.open(path)
    wanted = evenly_spaced(max_features, len(images))
    kept, seen = [], 0
    with torch.inference_mode():
        for batch in images.batches(batch_size):
            low, high = np.searchsorted(wanted, [seen, seen + len(batch)])
            chosen = torch.from_numpy(batch[wanted[low:high] - seen]).permute(0, 3, 1, 2)
            if len(chosen):
                kept.append(extractor(chosen.to(device)).features.float())
            seen += len(batch)
    return replace(reference, features=torch.cat(kept))


def _about(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What `save_reference` noted; nothing in files of others, whatever they call so."""
    try:
        found = json.loads(str(arrays.get("about", "{}")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _has_images(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return f"{IMAGES}.npy" in archive.namelist()


def _moments(arrays: dict[str, np.ndarray], mean: str, covariance: str, path: Path) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) in float64; ADM's files hold them in float32."""
    for name in (mean, covariance):
        if arrays[name].dtype.kind not in "fiu":
            raise ScoreError(f"{path} has {name} of type {arrays[name].dtype}; allowed: real numbers")
    first, second = (torch.from_numpy(arrays[name].astype(np.float64)) for name in (mean, covariance))
    if first.ndim != 1 or second.shape != (len(first), len(first)):
        raise ScoreError(
            f"{path} has {mean} of shape {tuple(first.shape)} and {covariance} of shape {tuple(second.shape)}; "
            f"allowed: (F,) and (F, F)"
        )
    return first, second
