"""Pictures that cannot be shown are refused when the study is read, hours before they would be missed."""

from __future__ import annotations

from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document

FIGURES = "reporting.figures"


def study_with(key: str, value: Any) -> None:
    study_of(changed(tiny_document(), key, value))


def samples(**wanted: Any) -> dict[str, Any]:
    return {**tiny_document()["reporting"]["figures"]["samples"], **wanted}


def test_what_there_is_can_be_shown() -> None:
    drawn, classes = tiny_document()["evaluation"]["num_samples"], tiny_document()["dataset"]["num_classes"]
    study_with(f"{FIGURES}.samples", samples(per_class=drawn // classes, classes={classes - 1: "the last"}))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (f"{FIGURES}.samples.classes", {12: "a dozen"}, r"samples.classes names 12; allowed: 0 to 9 \(dataset.num_cla"),
        (f"{FIGURES}.samples.per_class", 1000, r"per_class is 1000, but \d+ samples .* of 10 classes are \d+ each"),
        (f"{FIGURES}.reconstructions.num_images", 64, r"num_images is 64, but \d+ test images are kept .* at most \d+"),
        ("evaluation.num_samples", 101, "num_samples is 101, which 10 classes do not divide evenly"),
    ],
)
def test_more_than_there_is_is_refused_by_name(key: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        study_with(key, value)
