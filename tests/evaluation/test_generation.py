"""Scores of samples: against their definitions on all images at once, and every reason to refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from titok.config.evaluation import (
    DensityCoverage,
    Evaluation,
    Extractor,
    KernelDistance,
    MongeDistance,
    SampleChecks,
    Uncertainty,
)
from titok.errors import ScoreError
from titok.evaluation.generation import SampleScores, score_samples
from titok.evaluation.reference import Reference, collect_reference
from titok.evaluation.samples import Samples
from titok.metrics.features import ClassifierExtractor
from titok.metrics.frechet import frechet_distance
from titok.metrics.inception_score import adm_inception_score, inception_score
from titok.metrics.kid import kernel_distance
from titok.metrics.precision_recall import precision_recall
from titok.runtime.files import save_npz

LABELS = np.arange(60) % 10


def settings(num_samples: int = 60, **values) -> Evaluation:
    extractor = Extractor(kind="classifier", classifier="judge")
    return Evaluation(
        extractor=extractor, num_samples=num_samples, batch_size=16, inception_score_split_size=25, **values
    )


@pytest.fixture(scope="module")
def generated() -> np.ndarray:
    small = torch.rand(60, 4, 4, 3, generator=torch.Generator().manual_seed(3)) * 0.8
    return (small.repeat_interleave(4, 1).repeat_interleave(4, 2) * 255).to(torch.uint8).numpy()


@pytest.fixture(scope="module")
def reference(images: torch.Tensor, judge: ClassifierExtractor) -> Reference:
    return collect_reference(images.split(30), 100, judge, source={"dataset": "blocks"})


def score(
    images: np.ndarray, reference: Reference, judge: ClassifierExtractor, labels: np.ndarray | None = LABELS, **values
) -> SampleScores:
    return score_samples(Samples.of_array(images, labels), reference, judge, settings(**values), num_classes=10)


def test_scores_equal_their_definitions(
    generated: np.ndarray, images: torch.Tensor, reference: Reference, judge: ClassifierExtractor
) -> None:
    scores = score(generated, reference, judge)
    fake = judge(torch.from_numpy(generated).permute(0, 3, 1, 2))
    real = judge((images * 255).round().to(torch.uint8))
    distance = frechet_distance(
        fake.features.mean(0).double(),
        np.cov(fake.features.double().numpy(), rowvar=False),
        real.features.mean(0).double(),
        np.cov(real.features.double().numpy(), rowvar=False),
    )
    manifold = precision_recall(real.features, fake.features)
    assert scores.metrics == pytest.approx(
        {
            "gfid": distance.value,
            "inception_score": inception_score(fake.logits),
            "inception_score_adm": adm_inception_score(fake.logits, 25),
            "precision": manifold.precision,
            "recall": manifold.recall,
            "class_agreement": (fake.logits.argmax(1).numpy() == LABELS).mean(),
            "duplicate_fraction": 0.0,
            "constant_fraction": 0.0,
        },
        rel=1e-4,
    )
    assert scores.protocol["reference"] == {"dataset": "blocks", "num_images": 100}
    assert scores.protocol["extractor"] == judge.identity


def test_a_file_scores_like_its_array(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    save_npz(tmp_path / "samples.npz", arr_0=generated, labels=LABELS)
    from_file = score_samples(Samples.open(tmp_path / "samples.npz"), reference, judge, settings(), num_classes=10)
    assert from_file == score(generated, reference, judge)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_do_not_change_scores(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor, batch_size: int
) -> None:
    whole = score(generated, reference, judge).metrics
    evaluation = settings().model_copy(update={"batch_size": batch_size})
    samples = Samples.of_array(generated, LABELS)
    found = score_samples(samples, reference, judge, evaluation, num_classes=10).metrics
    assert found == pytest.approx(whole, rel=1e-4)


def test_the_order_of_samples_changes_nothing_but_splits(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor
) -> None:
    order = np.random.default_rng(0).permutation(60)
    whole, shuffled = (
        score(images, reference, judge, labels).metrics
        for images, labels in ((generated, LABELS), (generated[order], LABELS[order]))
    )
    whole.pop("inception_score_adm"), shuffled.pop("inception_score_adm")
    assert shuffled == pytest.approx(whole, rel=1e-4)


def test_real_images_score_best(images: torch.Tensor, reference: Reference, judge: ClassifierExtractor) -> None:
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    metrics = score(pixels, reference, judge, labels=np.arange(100) % 10, num_samples=100).metrics
    assert metrics["gfid"] == pytest.approx(0.0, abs=1e-9)
    assert (metrics["precision"], metrics["recall"]) == (1.0, 1.0)


def test_reference_without_features_gives_no_precision(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor
) -> None:
    plain = Reference(mean=reference.mean, covariance=reference.covariance)
    scores = score(generated, plain, judge)
    assert "precision" not in scores.metrics
    assert scores.metrics["gfid"] == score(generated, reference, judge).metrics["gfid"]
    assert scores.protocol["precision_recall"]["references"] is None


def test_wrong_number_of_samples(generated: np.ndarray, reference: Reference, judge: ClassifierExtractor) -> None:
    with pytest.raises(ScoreError, match="60 samples were given, the protocol asks for 61"):
        score(generated, reference, judge, num_samples=61)


def test_reference_of_another_extractor(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor
) -> None:
    other = Reference(reference.mean, reference.covariance, extractor=judge.identity | {"sha256": "cd" * 32})
    with pytest.raises(ScoreError, match="make the reference again"):
        score(generated, other, judge)


def test_degenerate_samples_need_to_be_allowed_by_name(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor
) -> None:
    poor = generated.copy()
    poor[10:20] = poor[0]
    poor[30] = 7
    labels = LABELS.copy()
    labels[0] = 1
    with pytest.raises(ScoreError) as error:
        score(poor, reference, judge, labels)
    for part in (
        "10 of 60 samples repeat",
        "1 of 60 samples have one colour",
        "class 0 has 5 samples and class 1 has 7",
        "evaluation.checks.allow: constant_images, duplicates, unbalanced_classes",
    ):
        assert part in str(error.value)
    with pytest.raises(ScoreError, match=r"checks\.allow: constant_images$"):
        score(poor, reference, judge, labels, checks=SampleChecks(allow=("duplicates", "unbalanced_classes")))
    checks = SampleChecks(allow=("duplicates", "unbalanced_classes", "constant_images"))
    scores = score(poor, reference, judge, labels, checks=checks)
    assert scores.metrics["duplicate_fraction"] == pytest.approx(1 / 6)
    assert scores.protocol["checks"]["allow"] == list(checks.allow)


def test_too_few_images_on_either_side(
    generated: np.ndarray, images: torch.Tensor, reference: Reference, judge: ClassifierExtractor
) -> None:
    with pytest.raises(ScoreError, match="10 samples cannot fill a covariance of 12 features"):
        score(generated[:10], reference, judge, LABELS[:10], num_samples=10)
    small = collect_reference([images[:8]], 8, judge)
    with pytest.raises(ScoreError, match="8 reference images cannot fill"):
        score(generated, small, judge)
    allowed = SampleChecks(allow=("too_few_for_features",))
    assert np.isfinite(score(generated, small, judge, checks=allowed).metrics["gfid"])


def test_kid_intervals_and_infinity_where_asked_for(
    generated: np.ndarray, reference: Reference, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    generated = np.concatenate([generated, generated[:, ::-1], generated[:10, :, ::-1]])
    of_many = {"labels": np.arange(130) % 10, "num_samples": 130}
    plain = score(generated, reference, judge, **of_many)
    asked = of_many | {
        "kid": KernelDistance(subsets=4, subset_size=30),
        "uncertainty": Uncertainty(resamples=100, extrapolation_points=3),
    }
    scores = score(generated, reference, judge, **asked)
    features = judge(torch.from_numpy(generated).permute(0, 3, 1, 2)).features
    assert reference.features is not None
    expected = kernel_distance(features, reference.features, 4, 30)
    assert scores.metrics.pop("kid") == pytest.approx(expected.value, rel=1e-5)
    at_infinity = scores.metrics.pop("gfid_infinity")
    assert at_infinity < plain.metrics["gfid"]
    assert scores.metrics == pytest.approx(plain.metrics)
    names = {"gfid", "gfid_infinity", "inception_score", "inception_score_adm", "class_agreement"}
    assert set(scores.intervals) == names
    for name, interval in scores.intervals.items():
        assert interval.low <= plain.metrics.get(name, at_infinity) <= interval.high
    assert scores.protocol["at_infinite_n"]["sizes"] == [60, 95, 130]
    assert scores.protocol["kid"]["subsets"] == 4
    without = score(generated, Reference(reference.mean, reference.covariance), judge, **asked)
    assert without.intervals["gfid"] == scores.intervals["gfid"]
    assert "kid" not in without.metrics


def test_intervals_within_classes(generated: np.ndarray, reference: Reference, judge: ClassifierExtractor) -> None:
    """Nothing else moves, the protocol included; without labels nobody knows the classes."""
    found = [
        score(generated, reference, judge, uncertainty=Uncertainty(resamples=200, within_classes=within))
        for within in (False, True)
    ]
    assert found[0].metrics == found[1].metrics
    assert found[0].protocol == found[1].protocol
    widths = [scores.intervals["inception_score"].high - scores.intervals["inception_score"].low for scores in found]
    assert widths[0] != widths[1]
    allowed = SampleChecks(allow=("unbalanced_classes",))
    with pytest.raises(ScoreError, match="within_classes is true, but the samples have no labels"):
        score(generated, reference, judge, None, checks=allowed, uncertainty=Uncertainty(within_classes=True))


def test_later_metrics_where_asked_for(generated: np.ndarray, reference: Reference, judge: ClassifierExtractor) -> None:
    plain = score(generated, reference, judge)
    asked = {"density_coverage": DensityCoverage(neighbours=4), "mind": MongeDistance(directions=8)}
    scores = score(generated, reference, judge, **asked)
    assert {name: scores.metrics.pop(name) for name in ("density", "coverage", "mind")}["mind"] > 0
    assert scores.metrics == plain.metrics
    assert scores.protocol.pop("density_coverage") == {"neighbours": 4, "references": 100}
    assert scores.protocol.pop("mind") == {"directions": 8, "seed": 2020, "references": 100}
    assert scores.protocol == plain.protocol
    without = score(generated, Reference(reference.mean, reference.covariance), judge, **asked)
    assert not {"density", "coverage", "mind", "precision"} & without.metrics.keys()
    assert not {"density_coverage", "mind"} & without.protocol.keys()


def test_more_kid_than_images(generated: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"kid\.subset_size is 1000, but only 60 images"):
        settings(kid=KernelDistance())
