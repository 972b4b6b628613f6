"""What every length of a tokenizer gives back, and what images need where each has its own: all from one pass.

Scores of 8-bit images as in ``titok.evaluation.reconstruction``. Letters: N images, B of a batch, L lengths. Keys of
metrics end in ``@8`` (all images have 8 tokens) or ``@l1<0.05`` (each has the shortest code with that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titok.config.adaptive_length import LengthRule
from titok.config.evaluation import Evaluation
from titok.data.transforms import to_uint8
from titok.errors import ScoreError
from titok.evaluation.findings import rank_findings, refuse
from titok.evaluation.length_pictures import Extremes
from titok.evaluation.looking import distance_protocol
from titok.evaluation.reconstruction import PerceptualDistance
from titok.metrics.codebook import CodebookUse
from titok.metrics.features import FeatureExtractor
from titok.metrics.frechet import frechet_distance
from titok.metrics.moments import Moments
from titok.metrics.pixel import psnr, ssim
from titok.models.image_tokenizer import Reconstruction, TokenFacts, bits_of
from titok.models.length_choice import Criterion, shortest_sufficient

RestoreAll = Callable[[Tensor], Iterator[Reconstruction]]
"""Images (B, 3, H, W) in [0, 1] -> their reconstructions at every length, from few tokens to many, not clamped."""


def tag_of(criterion: Criterion) -> str:
    """How metrics of a choice end: ``l1<0.05``, ``psnr>24``, ``l1<K=16``, ``class``."""
    if criterion.is_oracle:
        return criterion.name
    sign = ">" if criterion.higher_is_better else "<"
    return f"{criterion.name}{sign}{criterion.said or f'{criterion.threshold:g}'}"


@dataclass(frozen=True)
class Choosing:
    """The criteria of a study, for images that may have ``lengths``."""

    lengths: tuple[int, ...]
    """From few to many; a tokenizer of one length has one."""
    criteria: tuple[Criterion, ...]
    """Of one measure, with one threshold or several."""
    rule: LengthRule
    codebook_size: int

    def bits(self, num_tokens: float) -> float:
        """Of so many ids, and of telling which length it is."""
        return bits_of(num_tokens, self.codebook_size, len(self.lengths))


@dataclass(frozen=True)
class LengthScores:
    """What one pass found."""

    metrics: dict[str, float]
    num_images: int
    choosing: Choosing
    measured: np.ndarray
    """(N, L) float64: the criterion's measure of each image at each length."""
    chosen: Mapping[str, np.ndarray]
    """Tag -> (N,): which place among the lengths each image was given."""
    pictures: Mapping[str, np.ndarray]
    """Arrays of `titok.evaluation.length_pictures`."""
    tokens: np.ndarray | None = None
    """For tables image by image, which show no ids here."""

    @property
    def per_image(self) -> dict[str, np.ndarray]:
        """Columns of a table image by image: the measure at each length, then the lengths given."""
        choosing = self.choosing
        name = choosing.criteria[0].name
        found = {f"{name}@{length}": self.measured[:, place] for place, length in enumerate(choosing.lengths)}
        return found | {f"length@{tag}": np.array(choosing.lengths)[places] for tag, places in self.chosen.items()}


def score_lengths(
    restore: RestoreAll,
    batches: Iterable[Tensor],
    extractor: FeatureExtractor,
    settings: Evaluation,
    choosing: Choosing,
    *,
    lpips: PerceptualDistance | None = None,
    num_pictures: int = 0,
    device: torch.device | str = "cpu",
) -> LengthScores:
    """Scores all lengths, and the lengths that each criterion gives.

    Args:
        restore: the tokenizer, on ``device``.
        batches: images (B, 3, H, W) float32 in [0, 1], anywhere; they are moved.
        extractor: the network of rFID, on ``device``.
        num_pictures: how many images of the fewest tokens, and how many of the most, to give back.

    Raises:
        ScoreError: no images, reconstructions that are not finite, or too few images for a covariance.
    """
    running = _Running(extractor, settings, choosing, lpips, num_pictures, torch.device(device))
    with torch.inference_mode():
        for batch in batches:
            running.update(batch.to(device, non_blocking=True), restore)
    running.check()
    return running.scores()


