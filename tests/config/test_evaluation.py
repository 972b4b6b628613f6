"""Settings of an evaluation: the official defaults, and contradictions that are named."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from titok.config.evaluation import Evaluation, Extractor
from titok.config.probe import LinearProbe


def test_defaults_are_the_official_protocol() -> None:
    settings = Evaluation(extractor=Extractor(weights="inception.pth"))
    assert settings.extractor.kind == "inception"
    assert settings.extractor.dtype == "float64"
    assert settings.rounding == "round"
    assert settings.num_samples == 50_000
    assert settings.num_samples // settings.inception_score_split_size == 10
    assert settings.checks.allow == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "classifier"}, "no classifier is named; set extractor.classifier"),
        ({"kind": "inception"}, "weights is null; set extractor.weights"),
        ({"kind": "inception", "weights": "w.pth", "classifier": "judge"}, "classifier is 'judge'; remove it"),
        ({"kind": "classifier", "classifier": "judge", "weights": "w.pth"}, "remove extractor.weights"),
        ({"weights": "w.pth", "sha256": "abc"}, "sha256"),
        ({"weights": "w.pth", "weight": "w.pth"}, "weight"),
    ],
)
def test_contradictions_are_named(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Extractor(**values)


def test_allowances_are_a_closed_list() -> None:
    with pytest.raises(ValidationError, match="duplicates"):
        Evaluation.model_validate({"extractor": {"weights": "w.pth"}, "checks": {"allow": ["everything"]}})


def test_later_metrics_are_told_only_where_they_are_wanted() -> None:
    """So that no score that exists is made again."""
    extractor = {"weights": "w.pth"}
    plain = Evaluation.model_validate({"extractor": extractor}).resolved()
    later = {"precision_recall_arithmetic", "density_coverage", "mind"}
    assert not later & plain.keys()
    asked = {
        "precision_recall_arithmetic": "float16-blocks",
        "density_coverage": {"neighbours": 3},
        "mind": {"directions": 16, "seed": 1},
    }
    assert Evaluation.model_validate({"extractor": extractor, **asked}).resolved() == plain | asked


def test_more_neighbours_than_images() -> None:
    document = {"extractor": {"weights": "w.pth"}, "precision_recall_references": 5, "density_coverage": {}}
    with pytest.raises(ValidationError, match=r"density_coverage\.neighbours is 5, but only 5 images .* 1 to 4"):
        Evaluation.model_validate(document)


def test_probe_is_a_training_with_features() -> None:
    probe = LinearProbe(steps=1000, features="concatenate")
    assert (probe.features, probe.steps, probe.schedule.warmup_steps) == ("concatenate", 1000, 782)


def test_probe_defaults_are_maes_on_imagenet() -> None:
    probe = LinearProbe()
    assert probe.steps == round(90 * 1_281_167 / probe.batch_size)
    assert probe.schedule.warmup_steps == round(10 * 1_281_167 / probe.batch_size)
    assert probe.optimizer.learning_rate == 0.1 * probe.batch_size / 256
    assert (probe.optimizer.kind, probe.optimizer.weight_decay) == ("lars", 0)
    with pytest.raises(ValidationError, match="features"):
        LinearProbe(features="first")


def test_two_encoders_have_two_labels() -> None:
    judge = {"kind": "classifier", "classifier": "judge"}
    network = {"model": "resnet18", "label": "ResNet", "weights": "w.pth"}
    with pytest.raises(ValidationError, match="encoders have the label 'ResNet' twice; nobody could tell"):
        Evaluation(extractor=judge, encoders={"a": network, "b": {**network, "model": "resnet34"}})
    assert len(Evaluation(extractor=judge, encoders={"a": network, "b": {**network, "label": "Other"}}).encoders) == 2
