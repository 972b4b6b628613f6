"""The section `dataset`: each kind with its source and no other, and what which job sees of it.

Run: pytest tests/config/test_data.py
"""

from __future__ import annotations

from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document
from pydantic import ValidationError

from titok.config.data import Dataset, Preparation, StudyDataset
from titok.config.data_sources import ImageNetSource
from titok.config.jobs import job, job_names

ARCHIVES = {"train": "a/train.tar", "val": "a/val.tar", "devkit": "a/devkit.tar.gz"}
IMAGENET = {"kind": "imagenet", "num_classes": 1000, "imagenet": ARCHIVES}
CIFAR10 = {"kind": "cifar10", "cifar10": {"archive": "cifar-10-binary.tar.gz"}}
FOLDER = {"kind": "folder", "folder": {"root": "images"}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "imagenet"}, "kind is 'imagenet', which takes the section 'imagenet', but found: none"),
        ({**IMAGENET, "folder": {"root": "x"}}, "but found: folder, imagenet"),
        ({"kind": "digits", "folder": {"root": "x"}}, "kind is 'digits', which takes no source, but found: folder"),
        ({"kind": "digits", "allow_undecodable": 1}, "kind 'digits' has fixed images"),
        ({"kind": "cifar10"}, "kind is 'cifar10', which takes the section 'cifar10', but found: none"),
        ({**CIFAR10, "num_classes": 100}, "num_classes is 100, but kind 'cifar10' has 10 classes; set num_classes: 10"),
        ({**FOLDER, "allow_undecodable": -1}, "greater than or equal to 0"),
        ({**FOLDER, "shard_images": 0}, "greater than 0"),
        ({**FOLDER, "folder": {"root": "x", "test": "train"}}, "folder.train and folder.test are both 'train'; name a"),
        ({"kind": "parquet", "parquet": {"train": "a/*", "test": "a/*"}}, "parquet.train and parquet.test are both"),
        ({"kind": "cifar"}, "'digits', 'cifar10', 'idx', 'imagenet', 'folder' or 'parquet'"),
    ],
)
def test_sources_fit_their_kind(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Preparation(**settings)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, "imagenet names no train, no val, no devkit; give the paths"),
        ({"train": "a", "devkit": "b"}, "imagenet names no val;"),
        ({**ARCHIVES, "kaggle": "k"}, "imagenet names both kaggle and archives"),
        ({"kaggle": "k", "checksum_override": {"train": {"reason": "long enough"}}}, "both kaggle and archives"),
        ({**ARCHIVES, "checksum_override": {"train": {}}}, "reason\n  Field required"),
        ({**ARCHIVES, "checksum_override": {"train": {"reason": "   short   "}}}, "at least 10 characters"),
        ({**ARCHIVES, "checksum_override": {"test": {"reason": "long enough"}}}, "'train', 'val' or 'devkit'"),
        ({**ARCHIVES, "checksum_override": {"val": {"reason": "long enough", "md5": "12"}}}, "should match pattern"),
        ({**ARCHIVES, "classes": []}, "imagenet.classes is empty; list each class once, or leave it out for all"),
        ({**ARCHIVES, "classes": ["n01558993", "n01692333", "n01558993"]}, "classes lists n01558993 twice"),
        ({**ARCHIVES, "classes": ["robin"]}, "should match pattern"),
    ],
)
def test_archives_are_named_once_and_sums_changed_for_a_reason(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ImageNetSource(**section)


def test_chosen_classes_are_counted_and_decide_what_is_prepared() -> None:
    chosen = {**ARCHIVES, "classes": ["n01692333", "n01558993"]}
    with pytest.raises(ValidationError, match=r"num_classes is 1000, but imagenet\.classes lists 2; set"):
        StudyDataset(**{**IMAGENET, "imagenet": chosen, "num_classes": 1000})
    some = StudyDataset(**{**IMAGENET, "imagenet": chosen, "num_classes": 2}).prepared().resolved()
    assert some["imagenet"]["classes"] == ["n01692333", "n01558993"]
    assert "classes" not in StudyDataset(**IMAGENET).prepared().resolved()["imagenet"]


def test_only_small_kinds_are_kept_in_memory_unasked() -> None:
    assert Dataset().in_memory
    assert Dataset(kind="cifar10").in_memory
    assert not Dataset(kind="imagenet").in_memory
    assert Dataset(kind="folder", in_memory=True).in_memory
    assert not Dataset(in_memory=False).in_memory


def test_reading_jobs_know_nothing_of_paths_and_preparing_nothing_of_sizes() -> None:
    dataset = StudyDataset(**IMAGENET, resize=256, image_size=256, parts=16)
    assert "imagenet" not in dataset.seen().resolved()
    assert not {"resize", "image_size", "in_memory", "parts"} & dataset.prepared().resolved().keys()
    assert type(dataset.seen()) is Dataset
    assert type(dataset.prepared()) is Preparation


@pytest.mark.parametrize(
    ("key", "value", "concerned"),
    [
        ("dataset.folder.root", "elsewhere", {"data"}),
        ("dataset.shard_images", 100, {"data"}),
        ("dataset.parts", 8, set()),
    ],
)
def test_a_change_of_source_retrains_nothing(key: str, value: object, concerned: set[str]) -> None:
    document = {**tiny_document(), "dataset": {**FOLDER, "resize": 18, "image_size": 16}}

    def resolved(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        study = study_of(document)
        return {(kind, name): job(study, kind, name).resolved() for kind, name in job_names(study)}

    before, after = resolved(document), resolved(changed(document, key, value))
    assert {kind for (kind, name) in before if before[kind, name] != after[kind, name]} == concerned
