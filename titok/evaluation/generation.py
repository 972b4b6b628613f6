"""How good generated images are: gFID, inception score, precision and recall, and whether a judge reads their class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from titok.config.evaluation import Evaluation
from titok.evaluation.findings import ScoreError, rank_findings, refuse
from titok.evaluation.reference import Reference
from titok.evaluation.samples import Samples, inspect_samples
from titok.metrics.features import FeatureExtractor
from titok.metrics.frechet import frechet_distance
from titok.metrics.inception_score import OFFICIAL_EPSILON, InceptionScore
from titok.metrics.moments import Moments
from titok.metrics.precision_recall import precision_recall


@dataclass(frozen=True)
class SampleScores:
    """What was measured, and how."""

    metrics: dict[str, float]
    protocol: dict[str, Any]
    """Everything known here that changes the numbers; the caller adds what made the samples comparable."""


def score_samples(
    samples: Samples,
    reference: Reference,
    extractor: FeatureExtractor,
    settings: Evaluation,
    *,
    num_classes: int | None,
    device: torch.device | str = "cpu",
) -> SampleScores:
    """Scores a set of samples against real images.

    Args:
        samples: ``Samples.open(path)`` or ``Samples.of_array(images, labels)``.
        reference: the real images, seen by the same extractor.
        extractor: the network, on ``device``.
        settings: the study's protocol: number of samples, k, splits, checks.
        num_classes: C; null for unconditional samples.
        device: where to work.

    Raises:
        ScoreError: the number of samples is not the protocol's, the reference was made with another extractor, or the
            samples are degenerate in a way that ``settings.checks.allow`` does not name.
    """
    if len(samples) != settings.num_samples:
        raise ScoreError(
            f"{len(samples)} samples were given, the protocol asks for {settings.num_samples}; sample the rest, or set "
            f"evaluation.num_samples (scores of different numbers of samples cannot be compared)"
        )
    if reference.extractor is not None and reference.extractor != extractor.identity:
        raise ScoreError(
            f"the reference was made with extractor {reference.extractor}, the samples are seen by "
            f"{extractor.identity}; make the reference again"
        )
    if reference.image_size not in (None, samples.shape[1:3]):
        raise ScoreError(
            f"the samples have {samples.shape[1]} x {samples.shape[2]} pixels, the reference's images "
            f"{reference.image_size[0]} x {reference.image_size[1]}; use the reference of this size (an uncropped one "
            f"measures the crop, not the generator)"
        )
    findings, shares = inspect_samples(samples, num_classes, settings.checks)
    findings += rank_findings(len(samples), extractor.feature_dim, "samples")
    if reference.count is not None:
        findings += rank_findings(reference.count, extractor.feature_dim, "reference images")
    refuse(findings, settings.checks.allow)
    metrics = _measure(samples, reference, extractor, settings, torch.device(device))
    return SampleScores(metrics | shares, _protocol(reference, extractor, settings, num_classes))


def _measure(
    samples: Samples, reference: Reference, extractor: FeatureExtractor, settings: Evaluation, device: torch.device
) -> dict[str, float]:
    moments = Moments(extractor.feature_dim, device)
    one_split = InceptionScore(extractor.num_logits, epsilon=OFFICIAL_EPSILON, device=device)
    adm = InceptionScore(extractor.num_logits, split_size=settings.inception_score_split_size, device=device)
    spatial = Moments(len(reference.spatial_mean), device) if reference.spatial_mean is not None else None
    labels = None if samples.labels is None else torch.from_numpy(samples.labels).to(device)
    features: list[Tensor] = []
    agreeing = torch.zeros((), dtype=torch.int64, device=device)
    with torch.inference_mode():
        for batch in samples.batches(settings.batch_size):
            images = torch.from_numpy(batch).to(device, non_blocking=True).permute(0, 3, 1, 2)
            seen = extractor(images)
            if labels is not None and extractor.reads_classes:
                wanted = labels[moments.count : moments.count + len(images)]
                agreeing += (seen.logits.argmax(dim=1) == wanted).sum()
            moments.update(seen.features)
            if spatial is not None and seen.spatial is not None:
                spatial.update(seen.spatial)
            one_split.update(seen.logits)
            adm.update(seen.logits)
            if reference.features is not None:
                features.append(seen.features.float())
    distance = frechet_distance(moments.mean, moments.covariance, reference.mean, reference.covariance)
    metrics = {
        "gfid": distance.value,
        "inception_score": one_split.compute(),
        "inception_score_adm": adm.compute(),
    }
    if spatial is not None and reference.spatial_mean is not None and reference.spatial_covariance is not None:
        metrics["sfid"] = frechet_distance(
            spatial.mean, spatial.covariance, reference.spatial_mean, reference.spatial_covariance
        ).value
    if labels is not None and extractor.reads_classes:
        metrics["class_agreement"] = int(agreeing) / len(samples)
    if reference.features is not None:
        real = reference.features.to(device)
        manifold = precision_recall(real, torch.cat(features), settings.precision_recall_neighbours)
        metrics |= {"precision": manifold.precision, "recall": manifold.recall}
    return metrics


def _protocol(
    reference: Reference, extractor: FeatureExtractor, settings: Evaluation, num_classes: int | None
) -> dict[str, Any]:
    named = {"name": settings.protocol} if settings.protocol else {}
    return named | {
        "num_images": settings.num_samples,
        "num_classes": num_classes,
        "reference": reference.source | {"num_images": reference.count},
        "extractor": extractor.identity,
        "frechet": "float64, unbiased covariance, symmetric eigendecomposition",
        "inception_score": {"splits": 1, "epsilon": OFFICIAL_EPSILON},
        "inception_score_adm": {"split_size": settings.inception_score_split_size, "order": "file"},
        "precision_recall": {
            "neighbours": settings.precision_recall_neighbours,
            "references": None if reference.features is None else len(reference.features),
        },
        "checks": settings.checks.resolved(),
    }
