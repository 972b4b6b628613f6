"""How well a tokenizer gives images back: rFID and its kin, PSNR, SSIM, LPIPS, codebook use, and what a judge reads.

One pass over the images; memory does not grow with their number, features wait on the disk. All scores are of 8-bit
images: what the encoder was fed against what came back, clamped and rounded (specification 10.1).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titok.config.evaluation import Evaluation
from titok.data.transforms import to_uint8
from titok.errors import ScoreError
from titok.evaluation.detections import DetectionsPreserved
from titok.evaluation.encoders import EncoderPass
from titok.evaluation.findings import rank_findings, refuse
from titok.evaluation.looking import INCEPTION_PROTOCOL, Look, Looking, distance_protocol
from titok.evaluation.neighbours import compare_clouds, evenly_spaced, neighbour_protocol
from titok.evaluation.uncertainty import (
    Sides,
    contributions_of,
    distance_at_infinity,
    extrapolation_protocol,
    intervals_of,
)
from titok.metrics.codebook import CodebookUse
from titok.metrics.extrapolation import Extrapolation
from titok.metrics.features import FeatureExtractor
from titok.metrics.pixel import PSNR_CEILING, PixelSpread, psnr, ssim, ssim_window
from titok.models.image_tokenizer import Reconstruction
from titok.records.record import Interval

Reconstruct = Callable[[Tensor], Reconstruction]
"""Images (B, 3, H, W) in [0, 1] -> reconstructions, not yet clamped, and tokens (B, K) or None."""


@dataclass(frozen=True)
class PerceptualDistance:
    """LPIPS, built by whoever may look into the losses."""

    of: Callable[[Tensor, Tensor], Tensor]
    """Reconstructions and originals, both (B, 3, H, W) in [0, 1] -> (B,)."""
    identity: dict[str, Any]
    """Backbone and the sums of its files, for the protocol."""


@dataclass(frozen=True)
class ReconstructionScores:
    """What one pass found."""

    metrics: dict[str, float]
    protocol: dict[str, Any]
    """Everything known here that changes the numbers; the caller adds where the images come from."""
    num_images: int
    originals: np.ndarray
    """(E, H, W, 3) uint8: the first images as the encoder saw them."""
    reconstructions: np.ndarray
    """(E, H, W, 3) uint8: what came back."""
    intervals: dict[str, Interval] = field(default_factory=dict)
    """Of some metrics, if the settings ask for them."""
    per_image: dict[str, np.ndarray] = field(default_factory=dict)
    """(N,) float64 of every metric that is a mean over images."""
    tokens: np.ndarray | None = None
    """(N, K) of all images, if they were asked for and the tokenizer has any."""


def score_reconstructions(
    reconstruct: Reconstruct,
    batches: Iterable[Tensor],
    extractor: FeatureExtractor,
    settings: Evaluation,
    *,
    labels: Tensor | None = None,
    codebook_size: int | None = None,
    lpips: PerceptualDistance | None = None,
    encoders: Mapping[str, FeatureExtractor] | None = None,
    detections: DetectionsPreserved | None = None,
    num_examples: int = 0,
    keep_tokens: bool = False,
    scratch: Path | None = None,
    device: torch.device | str = "cpu",
) -> ReconstructionScores:
    """Scores reconstructions of a set of images.

    Args:
        reconstruct: the tokenizer, on ``device``.
        batches: images (B, 3, H, W) float32 in [0, 1], anywhere; they are moved.
        extractor: the network of rFID and its kin, on ``device``.
        settings: the study's protocol: rounding, neighbours, intervals, checks.
        labels: (N,) class of each image, in the order of the batches; used if the extractor reads classes.
        codebook_size: V; null for continuous latents, which have no codebook scores.
        lpips: on ``device``; null: no LPIPS.
        encoders: the networks of ``settings.encoders``, on ``device``.
        detections: what a detector finds; null: nobody looks.
        num_examples: how many of the first images to give back with their reconstructions.
        keep_tokens: give the tokens of all images back.
        scratch: folder for the features of all images while this runs (1 GB for 50,000); null: the system's.
        device: where to work.

    Raises:
        ScoreError: no images, a reconstruction that is not finite or has another shape, labels that do not match, or
            fewer images than a covariance of the features needs.
    """
    looked, where = EncoderPass(encoders or {}, settings, scratch, device), torch.device(device)
    running = _Running(
        extractor, settings, codebook_size, labels, lpips, looked, detections, num_examples, scratch, where
    )
    kept: list[Tensor] = []
    with torch.inference_mode():
        for batch in batches:
            images = batch.to(device, non_blocking=True)
            reconstruction = reconstruct(images)
            running.update(images, reconstruction)
            if keep_tokens and reconstruction.ids is not None:
                kept.append(reconstruction.ids.of_one_length())
    running.check()
    too_few = rank_findings(running.count, extractor.feature_dim, "images") + looked.findings("images")
    refuse(too_few, settings.checks.allow)
    originals, reconstructions = running.examples()
    line = distance_at_infinity(*running.sides, settings.uncertainty) if settings.uncertainty else None
    metrics = running.metrics(line)
    return ReconstructionScores(
        metrics=metrics,
        protocol=running.protocol(line) | {"allow": sorted(settings.checks.allow)},
        num_images=running.count,
        originals=originals,
        reconstructions=reconstructions,
        intervals=running.intervals(metrics, line),
        per_image={name: torch.cat(values).cpu().numpy() for name, values in running.per_image.items()},
        tokens=torch.cat(kept).flatten(1).cpu().numpy() if kept else None,
    )


@dataclass
class _Running:
    """The sums of one pass, all on the device: nothing in `update` but the stores waits for it."""

    extractor: FeatureExtractor
    settings: Evaluation
    codebook_size: int | None
    labels: Tensor | None
    lpips: PerceptualDistance | None
    encoders: EncoderPass
    detections: DetectionsPreserved | None
    num_examples: int
    scratch: Path | None
    device: torch.device
    count: int = 0
    window: int = 0
    kept: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    per_image: dict[str, list[Tensor]] = field(default_factory=dict)
    """Metrics that are means over images: their values, (B,) float64 per batch."""

    def __post_init__(self) -> None:
        looking = functools.partial(Looking, self.extractor, scratch=self.scratch, device=self.device)
        self.real, self.fake = looking(), looking(logits=self.settings.uncertainty is not None)
        self.codebook = CodebookUse(self.codebook_size, self.device) if self.codebook_size else None
        self.broken = torch.zeros((), dtype=torch.int64, device=self.device)
        self.spread = PixelSpread(self.device)
        self.real_read = torch.zeros((), dtype=torch.int64, device=self.device)

    def update(self, images: Tensor, reconstruction: Reconstruction) -> None:
        output, ids = reconstruction.images, reconstruction.ids
        if output.shape != images.shape:
            raise ScoreError(f"reconstructions have shape {tuple(output.shape)}, their images {tuple(images.shape)}")
        start, self.count = self.count, self.count + len(images)
        self.broken += (~torch.isfinite(output)).flatten(1).any(dim=1).sum()
        # Images are multiples of 1/255, so either rounding gives their 8-bit values back.
        originals = to_uint8(images, "round")
        restored = to_uint8(output.nan_to_num(), self.settings.rounding)
        read_originals, verdicts = (
            looking.update(pixels).logits.argmax(dim=1)
            for looking, pixels in ((self.real, originals), (self.fake, restored))
        )
        self.encoders.update(restored, originals)
        if self.detections is not None:
            self.detections.update(originals, restored)
        self.spread.update(originals, restored)
        self._note("psnr", psnr(restored, originals, data_range=255))
        self._note("ssim", ssim(restored, originals, data_range=255))
        self.window = ssim_window(*images.shape[2:])
        if self.lpips is not None:
            self._note("lpips", self.lpips.of(restored.float() / 255, originals.float() / 255))
        if self.codebook is not None and ids is not None:
            self.codebook.update(ids.values if ids.lengths is None else ids.counted())
        if reconstruction.posterior is not None:
            self._note("kl_bits_per_image", reconstruction.posterior.kl().double().sum(dim=1) / math.log(2))
        if self.labels is not None and self.extractor.reads_classes:
            wanted = self.labels[start : self.count].to(self.device, non_blocking=True)
            # Labels that run short are reported at the end, together with the number of images.
            self._note("classifier_accuracy", verdicts[: len(wanted)] == wanted)
            self.real_read += (read_originals[: len(wanted)] == wanted).sum()
        if start < self.num_examples:
            room = self.num_examples - start
            self.kept.append((originals[:room], restored[:room]))

    def _note(self, name: str, values: Tensor) -> None:
        self.per_image.setdefault(name, []).append(values.double())

    def check(self) -> None:
        """Refuses what no score can be made of."""
        if self.count == 0:
            raise ScoreError("no images to score; the split is empty")
        if self.labels is not None and len(self.labels) != self.count:
            raise ScoreError(f"{len(self.labels)} labels came with {self.count} images; give one label per image")
        broken = int(self.broken)
        if broken:
            raise ScoreError(
                f"{broken} of {self.count} reconstructions hold NaN or infinite pixels; the tokenizer diverged or its "
                f"arithmetic overflowed: look at its training log, or score in float32"
            )

    @functools.cached_property
    def looks(self) -> tuple[Look, Look]:
        """Real images and reconstructions; read once all have been looked at."""
        return self.real.look(), self.fake.look()

    @functools.cached_property
    def sides(self) -> Sides:
        return self.looks[0].side, self.looks[1].side

    def metrics(self, line: Extrapolation | None) -> dict[str, float]:
        real, fake = self.looks
        metrics = {
            "rfid": real.side.distance(fake.side),
            "inception_score": fake.inception.compute(),
            **{name: float(torch.cat(values).mean()) for name, values in self.per_image.items()},
        }
        metrics |= self._baselines() | self.encoders.metrics()
        if self.detections is not None:
            metrics |= self.detections.metrics()
        if line is not None:
            metrics["rfid_infinity"] = line.value
        if real.spatial is not None and fake.spatial is not None:
            metrics["sfid"] = real.spatial.distance(fake.spatial)
        wanted = evenly_spaced(self.settings.precision_recall_references, self.count)
        references = real.features.rows(wanted, self.device)
        metrics |= compare_clouds(fake.features.rows(device=self.device), references, self.settings)
        if self.codebook is not None:
            metrics["codebook_usage"] = self.codebook.usage
            metrics["codebook_entropy_bits"] = self.codebook.entropy_bits
            metrics["codebook_perplexity"] = self.codebook.perplexity
            if not math.isnan(self.codebook.coded_bits):
                metrics["coded_bits_per_image"] = self.codebook.coded_bits
                metrics["coded_bits_per_image_by_position"] = self.codebook.coded_bits_by_position
        return metrics

    def _baselines(self) -> dict[str, float]:
        """What shows that the numbers mean something: better than the mean image, and a judge that can read."""
        found = {} if self.spread.explained is None else {"explained_variance": self.spread.explained}
        if self.labels is not None and self.extractor.reads_classes:
            found["judge_accuracy"] = float(self.real_read) / self.count
            found["chance_accuracy"] = float(self.labels.bincount().max()) / self.count
        return found

    def intervals(self, metrics: dict[str, float], line: Extrapolation | None) -> dict[str, Interval]:
        uncertainty = self.settings.uncertainty
        if uncertainty is None:
            return {}
        contributions = {name: torch.cat(values) for name, values in self.per_image.items()}
        contributions |= self.encoders.contributions() | contributions_of("rfid", self.sides, line)
        contributions["inception_score"] = self.looks[1].inception_influences()
        return intervals_of(metrics, contributions, uncertainty)

    def protocol(self, line: Extrapolation | None) -> dict[str, Any]:
        return {
            "num_images": self.count,
            "rounding": self.settings.rounding,
            **distance_protocol(self.extractor),
            **INCEPTION_PROTOCOL,
            **neighbour_protocol(self.settings, min(self.count, self.settings.precision_recall_references)),
            **extrapolation_protocol(line, self.settings.uncertainty),
            "psnr": {"of": "8-bit images", "data_range": 255, "mean_of": "images", "ceiling_db": PSNR_CEILING},
            "ssim": {"of": "8-bit images", "data_range": 255, "window": self.window},
            **self.encoders.protocol(),
            **({} if self.detections is None else self.detections.protocol()),
            **({} if self.lpips is None else {"lpips": self.lpips.identity | {"of": "8-bit images"}}),
        }

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.kept:
            empty = np.empty((0, 0, 0, 3), dtype=np.uint8)
            return empty, empty
        originals, reconstructions = (torch.cat(parts).permute(0, 2, 3, 1) for parts in zip(*self.kept, strict=True))
        return originals.cpu().numpy(), reconstructions.cpu().numpy()
