"""Scores of reconstructions: each against its definition on all images at once, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from titok.config.evaluation import Evaluation, Extractor, KernelDistance, SampleChecks, Uncertainty
from titok.errors import ScoreError
from titok.evaluation.detections import METRIC, DetectionsPreserved
from titok.evaluation.reconstruction import PerceptualDistance, ReconstructionScores, score_reconstructions
from titok.metrics.average_precision import Detections
from titok.metrics.code_length import kt_bits
from titok.metrics.features import ClassifierExtractor, ImageFeatures
from titok.metrics.frechet import frechet_distance
from titok.metrics.inception_score import inception_score
from titok.metrics.kid import kernel_distance
from titok.metrics.pixel import psnr, ssim
from titok.metrics.precision_recall import precision_recall
from titok.models.image_tokenizer import Ids, Reconstruction
from titok.models.quantizer import GaussianPosterior

TOKENS = torch.randint(0, 16, (100, 4), generator=torch.Generator().manual_seed(2))


def settings(**values) -> Evaluation:
    return Evaluation(extractor=Extractor(kind="classifier", classifier="judge"), **values)


class Tokenizer:
    """Gives every image back darker, shifted out of range at places, with the next stored tokens."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: torch.Tensor) -> Reconstruction:
        tokens = TOKENS[self.seen : self.seen + len(images)]
        self.seen += len(images)
        return Reconstruction(restore(images), Ids(tokens))


def restore(images: torch.Tensor) -> torch.Tensor:
    return images * 1.3 - 0.2


def score(
    images: torch.Tensor,
    judge: ClassifierExtractor,
    batch_size: int = 32,
    evaluation: Evaluation | None = None,
    **options,
) -> ReconstructionScores:
    return score_reconstructions(Tokenizer(), images.split(batch_size), judge, evaluation or settings(), **options)


