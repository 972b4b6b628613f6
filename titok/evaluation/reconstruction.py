"""How well a tokenizer gives images back: rFID, inception score, PSNR, SSIM, codebook use, and what a judge reads.

One pass over the images; memory does not grow with their number. All scores are of 8-bit images: what the encoder was
fed against what came back, clamped and rounded (spec section 10.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from titok.config.evaluation import Allowance
from titok.data.transforms import to_uint8
from titok.evaluation.findings import ScoreError, rank_findings, refuse
from titok.metrics.codebook import CodebookUse
from titok.metrics.features import FeatureExtractor
from titok.metrics.frechet import frechet_distance
from titok.metrics.inception_score import OFFICIAL_EPSILON, InceptionScore
from titok.metrics.moments import Moments
from titok.metrics.pixel import PSNR_CEILING, psnr, ssim, ssim_window

Reconstruct = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Images (B, 3, H, W) in [0, 1] -> reconstructions, not yet clamped, and tokens (B, K) or None."""


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


def score_reconstructions(
    reconstruct: Reconstruct,
    batches: Iterable[Tensor],
    extractor: FeatureExtractor,
    *,
    labels: Tensor | None = None,
    codebook_size: int | None = None,
    rounding: Literal["round", "truncate"] = "round",
    num_examples: int = 0,
    allow: Sequence[Allowance] = (),
    device: torch.device | str = "cpu",
) -> ReconstructionScores:
    """Scores reconstructions of a set of images.

    Args:
        reconstruct: the tokenizer, on ``device``.
        batches: images (B, 3, H, W) float32 in [0, 1], anywhere; they are moved.
        extractor: the network of rFID and inception score, on ``device``.
        labels: (N,) class of each image, in the order of the batches; used if the extractor reads classes.
        codebook_size: V; null for continuous latents, which have no codebook scores.
        rounding: how reconstructions become 8-bit images.
        num_examples: how many of the first images to give back with their reconstructions.
        allow: findings that do not stop the scoring.
        device: where to work.

    Raises:
        ScoreError: no images, a reconstruction that is not finite or has another shape, labels that do not match, or
            fewer images than a covariance of the features needs.
    """
    running = _Running(extractor, codebook_size, labels, rounding, num_examples, torch.device(device))
    with torch.inference_mode():
        for batch in batches:
            images = batch.to(device, non_blocking=True)
            output, tokens = reconstruct(images)
            running.update(images, output, tokens)
    if running.count == 0:
        raise ScoreError("no images to score; the split is empty")
    if labels is not None and len(labels) != running.count:
        raise ScoreError(f"{len(labels)} labels came with {running.count} images; give one label per image")
    refuse(rank_findings(running.count, extractor.feature_dim, "images"), allow)
    originals, reconstructions = running.examples()
    return ReconstructionScores(
        metrics=running.metrics(),
        protocol=running.protocol() | {"allow": sorted(allow)},
        num_images=running.count,
        originals=originals,
        reconstructions=reconstructions,
    )


@dataclass
class _Running:
    """The sums of one pass, all on the device: nothing in `update` waits for it."""

    extractor: FeatureExtractor
    codebook_size: int | None
    labels: Tensor | None
    rounding: Literal["round", "truncate"]
    num_examples: int
    device: torch.device
    count: int = 0
    window: int = 0
    kept: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        dim, num_logits = self.extractor.feature_dim, self.extractor.num_logits
        self.real, self.fake = Moments(dim, self.device), Moments(dim, self.device)
        self.inception = InceptionScore(num_logits, epsilon=OFFICIAL_EPSILON, device=self.device)
        self.codebook = CodebookUse(self.codebook_size, self.device) if self.codebook_size else None
        self.psnr, self.ssim, self.correct, self.broken = (self._zero() for _ in range(4))

    def _zero(self) -> Tensor:
        return torch.zeros((), dtype=torch.float64, device=self.device)

    def update(self, images: Tensor, output: Tensor, tokens: Tensor | None) -> None:
        if output.shape != images.shape:
            raise ScoreError(f"reconstructions have shape {tuple(output.shape)}, their images {tuple(images.shape)}")
        start, self.count = self.count, self.count + len(images)
        self.broken += (~torch.isfinite(output)).flatten(1).any(dim=1).sum()
        # Images are multiples of 1/255, so either rounding gives their 8-bit values back.
        originals = to_uint8(images, "round")
        restored = to_uint8(output.nan_to_num(), self.rounding)
        seen = self.extractor(restored)
        self.real.update(self.extractor(originals).features)
        self.fake.update(seen.features)
        self.inception.update(seen.logits)
        self.psnr += psnr(restored, originals, data_range=255).sum()
        self.ssim += ssim(restored, originals, data_range=255).sum()
        self.window = ssim_window(*images.shape[2:])
        if self.codebook is not None and tokens is not None:
            self.codebook.update(tokens)
        if self.labels is not None:
            wanted = self.labels[start : self.count].to(self.device, non_blocking=True)
            # Labels that run short are reported at the end, together with the number of images.
            self.correct += (seen.logits[: len(wanted)].argmax(dim=1) == wanted).sum()
        if start < self.num_examples:
            room = self.num_examples - start
            self.kept.append((originals[:room], restored[:room]))

    def metrics(self) -> dict[str, float]:
        broken = int(self.broken)
        if broken:
            raise ScoreError(
                f"{broken} of {self.count} reconstructions hold NaN or infinite pixels; the tokenizer diverged or its "
                f"arithmetic overflowed: look at its training log, or score in float32"
            )
        distance = frechet_distance(self.real.mean, self.real.covariance, self.fake.mean, self.fake.covariance)
        metrics = {
            "rfid": distance.value,
            "inception_score": self.inception.compute(),
            "psnr": float(self.psnr) / self.count,
            "ssim": float(self.ssim) / self.count,
        }
        if self.codebook is not None:
            metrics["codebook_usage"] = self.codebook.usage
            metrics["codebook_entropy_bits"] = self.codebook.entropy_bits
            metrics["codebook_perplexity"] = self.codebook.perplexity
        if self.labels is not None and self.extractor.reads_classes:
            metrics["classifier_accuracy"] = float(self.correct) / self.count
        return metrics

    def protocol(self) -> dict[str, Any]:
        return {
            "num_images": self.count,
            "rounding": self.rounding,
            "extractor": self.extractor.identity,
            "frechet": "float64, unbiased covariance, symmetric eigendecomposition",
            "inception_score": {"splits": 1, "epsilon": OFFICIAL_EPSILON},
            "psnr": {"of": "8-bit images", "mean_of": "images", "ceiling_db": PSNR_CEILING},
            "ssim": {"of": "8-bit images", "window": self.window},
        }

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.kept:
            empty = np.empty((0, 0, 0, 3), dtype=np.uint8)
            return empty, empty
        originals, reconstructions = (torch.cat(parts).permute(0, 2, 3, 1) for parts in zip(*self.kept, strict=True))
        return originals.cpu().numpy(), reconstructions.cpu().numpy()