@dataclass
class _Place:
    """The sums of one length, or of one criterion's choice."""

    moments: Moments
    columns: dict[str, list[Tensor]] = field(default_factory=dict)

    def note(self, features: Tensor, values: Mapping[str, Tensor]) -> None:
        self.moments.update(features)
        for name, column in values.items():
            self.columns.setdefault(name, []).append(column.double())

    def column(self, name: str) -> np.ndarray:
        return torch.cat(self.columns[name]).cpu().numpy()

    def metrics(self, real: Moments) -> dict[str, float]:
        moments = self.moments
        distance = frechet_distance(real.mean, real.covariance, moments.mean, moments.covariance)
        return {"rfid": distance.value, **{name: float(self.column(name).mean()) for name in self.columns}}


@dataclass
class _Running:
    """The sums of one pass."""

    extractor: FeatureExtractor
    settings: Evaluation
    choosing: Choosing
    lpips: PerceptualDistance | None
    num_pictures: int
    device: torch.device
    count: int = 0

    def __post_init__(self) -> None:
        self.real = self._moments()
        self.at_length = [_Place(self._moments()) for _ in self.choosing.lengths]
        self.at_choice = [_Place(self._moments()) for _ in self.choosing.criteria]
        self.codebooks = [CodebookUse(self.choosing.codebook_size, self.device) for _ in self.choosing.lengths]
        self.places: list[list[Tensor]] = [[] for _ in self.choosing.criteria]
        self.broken = torch.zeros((), dtype=torch.int64, device=self.device)
        self.pictures = Extremes(self.num_pictures)

    def _moments(self) -> Moments:
        return Moments(self.extractor.feature_dim, self.device)

    def update(self, images: Tensor, restore: RestoreAll) -> None:
        self.count += len(images)
        originals = to_uint8(images, "round")
        self.real.update(self.extractor(originals).features)
        features, values, restored = [], [], []
        for place, output in enumerate(restore(images)):
            self.broken += (~torch.isfinite(output.images)).flatten(1).any(dim=1).sum()
            pixels = to_uint8(output.images.nan_to_num(), self.settings.rounding)
            features.append(self.extractor(pixels).features)
            values.append(self._values(images, originals, output.images.nan_to_num(), pixels))
            restored.append(pixels)
            self.at_length[place].note(features[-1], values[-1])
            if output.ids is not None:
                self.codebooks[place].update(output.ids.counted())
        stacked = {name: torch.stack([each[name] for each in values], dim=1) for name in values[0]}
        self._choose(originals, torch.stack(features, dim=1), stacked, torch.stack(restored, dim=1))

    def _values(self, images: Tensor, originals: Tensor, output: Tensor, pixels: Tensor) -> dict[str, Tensor]:
        criterion = self.choosing.criteria[0]
        found = {"psnr": psnr(pixels, originals, data_range=255), "ssim": ssim(pixels, originals, data_range=255)}
        if self.lpips is not None:
            found["lpips"] = self.lpips.of(pixels.float() / 255, originals.float() / 255)
        # The criterion's own last: what decides a length is what is shown of it.
        return {**found, criterion.name: criterion.measure(images, output)}

    def _choose(self, originals: Tensor, features: Tensor, values: Mapping[str, Tensor], restored: Tensor) -> None:
        """Features (B, L, F), values (B, L) each, reconstructions (B, L, 3, H, W) uint8."""
        rows, measured = torch.arange(len(originals), device=originals.device), values[self.choosing.criteria[0].name]
        for index, criterion in enumerate(self.choosing.criteria):
            places, met = shortest_sufficient(measured, criterion, self.choosing.rule.otherwise)
            own = {name: column[rows, places] for name, column in values.items()}
            self.at_choice[index].note(features[rows, places], {**own, "met": met})
            self.places[index].append(places)
            if index == len(self.choosing.criteria) // 2:
                self.pictures.update(originals, restored, places, own[criterion.name], criterion.higher_is_better)

    def check(self) -> None:
        if self.count == 0:
            raise ScoreError("no images to score; the split is empty")
        if broken := int(self.broken):
            raise ScoreError(
                f"{broken} of {self.count * len(self.choosing.lengths)} reconstructions hold NaN or infinite pixels; "
                f"the tokenizer diverged or its arithmetic overflowed: look at its training log, or score in float32"
            )
        refuse(rank_findings(self.count, self.extractor.feature_dim, "images"), self.settings.checks.allow)

    def scores(self) -> LengthScores:
        choosing, metrics = self.choosing, dict[str, float]()
        for length, place, used in zip(choosing.lengths, self.at_length, self.codebooks, strict=True):
            found = {**place.metrics(self.real), "bits_per_image": choosing.bits(length)}
            found |= {"codebook_usage": used.usage, "codebook_perplexity": used.perplexity}
            metrics |= {f"{name}@{length}": value for name, value in found.items()}
        chosen = {
            tag_of(criterion): torch.cat(places).cpu().numpy()
            for criterion, places in zip(choosing.criteria, self.places, strict=True)
        }
        if len(choosing.lengths) > 1:
            for criterion, (tag, places), place in zip(choosing.criteria, chosen.items(), self.at_choice, strict=True):
                found = place.metrics(self.real) | _of_lengths(choosing, places)
                found |= {} if criterion.said is None else {"threshold": criterion.threshold}
                metrics |= {f"{name}@{tag}": value for name, value in found.items()}
        measured = np.stack([place.column(choosing.criteria[0].name) for place in self.at_length], axis=1)
        return LengthScores(metrics, self.count, choosing, measured, chosen, self.pictures.arrays(choosing.lengths))


