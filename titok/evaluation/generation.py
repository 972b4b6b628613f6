"""How good generated images are: gFID and its kin, precision and recall, and whether a judge reads their class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from titok.config.evaluation import Evaluation, Uncertainty
from titok.errors import ScoreError
from titok.evaluation.encoders import EncoderPass
from titok.evaluation.findings import rank_findings, refuse
from titok.evaluation.looking import INCEPTION_PROTOCOL, Looking, distance_protocol
from titok.evaluation.neighbours import compare_clouds, neighbour_protocol
from titok.evaluation.reference import Reference
from titok.evaluation.samples import Samples, inspect_samples
from titok.evaluation.uncertainty import (
    Sides,
    contributions_of,
    distance_at_infinity,
    extrapolation_protocol,
    intervals_of,
)
from titok.metrics.bootstrap import Interval
from titok.metrics.extrapolation import Extrapolation
from titok.metrics.features import FeatureExtractor
from titok.metrics.inception_score import InceptionScore


@dataclass(frozen=True)
class SampleScores:
    """What was measured, and how."""

    metrics: dict[str, float]
    protocol: dict[str, Any]
    """Everything known here that changes the numbers; the caller adds what made the samples comparable."""
    intervals: dict[str, Interval] = field(default_factory=dict)
    """Of some metrics, if the settings ask for them."""


def score_samples(
    samples: Samples,
    reference: Reference,
    extractor: FeatureExtractor,
    settings: Evaluation,
    *,
    num_classes: int | None,
    encoders: EncoderPass | None = None,
    scratch: Path | None = None,
    device: torch.device | str = "cpu",
) -> SampleScores:
    """Scores a set of samples against real images.

    Args:
        samples: ``Samples.open(path)`` or ``Samples.of_array(images, labels)``.
        reference: the real images, seen by the same extractor.
        extractor: the network, on ``device``.
        settings: the study's protocol: number of samples, k, splits, checks.
        num_classes: C; null for unconditional samples.
        encoders: other networks with references of their own; null: none.
        scratch: folder for the features of all samples while this runs (0.6 GB for 50,000); null: the system's.
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
    looked = encoders or EncoderPass({}, settings)
    seen = _Pass(samples, reference, extractor, settings, looked, scratch, torch.device(device))
    refuse(looked.findings("samples"), settings.checks.allow)
    line = distance_at_infinity(*seen.sides, settings.uncertainty) if settings.uncertainty else None
    metrics = seen.metrics(line)
    protocol = _protocol(reference, extractor, settings, num_classes) | extrapolation_protocol(
        line, settings.uncertainty
    )
    protocol |= looked.protocol()
    return SampleScores(metrics | shares, protocol, seen.intervals(metrics, line))


class _Pass:
    """The sums of one pass over the samples, all on the device; features wait on the disk."""

    def __init__(
        self,
        samples: Samples,
        reference: Reference,
        extractor: FeatureExtractor,
        settings: Evaluation,
        encoders: EncoderPass,
        scratch: Path | None,
        device: torch.device,
    ) -> None:
        self.encoders = encoders
        self.reference, self.extractor, self.settings, self.device = reference, extractor, settings, device
        is_seen_again = settings.uncertainty is not None
        keeps_features = is_seen_again or reference.features is not None
        looking = Looking(extractor, features=keeps_features, logits=is_seen_again, scratch=scratch, device=device)
        split_size = settings.inception_score_split_size
        self.adm = InceptionScore(extractor.num_logits, split_size=split_size, device=device)
        labels = None if samples.labels is None else torch.from_numpy(samples.labels).to(device)
        self.classes = labels
        self.labels = labels if extractor.reads_classes else None
        self.agreeing: list[Tensor] = []
        with torch.inference_mode():
            for batch in samples.batches(settings.batch_size):
                self._update(looking, torch.from_numpy(batch).to(device, non_blocking=True).permute(0, 3, 1, 2))
        self.seen = looking.look()
        self.real, self.real_spatial = reference.sides(device)

    def _update(self, looking: Looking, images: Tensor) -> None:
        start, seen = looking.count, looking.update(images)
        self.encoders.update(images)
        if self.labels is not None:
            wanted = self.labels[start : start + len(images)]
            self.agreeing.append((seen.logits.argmax(dim=1) == wanted).double())
        self.adm.update(seen.logits)

    @property
    def sides(self) -> Sides:
        """The samples, with features that can be looked at again, and the reference, which stays as it is."""
        return self.seen.side, self.real

    def metrics(self, line: Extrapolation | None) -> dict[str, float]:
        seen = self.seen
        metrics = {
            "gfid": seen.side.distance(self.real),
            "inception_score": seen.inception.compute(),
            "inception_score_adm": self.adm.compute(),
        }
        if line is not None:
            metrics["gfid_infinity"] = line.value
        if seen.spatial is not None and self.real_spatial is not None:
            metrics["sfid"] = seen.spatial.distance(self.real_spatial)
        if self.agreeing:
            metrics["class_agreement"] = float(torch.cat(self.agreeing).mean())
        if self.reference.features is not None:
            samples = seen.features.rows(device=self.device)
            metrics |= compare_clouds(samples, self.reference.features.to(self.device), self.settings)
        return metrics | self.encoders.metrics()

    def intervals(self, metrics: dict[str, float], line: Extrapolation | None) -> dict[str, Interval]:
        uncertainty = self.settings.uncertainty
        if uncertainty is None:
            return {}
        contributions = {
            **contributions_of("gfid", self.sides, line),
            "inception_score": self.seen.inception_influences(),
            "inception_score_adm": self.adm.influences(self.seen.logits.chunks()),
        }
        contributions |= self.encoders.contributions()
        if self.agreeing:
            contributions["class_agreement"] = torch.cat(self.agreeing)
        return intervals_of(metrics, contributions, uncertainty, self._strata(uncertainty))

    def _strata(self, settings: Uncertainty) -> Tensor | None:
        if settings.within_classes and self.classes is None:
            raise ScoreError(
                "evaluation.uncertainty.within_classes is true, but the samples have no labels; sample with classes, "
                "or set it to false"
            )
        return self.classes if settings.within_classes else None


def _protocol(
    reference: Reference, extractor: FeatureExtractor, settings: Evaluation, num_classes: int | None
) -> dict[str, Any]:
    named = {"name": settings.protocol} if settings.protocol else {}
    return named | {
        "num_images": settings.num_samples,
        "num_classes": num_classes,
        "reference": reference.source | {"num_images": reference.count},
        **distance_protocol(extractor),
        **INCEPTION_PROTOCOL,
        "inception_score_adm": {"split_size": settings.inception_score_split_size, "order": "file"},
        **neighbour_protocol(settings, None if reference.features is None else len(reference.features)),
        "checks": settings.checks.resolved(),
    }
