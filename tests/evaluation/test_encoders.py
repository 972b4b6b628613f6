"""Distances in the features of other networks, from the pass of the scores: against their definitions.

Run: pytest tests/evaluation/test_encoders.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation.test_reconstruction import Tokenizer, restore, settings

from titok.config.encoders import Encoder
from titok.config.evaluation import Evaluation, KernelDistance, SampleChecks, Uncertainty
from titok.errors import ScoreError
from titok.evaluation.encoders import EncoderPass, looked_at
from titok.evaluation.generation import score_samples
from titok.evaluation.reconstruction import score_reconstructions
from titok.evaluation.reference import collect_reference
from titok.evaluation.samples import Samples
from titok.metrics.features import ClassifierExtractor, ImageFeatures
from titok.metrics.frechet import frechet_distance
from titok.metrics.kid import kernel_distance
from titok.records.record import score_record


class Patches:
    """Features that are no classifier's: means of the four quarters and squares of the channels' means."""

    feature_dim, num_logits, spatial_dim, reads_classes = 7, 0, None, False

    def __init__(self, model: str = "patches") -> None:
        self.identity: dict[str, Any] = {"kind": "timm", "model": model, "sha256": "cd" * 32}

    def __call__(self, images: torch.Tensor) -> ImageFeatures:
        scaled = images.float() / 255
        quarters = torch.nn.functional.adaptive_avg_pool2d(scaled.mean(dim=1, keepdim=True), 2).flatten(1)
        features = torch.cat([quarters, scaled.mean(dim=(2, 3)) ** 2], dim=1)
        return ImageFeatures(features, features[:, :0])


def asked(**values: Any) -> Evaluation:
    encoders = {"patches": Encoder(model="patches", label="Patches", weights="w.safetensors")}
    return settings(encoders=encoders, **values)


def features_of(images: torch.Tensor) -> torch.Tensor:
    return Patches()((images * 255).round().to(torch.uint8)).features


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    sides = [(part.double().mean(0), torch.from_numpy(np.cov(part.double().numpy().T))) for part in (first, second)]
    return frechet_distance(*sides[0], *sides[1]).value


def test_reconstructions_beside_their_originals(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    kid = KernelDistance(subsets=5, subset_size=40, seed=1)
    plain = score_reconstructions(Tokenizer(), images.split(32), judge, settings(kid=kid))
    evaluation = asked(kid=kid, uncertainty=Uncertainty(resamples=100, extrapolation_points=0))
    scores = score_reconstructions(Tokenizer(), images.split(32), judge, evaluation, encoders={"patches": Patches()})
    real, fake = features_of(images), features_of(restore(images).clamp(0, 1))
    assert scores.metrics["fd_patches"] == pytest.approx(distance(real, fake), rel=1e-4)
    assert scores.metrics["kid_patches"] == pytest.approx(kernel_distance(fake, real, 5, 40, 1).value, rel=1e-4)
    assert {name: value for name, value in scores.metrics.items() if "patches" not in name} == plain.metrics
    interval = scores.intervals["fd_patches"]
    assert interval.low < scores.metrics["fd_patches"] < interval.high
    assert scores.protocol["encoders"] == {"patches": {"label": "Patches", **Patches().identity}}
    assert "encoders" not in plain.protocol


def test_one_of_so_many_images_is_looked_at_whatever_the_batches(
    images: torch.Tensor, judge: ClassifierExtractor
) -> None:
    thin = Encoder(model="patches", label="Patches", weights="w.safetensors", one_of=3)
    found = [
        score_reconstructions(
            Tokenizer(),
            images.split(size),
            judge,
            settings(encoders={"patches": thin}),
            encoders={"patches": Patches()},
        )
        for size in (1, 32, 100)
    ]
    chosen = images[torch.from_numpy(looked_at(0, len(images), 3))]
    real, fake = features_of(chosen), features_of(restore(chosen).clamp(0, 1))
    for scores in found:
        assert scores.metrics["fd_patches"] == pytest.approx(distance(real, fake), rel=1e-4)
        assert scores.protocol["encoders"]["patches"]["one_of"] == 3


def test_places_lie_one_in_each_run_and_meet_all_classes() -> None:
    places = looked_at(0, 1000, 5)
    assert (places // 5).tolist() == list(range(200))
    assert np.concatenate([looked_at(0, 333, 5), looked_at(333, 1000, 5)]).tolist() == places.tolist()
    # Classes that come in turn: a fixed place would meet two of ten; 20 of each are expected, within 5 deviations.
    classes = np.bincount(places % 10, minlength=10)
    assert np.abs(classes - 20).max() < 5 * np.sqrt(200 * 0.1 * 0.9)
    assert looked_at(7, 10, 1).tolist() == [7, 8, 9]


def test_intervals_want_all_images_and_samples_can_be_left_out() -> None:
    thin = Encoder(model="patches", label="Patches", weights="w.safetensors", one_of=3, samples=False)
    with pytest.raises(ValueError, match=r"encoders\.patches\.one_of is 3, but uncertainty draws"):
        Evaluation(
            extractor={"kind": "classifier", "classifier": "judge"},
            encoders={"patches": thin},
            uncertainty=Uncertainty(),
        )
    evaluation = settings(encoders={"patches": thin})
    assert not evaluation.of_samples().encoders
    assert evaluation.of_reconstructions().encoders == {"patches": thin}


def test_samples_beside_real_images_of_their_own_look(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    evaluation = asked(num_samples=60, checks=SampleChecks(allow=("duplicates",)))
    reference = collect_reference(images.split(50), 100, judge)
    own = collect_reference(images.split(50), 100, Patches(), source={"split": "train"})
    made = images.flip(3)[:60]
    samples = Samples.of_array((made * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy(), None)
    looked = EncoderPass({"patches": Patches()}, evaluation, references={"patches": own})
    scores = score_samples(samples, reference, judge, evaluation, num_classes=None, encoders=looked)
    assert scores.metrics["fd_patches"] == pytest.approx(distance(features_of(images), features_of(made)), rel=1e-4)
    assert scores.protocol["encoders"]["patches"]["reference"] == {"split": "train", "num_images": 100}
    assert "kid_patches" not in scores.metrics


def test_too_few_images_for_an_encoder_are_refused_by_its_name(
    images: torch.Tensor, judge: ClassifierExtractor
) -> None:
    class Wide(Patches):
        feature_dim = 70

        def __call__(self, batch: torch.Tensor) -> ImageFeatures:
            features = super().__call__(batch).features.repeat(1, 10)
            return ImageFeatures(features, features[:, :0])

    with pytest.raises(ScoreError, match="60 images of encoder patches cannot fill a covariance of 70 features"):
        score_reconstructions(Tokenizer(), [images[:60]], judge, asked(), encoders={"patches": Wide()})


def test_a_record_names_them_for_what_they_are() -> None:
    protocol = {"extractor": {"kind": "inception"}, "encoders": {"dino-v2": {"label": "DINOv2"}}}
    parts = {"kind": "generation", "study": "digits", "subject": {"seed": 0}, "provenance": {"seed": 0}}
    metrics = {"gfid": 2.0, "fd_dino-v2": 30.0, "kid_dino-v2": 0.1}
    found = score_record(**parts, metrics=metrics, protocol=protocol)["metrics"]
    assert [found[name]["label"] for name in metrics] == ["gFID", "DINOv2-FD", "DINOv2-KID"]
    with pytest.raises(ScoreError, match="FD of encoder 'mae' needs protocol"):
        score_record(**parts, metrics={"fd_mae": 1.0}, protocol=protocol)


def test_no_network_but_inception_is_called_fid() -> None:
    with pytest.raises(ValueError, match="FID is the Inception network's alone"):
        Encoder(model="vit_base_patch16_224.mae", label="MAE-FID", weights="w")


def test_where_weights_lie_decides_nothing_and_what_is_in_them_does(tmp_path: Path) -> None:
    from titok.config.file_sums import FileSums

    def identity(place: str, content: bytes) -> dict[str, Any]:
        (tmp_path / place).write_bytes(content)
        encoder = Encoder(model="m", label="M", weights=str(tmp_path / place))
        return FileSums().filled(settings(encoders={"m": encoder})).identity()

    first = identity("a", b"one")
    assert identity("b", b"one") == first
    assert identity("a", b"two") != first
    assert first["encoders"]["m"].keys() == {"model", "label", "sha256", "names"}
    free = settings(encoders={"m": Encoder(model="m", label="M", weights="w")}).execution()
    assert free["encoders"] == {"m": {"weights": "w"}}
    assert "encoders" not in settings().identity()
