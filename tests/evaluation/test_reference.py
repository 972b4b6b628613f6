"""References: moments and features of real images, kept in files, and ADM's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from titok.evaluation.findings import ScoreError
from titok.evaluation.reference import collect_reference, load_reference, save_reference
from titok.metrics.features import ClassifierExtractor
from titok.runtime.files import FileError


@pytest.mark.parametrize("batch_size", [1, 30, 100])
def test_moments_are_those_of_all_images(images: torch.Tensor, judge: ClassifierExtractor, batch_size: int) -> None:
    reference = collect_reference(images.split(batch_size), 100, judge)
    features = judge((images * 255).round().to(torch.uint8)).features.double().numpy()
    np.testing.assert_allclose(reference.mean, features.mean(0), rtol=1e-5)
    np.testing.assert_allclose(reference.covariance, np.cov(features, rowvar=False), rtol=1e-4, atol=1e-6)
    assert reference.count == 100


@pytest.mark.parametrize("max_features", [1, 7, 50, 99, 100, 1000])
def test_kept_features_are_evenly_spaced(images: torch.Tensor, judge: ClassifierExtractor, max_features: int) -> None:
    kept = collect_reference(images.split(30), 100, judge, max_features=max_features).features
    all_features = judge((images * 255).round().to(torch.uint8)).features
    count = min(max_features, 100)
    rows = [int(index * 100 / count) for index in range(count)]
    torch.testing.assert_close(kept, all_features[rows], rtol=1e-4, atol=1e-5)


def test_a_file_gives_back_what_was_saved(images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path) -> None:
    saved = collect_reference(images.split(30), 100, judge, max_features=10, source={"dataset": "blocks", "crop": 16})
    save_reference(tmp_path / "reference.npz", saved)
    loaded = load_reference(tmp_path / "reference.npz")
    torch.testing.assert_close(loaded.mean, saved.mean, rtol=0, atol=0)
    torch.testing.assert_close(loaded.covariance, saved.covariance, rtol=0, atol=0)
    torch.testing.assert_close(loaded.features, saved.features, rtol=0, atol=0)
    assert (loaded.count, loaded.extractor, loaded.source) == (100, judge.identity, saved.source)


def test_adms_files_hold_moments_only(tmp_path: Path) -> None:
    path = tmp_path / "VIRTUAL.npz"
    np.savez(
        path, mu=np.zeros(4, np.float32), sigma=np.eye(4, dtype=np.float32), arr_0=np.zeros((2, 4, 4, 3), np.uint8)
    )
    reference = load_reference(path)
    assert reference.mean.dtype == reference.covariance.dtype == torch.float64
    assert (reference.count, reference.features, reference.extractor) == (None, None, None)
    assert reference.source == {"file": "VIRTUAL.npz"}


def test_errors_say_what_was_found(images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="announced with 101 images, but 100 came"):
        collect_reference(images.split(30), 101, judge)
    np.savez(tmp_path / "other.npz", mean=np.zeros(4))
    with pytest.raises(ScoreError, match=r"\['mean'\]; a reference needs mu and sigma"):
        load_reference(tmp_path / "other.npz")
    with pytest.raises(FileError, match=r"nowhere\.npz"):
        load_reference(tmp_path / "nowhere.npz")