def test_scores_equal_their_definitions(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    labels = torch.arange(100) % 10
    scores = score(images, judge, labels=labels, codebook_size=16)
    restored = (restore(images).clamp(0, 1) * 255).round()
    real, fake = judge((images * 255).to(torch.uint8)), judge(restored.to(torch.uint8))
    distance = frechet_distance(
        real.features.mean(0).double(),
        np.cov(real.features.double().numpy(), rowvar=False),
        fake.features.mean(0).double(),
        np.cov(fake.features.double().numpy(), rowvar=False),
    )
    frequencies = np.bincount(TOKENS.flatten(), minlength=16) / TOKENS.numel()
    entropy = -(frequencies * np.log2(frequencies)).sum()
    manifold = precision_recall(real.features, fake.features)
    expected = {
        "rfid": distance.value,
        "inception_score": inception_score(fake.logits),
        "psnr": psnr(restored / 255, images).mean().item(),
        "ssim": ssim(restored / 255, images).mean().item(),
        "precision": manifold.precision,
        "recall": manifold.recall,
        "codebook_usage": (frequencies > 0).mean(),
        "codebook_entropy_bits": entropy,
        "codebook_perplexity": 2**entropy,
        "coded_bits_per_image": kt_bits(np.bincount(TOKENS.flatten(), minlength=16)[None]) / 100,
        "coded_bits_per_image_by_position": kt_bits(
            np.stack([np.bincount(column, minlength=16) for column in TOKENS.numpy().T])
        )
        / 100,
        "classifier_accuracy": (fake.logits.argmax(1) == labels).double().mean().item(),
        "judge_accuracy": (real.logits.argmax(1) == labels).double().mean().item(),
        "chance_accuracy": 0.1,
        "explained_variance": 1 - ((restored / 255 - images).double() ** 2).sum().item() / spread(images),
    }
    assert scores.metrics == pytest.approx(expected, rel=1e-5)
    assert scores.num_images == 100
    assert scores.protocol["num_images"] == 100
    assert scores.protocol["extractor"] == judge.identity


def test_a_vaes_rate_is_its_divergence_in_bits(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    moments = torch.linspace(-1, 1, 100 * 2 * 6).view(100, 2, 6)
    posteriors = iter(moments.split(32))

    def restored(batch: torch.Tensor) -> Reconstruction:
        return Reconstruction(restore(batch), posterior=GaussianPosterior(next(posteriors)))

    metrics = score_reconstructions(restored, images.split(32), judge, settings()).metrics
    mean, logvar = moments.double().chunk(2, dim=-1)
    nats = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=(1, 2))
    assert metrics["kl_bits_per_image"] == pytest.approx(nats.mean().item() / np.log(2), rel=1e-6)
    assert not [name for name in metrics if name.startswith("coded")]


@pytest.mark.parametrize("batch_size", [1, 33, 100])
def test_batches_do_not_change_scores(images: torch.Tensor, judge: ClassifierExtractor, batch_size: int) -> None:
    options = {"labels": torch.arange(100) % 10, "codebook_size": 16}
    whole = score(images, judge, **options).metrics
    assert score(images, judge, batch_size, **options).metrics == pytest.approx(whole, rel=1e-5)


def test_perfect_reconstructions(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    metrics = score_reconstructions(Reconstruction, images.split(40), judge, settings()).metrics
    assert metrics["rfid"] == pytest.approx(0.0, abs=1e-9)
    assert metrics["psnr"] == pytest.approx(100.0)
    assert metrics["ssim"] == pytest.approx(1.0)
    assert (metrics["precision"], metrics["recall"]) == (1.0, 1.0)
    assert metrics["explained_variance"] == 1.0
    assert set(metrics) == {"rfid", "inception_score", "psnr", "ssim", "precision", "recall", "explained_variance"}


def spread(images: torch.Tensor) -> float:
    """Squared error of the images' mean image."""
    return ((images - images.mean(0)).double() ** 2).sum().item()


def test_chance_is_the_most_frequent_class(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    labels = torch.cat([torch.zeros(60), torch.arange(40) % 9 + 1]).long()
    assert score(images, judge, labels=labels).metrics["chance_accuracy"] == 0.6


def test_rounding_matters_and_is_recorded(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    rounded, truncated = (
        score_reconstructions(
            lambda batch: Reconstruction(batch + 0.6 / 255), [images * 0.9], judge, settings(rounding=rounding)
        )
        for rounding in ("round", "truncate")
    )
    assert rounded.metrics["psnr"] < truncated.metrics["psnr"]
    assert (rounded.protocol["rounding"], truncated.protocol["rounding"]) == ("round", "truncate")


def test_labels_are_ignored_if_the_extractor_reads_no_classes(images: torch.Tensor) -> None:
    class Embedding:
        """Features that are no verdicts."""

        feature_dim, num_logits, reads_classes, spatial_dim = 3, 3, False, None
        identity = {"kind": "inception"}  # noqa: RUF012

        def __call__(self, batch: torch.Tensor) -> ImageFeatures:
            means = batch.float().mean(dim=(2, 3))
            return ImageFeatures(means, means)

    scores = score_reconstructions(
        Tokenizer(), images.split(32), Embedding(), settings(), labels=torch.zeros(100).long()
    )
    assert "classifier_accuracy" not in scores.metrics


def test_examples_are_the_first_images(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    scores = score(images, judge, batch_size=8, num_examples=13)
    np.testing.assert_array_equal(scores.originals, (images[:13] * 255).round().permute(0, 2, 3, 1))
    expected = (restore(images[:13]).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    np.testing.assert_array_equal(scores.reconstructions, expected)
    assert scores.originals.dtype == scores.reconstructions.dtype == np.uint8
    assert len(score(images, judge).originals) == 0


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_broken_reconstructions_are_counted_and_refused(
    images: torch.Tensor, judge: ClassifierExtractor, value: float
) -> None:
    def broken(batch: torch.Tensor) -> Reconstruction:
        output = batch.clone()
        output[:2, 0, 0, 0] = value
        return Reconstruction(output)

    with pytest.raises(ScoreError, match="4 of 100 reconstructions hold NaN"):
        score_reconstructions(broken, images.split(50), judge, settings())


@pytest.mark.parametrize("count", [99, 101])
def test_labels_must_match_images(images: torch.Tensor, judge: ClassifierExtractor, count: int) -> None:
    with pytest.raises(ScoreError, match=f"{count} labels came with 100 images"):
        score(images, judge, labels=torch.zeros(count).long())


def test_too_few_images_for_the_features(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    with pytest.raises(ScoreError, match=r"12 images cannot fill .* 12 features.*allow: too_few_for_features"):
        score(images[:12], judge)
    scores = score(images[:12], judge, evaluation=settings(checks=SampleChecks(allow=("too_few_for_features",))))
    assert scores.protocol["allow"] == ["too_few_for_features"]
    assert np.isfinite(scores.metrics["rfid"])


def test_other_mistakes_are_named(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    with pytest.raises(ScoreError, match="no images"):
        score_reconstructions(Tokenizer(), [], judge, settings())
    with pytest.raises(ScoreError, match=r"\(100, 3, 8, 8\).*\(100, 3, 16, 16\)"):
        score_reconstructions(lambda batch: Reconstruction(batch[..., :8, :8]), [images], judge, settings())


def test_kid_and_lpips_where_asked_for(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    kid = KernelDistance(subsets=5, subset_size=40, seed=1)
    distance = PerceptualDistance(lambda a, b: (a - b).abs().mean(dim=(1, 2, 3)), {"network": "toy"})
    scores = score(images, judge, evaluation=settings(kid=kid), lpips=distance)
    restored = (restore(images).clamp(0, 1) * 255).round()
    real, fake = judge((images * 255).to(torch.uint8)), judge(restored.to(torch.uint8))
    expected = kernel_distance(fake.features, real.features, 5, 40, 1)
    assert scores.metrics["kid"] == pytest.approx(expected.value, rel=1e-4)
    assert scores.protocol["kid"]["subset_size"] == 40
    assert scores.metrics["lpips"] == pytest.approx((restored / 255 - images).abs().mean().item(), rel=1e-5)
    assert scores.protocol["lpips"] == {"network": "toy", "of": "8-bit images"}


def test_intervals_hold_the_values_and_depend_on_neither_batches_nor_chance(
    images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    asked = settings(uncertainty=Uncertainty(resamples=200, extrapolation_points=4))
    images, labels = torch.cat([images, images[:30].flip(3)]), torch.arange(130) % 10
    plain = score(images, judge, labels=labels)
    found = [score(images, judge, size, evaluation=asked, labels=labels, scratch=tmp_path) for size in (7, 64)]
    distances = [scores.metrics.pop("rfid_infinity") for scores in found]
    assert distances[0] == pytest.approx(distances[1], rel=1e-4)
    assert found[1].metrics == pytest.approx(plain.metrics, rel=1e-6), "asking for intervals changes no number"
    names = {"rfid", "rfid_infinity", "inception_score", "psnr", "ssim", "classifier_accuracy"}
    assert set(found[0].intervals) == names
    for name, interval in found[0].intervals.items():
        other = found[1].intervals[name]
        assert (interval.low, interval.high) == pytest.approx((other.low, other.high), rel=1e-3)
        assert interval.low < plain.metrics.get(name, distances[0]) < interval.high
    widths = [found[0].intervals[name].high - found[0].intervals[name].low for name in ("rfid", "rfid_infinity")]
    assert widths[1] > widths[0], "subsets scatter, too"
    assert found[0].protocol["at_infinite_n"]["sizes"] == [60, 83, 106, 130]
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_for_a_line_give_none(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    scores = score(images[:20], judge, evaluation=settings(uncertainty=Uncertainty(resamples=10)))
    assert "rfid_infinity" not in scores.metrics
    assert scores.protocol["at_infinite_n"] is None
    assert "rfid" in scores.intervals


def test_a_detector_looks_at_8_bit_originals_and_reconstructions(
    images: torch.Tensor, judge: ClassifierExtractor
) -> None:
    """This one finds one thing in every image, of which the brightness of a pixel is the class."""
    box, sure = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.ones(1)

    def detect(pixels: torch.Tensor) -> list[Detections]:
        assert pixels.dtype == torch.uint8
        return [Detections(box, image[0, 0, :1].long(), sure) for image in pixels]

    scores = score(images, judge, detections=DetectionsPreserved(detect, 0.5, {"detector": "one"}))
    classes = (images[:, 0, 0, 0] * 255).round()
    restored = (restore(images)[:, 0, 0, 0].clamp(0, 1) * 255).round()
    each = []
    for truth in classes.unique():  # all equally sure: in the order of images
        right = (classes == truth)[restored == truth].numpy()
        precision = right.cumsum() / np.arange(1, len(right) + 1)
        highest = np.maximum.accumulate(precision[::-1])[::-1]
        each.append((highest * right).sum() / int((classes == truth).sum()))
    assert scores.metrics[METRIC] == pytest.approx(np.mean(each))
    assert scores.protocol[METRIC]["detector"] == "one"
    assert METRIC not in score(images, judge).metrics
