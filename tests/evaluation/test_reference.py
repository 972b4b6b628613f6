"""References: moments and features of real images, kept in files, and ADM's own files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from titok.config.evaluation import Evaluation, Extractor
from titok.errors import ScoreError
from titok.evaluation.generation import score_samples
from titok.evaluation.reference import (
    collect_reference,
    collect_references,
    load_reference,
    open_reference,
    save_reference,
)
from titok.evaluation.samples import Samples
from titok.metrics.features import ClassifierExtractor
from titok.runtime.files import FileError, sha256_file


def float32_error(judge: ClassifierExtractor, features: torch.Tensor) -> float:
    """By how much two float32 computations of features may differ, whatever kernels a batch's size chooses.

    A sum of n products is off by at most n u of its terms' size (Higham 2002, section 3.1), u = 2^-24: layer after
    layer, and each of the two by as much.
    """
    summed = sum(weight[0].numel() for weight in judge.classifier.parameters() if weight.ndim > 1)
    return 2 * summed * 2.0**-24 * float(features.abs().max())


@pytest.mark.parametrize("batch_size", [1, 30, 100])
def test_moments_are_those_of_all_images(images: torch.Tensor, judge: ClassifierExtractor, batch_size: int) -> None:
    reference = collect_reference(images.split(batch_size), 100, judge)
    features = judge((images * 255).round().to(torch.uint8)).features.double().numpy()
    np.testing.assert_allclose(reference.mean, features.mean(0), rtol=1e-5)
    np.testing.assert_allclose(reference.covariance, np.cov(features, rowvar=False), rtol=1e-4, atol=1e-6)
    assert reference.count == 100


def test_networks_look_at_one_pass(images: torch.Tensor, judge: ClassifierExtractor) -> None:
    """Images come once, however many look; each network sees what it would alone."""
    once = iter(images.split(30))
    found = collect_references(once, 100, {"one": judge, "two": judge}, max_features=10, source={"split": "train"})
    alone = collect_reference(images.split(30), 100, judge, max_features=10)
    assert list(found) == ["one", "two"]
    for reference in found.values():
        assert torch.equal(reference.mean, alone.mean)
        assert torch.equal(reference.covariance, alone.covariance)
        assert torch.equal(reference.features, alone.features)
        assert (reference.count, reference.image_size, reference.source) == (100, alone.image_size, {"split": "train"})


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
    with pytest.raises(ScoreError, match="holds mean; a reference needs mu and sigma"):
        load_reference(tmp_path / "other.npz")
    with pytest.raises(FileError, match=r"nowhere\.npz"):
        load_reference(tmp_path / "nowhere.npz")


def adm_file(path: Path, images: torch.Tensor, judge: ClassifierExtractor, **changes: np.ndarray | None) -> Path:
    """A reference as ADM writes it: moments in float32, and images."""
    features = judge((images * 255).round().to(torch.uint8)).features.double().numpy()
    arrays = {
        "mu": features.mean(0).astype(np.float32),
        "sigma": np.cov(features, rowvar=False).astype(np.float32),
        "arr_0": (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy(),
    } | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(("max_features", "batch_size"), [(7, 3), (100, 64), (1000, 1)])
def test_an_opened_file_has_the_features_of_its_images(
    images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path, max_features: int, batch_size: int
) -> None:
    path = adm_file(tmp_path / "adm.npz", images, judge)
    opened = open_reference(path, None, judge, max_features=max_features, batch_size=batch_size)
    collected = collect_reference(images.split(30), len(images), judge, max_features=max_features)
    error = float32_error(judge, collected.features)
    torch.testing.assert_close(opened.features, collected.features, rtol=0.0, atol=error)
    torch.testing.assert_close(opened.mean, collected.mean, rtol=1e-5, atol=1e-6)
    others = torch.cdist(collected.features, collected.features) + torch.eye(len(collected.features)) * 1e9
    assert error * collected.features.shape[1] ** 0.5 < 0.01 * others.min(), "an image is told from every other one"
    assert opened.image_size == tuple(images.shape[2:])
    assert opened.source == {"file": "adm.npz", "sha256": sha256_file(path)}


def test_another_file_than_the_pinned_one_is_refused(
    images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    path = adm_file(tmp_path / "adm.npz", images, judge)
    open_reference(path, sha256_file(path), judge)
    with pytest.raises(ScoreError, match=r"but evaluation\.reference\.sha256 is 0000"):
        open_reference(path, "0" * 64, judge)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mu": np.zeros(3, np.float32), "sigma": np.eye(3, dtype=np.float32)}, "has moments of 3 features, but"),
        ({"sigma": np.eye(2, dtype=np.float32)}, r"sigma of shape \(2, 2\); allowed: \(F,\) and \(F, F\)"),
        ({"mu_s": np.zeros(2), "sigma_s": np.zeros(2)}, r"mu_s of shape \(2,\) and sigma_s of shape \(2,\)"),
        ({"sigma": None}, "a reference needs mu and sigma"),
    ],
)
def test_moments_that_do_not_fit_are_refused(
    images: torch.Tensor,
    judge: ClassifierExtractor,
    tmp_path: Path,
    changes: dict[str, np.ndarray | None],
    message: str,
) -> None:
    path = adm_file(tmp_path / "adm.npz", images, judge, **changes)
    with pytest.raises(ScoreError, match=message):
        open_reference(path, None, judge)


def test_samples_against_a_file_score_as_against_the_images(
    images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    settings = Evaluation(extractor=Extractor(kind="classifier", classifier="judge"), num_samples=100)
    samples = Samples.of_array((images.flip(0) * 200).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    against = {
        "file": open_reference(adm_file(tmp_path / "adm.npz", images, judge), None, judge),
        "images": collect_reference(images.split(30), 100, judge),
    }
    scores = {
        name: score_samples(samples, reference, judge, settings, num_classes=None).metrics
        for name, reference in against.items()
    }
    assert scores["file"].keys() == scores["images"].keys() >= {"gfid", "precision", "recall"}
    for name, value in scores["file"].items():
        assert value == pytest.approx(scores["images"][name], rel=1e-3, abs=1e-5), name


def test_a_reference_of_another_size_is_refused(
    images: torch.Tensor, judge: ClassifierExtractor, tmp_path: Path
) -> None:
    settings = Evaluation(extractor=Extractor(kind="classifier", classifier="judge"), num_samples=100)
    larger = np.zeros((4, 64, 48, 3), np.uint8)
    reference = open_reference(adm_file(tmp_path / "adm.npz", images, judge, arr_0=larger), None, judge)
    samples = Samples.of_array((images * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    with pytest.raises(ScoreError, match=r"the reference's images 64 x 48; use the reference of this size"):
        score_samples(samples, reference, judge, settings, num_classes=None)
