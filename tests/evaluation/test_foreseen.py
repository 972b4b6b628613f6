"""A study's own numbers and its files' names tell which scores would be refused, before any work.

Run: pytest tests/evaluation/test_foreseen.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from config.studies import SHIPPED, changed, study_of, tiny_document

from titok.cli import main
from titok.config.load import load_study
from titok.errors import ScoreError
from titok.evaluation.foreseen import INCEPTION_FEATURES, feature_dim, images_up_to, require_enough_images
from titok.metrics.features import InceptionExtractor

JUDGE_FEATURES = 64
"""F of the miniature's judge: a distance needs 65 images."""


def with_inception(document: dict[str, Any]) -> dict[str, Any]:
    return changed(document, "evaluation.extractor", {"kind": "inception", "weights": "inception.pth"})


def folder_study(root: Path, train: int, test: int) -> dict[str, Any]:
    """The small study on a folder of empty files: only their names are looked at."""
    for split, number in (("train", train), ("test", test)):
        for index in range(number):
            path = root / split / f"class{index % 10}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    dataset = {"kind": "folder", "folder": {"root": str(root)}, "num_classes": 10, "resize": 18, "image_size": 16}
    return changed(tiny_document(), "dataset", dataset)


def test_inceptions_features_are_counted_right() -> None:
    assert InceptionExtractor.feature_dim == INCEPTION_FEATURES
    assert feature_dim(study_of(tiny_document())) == JUDGE_FEATURES
    assert feature_dim(study_of(with_inception(tiny_document()))) == INCEPTION_FEATURES


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_study_has_enough(path: Path) -> None:
    require_enough_images(load_study(path))


@pytest.mark.parametrize(
    ("key", "enough", "too_few", "words"),
    [
        ("dataset.test_images", 65, 64, "64 test images cannot fill a covariance of 64 features"),
        ("evaluation.num_samples", 70, 60, r"60 samples \(evaluation.num_samples\) cannot fill"),
    ],
)
def test_one_image_decides(key: str, enough: int, too_few: int, words: str) -> None:
    require_enough_images(study_of(changed(tiny_document(), key, enough)))
    few = changed(tiny_document(), key, too_few)
    with pytest.raises(
        ScoreError, match=rf"^its scores would be refused: {words}.*more than 64 images.*allow: too_few"
    ):
        require_enough_images(study_of(few))
    require_enough_images(study_of(changed(few, "evaluation.checks", {"allow": ["too_few_for_features"]})))


def test_all_that_is_short_is_told_at_once() -> None:
    with pytest.raises(ScoreError) as error:
        require_enough_images(study_of(with_inception(tiny_document())))
    for found in ("500 test images", "100 samples", "1297 training images, the reference of samples,"):
        assert f"{found} " in str(error.value)


def test_a_reference_file_stands_for_the_training_images() -> None:
    document = changed(with_inception(tiny_document()), "evaluation.reference", {"path": "reference.npz"})
    with pytest.raises(ScoreError) as error:
        require_enough_images(study_of(document))
    assert "training images" not in str(error.value)


def test_milestones_are_scores_too() -> None:
    document = tiny_document()
    stage1 = document["defaults"]["tokenizer"]["stage1"]
    training = stage1["training"] | {"milestone_images": 64, "milestone_steps": 5}
    document = changed(document, "defaults.tokenizer.stage1", stage1 | {"training": training})
    with pytest.raises(ScoreError, match=r"64 images \(stage1 s2: training.milestone_images\) cannot fill"):
        require_enough_images(study_of(document))


def test_kid_draws_from_the_test_images_too() -> None:
    document = changed(tiny_document(), "evaluation", tiny_document()["evaluation"] | {"num_samples": 1000})
    document = changed(document, "dataset.test_images", 100)
    require_enough_images(study_of(changed(document, "evaluation.kid", {"subset_size": 100})))
    with pytest.raises(ScoreError, match="subset_size is 101, but there are 100 test images"):
        require_enough_images(study_of(changed(document, "evaluation.kid", {"subset_size": 101})))


def test_files_of_a_folder_are_counted_by_their_names(tmp_path: Path) -> None:
    study = study_of(folder_study(tmp_path / "some", train=70, test=64))
    (tmp_path / "some/test/class0/.DS_Store").touch()
    (tmp_path / "some/test/class0/notes.txt").touch()
    assert [images_up_to(study, "test", enough) for enough in (10, 64, 65)] == [10, 64, 64]
    with pytest.raises(ScoreError, match="64 test images cannot fill"):
        require_enough_images(study)
    require_enough_images(study_of(folder_study(tmp_path / "more", train=70, test=65)))


def test_what_is_not_here_is_not_guessed(tmp_path: Path) -> None:
    document = folder_study(tmp_path, train=0, test=0)
    assert images_up_to(study_of(document), "test", 65) is None
    require_enough_images(study_of(document))
    require_enough_images(study_of(changed(document, "dataset.images", {"train": 65, "test": 65})))
    with pytest.raises(ScoreError, match="64 training images"):
        require_enough_images(study_of(changed(document, "dataset.images", {"train": 64, "test": 65})))


def test_rows_of_parquet_files_come_from_their_footers(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for number, rows in enumerate((40, 24)):
        parquet.write_table(arrow.table({"label": [0] * rows}), tmp_path / f"test-{number}.parquet")
    source = {"train": str(tmp_path / "train-*.parquet"), "test": str(tmp_path / "test-*.parquet")}
    dataset = {"kind": "parquet", "parquet": source, "num_classes": 10, "resize": 18, "image_size": 16}
    study = study_of(changed(tiny_document(), "dataset", dataset))
    assert (images_up_to(study, "test", 100), images_up_to(study, "train", 100)) == (64, None)


def test_titok_check_says_so(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(changed(tiny_document(), "dataset.test_images", 40)))
    with pytest.raises(SystemExit) as caught:
        main(["check", str(path)])
    assert str(caught.value.code).startswith(f"titok: ConfigError: {path}: its scores would be refused: 40 test images")
