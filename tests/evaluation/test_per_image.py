"""The table of images: its means are the record's numbers, its tokens are the tokenizer's."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.test_reconstruction import TOKENS, restore, score, settings

from titok.errors import ScoreError
from titok.evaluation.per_image import write_per_image
from titok.evaluation.reconstruction import PerceptualDistance, score_reconstructions
from titok.metrics.features import ClassifierExtractor
from titok.metrics.pixel import psnr
from titok.models.image_tokenizer import Reconstruction

LABELS = torch.arange(100) % 10
KEYS = np.array([f"digit,{number}" for number in range(100)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_columns_mean_is_the_records_number(images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path) -> None:
    lpips = PerceptualDistance(lambda a, b: (a - b).abs().mean(dim=(1, 2, 3)), {"network": "toy"})
    scores = score(images, judge, labels=LABELS, codebook_size=16, lpips=lpips, keep_tokens=True)
    write_per_image(tmp_path / "images.csv", scores, KEYS, LABELS)
    found = rows(tmp_path / "images.csv")
    assert list(found[0]) == ["image", "key", "label", "psnr", "ssim", "lpips", "classifier_accuracy", "tokens"]
    for name in ("psnr", "ssim", "lpips", "classifier_accuracy"):
        assert np.mean([float(row[name]) for row in found]) == pytest.approx(scores.metrics[name], rel=1e-12)
    restored = (restore(images).clamp(0, 1) * 255).round() / 255
    assert [float(row["psnr"]) for row in found] == pytest.approx(psnr(restored, images).tolist(), rel=1e-7)
    assert [row["key"] for row in found] == KEYS.tolist()
    assert [(int(row["image"]), int(row["label"])) for row in found] == [(i, i % 10) for i in range(100)]
    assert [[int(token) for token in row["tokens"].split(" ")] for row in found] == TOKENS.tolist()


def test_tokens_are_kept_only_where_asked_for_and_there(
    images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    assert score(images, judge).tokens is None
    scores = score_reconstructions(
        lambda batch: Reconstruction(batch), images.split(40), judge, settings(), keep_tokens=True
    )
    assert scores.tokens is None
    write_per_image(tmp_path / "images.csv", scores, KEYS, LABELS)
    assert {row["tokens"] for row in rows(tmp_path / "images.csv")} == {""}


def test_keys_of_other_images_are_refused(images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="100 images were scored, but 99 keys and 100 labels"):
        write_per_image(tmp_path / "images.csv", score(images, judge), KEYS[:99], LABELS)
    assert not (tmp_path / "images.csv").exists()