def _of_lengths(choosing: Choosing, places: np.ndarray) -> dict[str, float]:
    """Mean and histogram of the lengths at ``places`` (N,), and their bits."""
    counts = np.bincount(places, minlength=len(choosing.lengths))
    mean = float(np.array(choosing.lengths)[places].mean())
    shares = {f"share_of_{length}": count / len(places) for length, count in zip(choosing.lengths, counts, strict=True)}
    return {"mean_length": mean, "bits_per_image": choosing.bits(mean), **shares}


def length_protocol(
    settings: Evaluation, extractor: FeatureExtractor, choosing: Choosing, lpips: PerceptualDistance | None, size: int
) -> dict[str, Any]:
    """Everything that changes the numbers, but for the images."""
    return {
        "num_images": size,
        "rounding": settings.rounding,
        **distance_protocol(extractor),
        "choice": {
            "criterion": choosing.criteria[0].name,
            "of": "reconstructions as they are" if choosing.criteria[0].name == "l1" else "8-bit images",
            "otherwise": choosing.rule.otherwise,
            "is_oracle": choosing.criteria[0].is_oracle,
        },
        "bits": "K log2 V + log2 of the number of lengths",
        "one_length": "mixture of the two nearest lengths, of equal mean; paired by image",
        **({} if lpips is None else {"lpips": lpips.identity | {"of": "8-bit images"}}),
        "allow": sorted(settings.checks.allow),
    }


def lengths_of(facts: TokenFacts, wanted: Sequence[int]) -> tuple[int, ...]:
    """Which lengths are scored: those there are; of nested codes (tail drop), those ``wanted``, or all without any.

    Raises:
        ScoreError: others are wanted, or nobody knows how many tokens there are.
    """
    known = facts.lengths
    if not known and facts.most_tokens is None:
        raise ScoreError("how many tokens an image has depends on its size; lengths need a tokenizer of one size")
    if not known:
        return (facts.most_tokens or 0,)
    if not facts.is_nested or not wanted:
        return known
    if not set(wanted) <= set(known):
        raise ScoreError(
            f"adaptive_length.lengths is {list(wanted)}; this tokenizer has {known[0]} to {known[-1]}: name some "
            f"of them"
        )
    return tuple(wanted)
