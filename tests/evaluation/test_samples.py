"""Sample files read as a stream, damage to them, and degenerate samples."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from titok.config.evaluation import SampleChecks
from titok.errors import ScoreError
from titok.evaluation.samples import Samples, inspect_samples
from titok.runtime.files import FileError, save_npz

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 6, 3), dtype=np.uint8)
LABELS = np.arange(20) % 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_npz(tmp_path / "samples.npz", arr_0=IMAGES, labels=LABELS, index=np.arange(20))
    return tmp_path / "samples.npz"


def gather(samples: Samples, batch_size: int) -> np.ndarray:
    return np.concatenate(list(samples.batches(batch_size)))


@pytest.mark.parametrize("batch_size", [1, 7, 20, 100])
def test_a_file_streams_what_it_holds(file: Path, batch_size: int) -> None:
    samples = Samples.open(file)
    assert samples.images is None
    assert len(samples) == 20
    np.testing.assert_array_equal(gather(samples, batch_size), IMAGES)
    np.testing.assert_array_equal(gather(samples, batch_size), IMAGES)
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert all(batch.flags.writeable for batch in samples.batches(batch_size))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_others_are_read_too(tmp_path: Path, save) -> None:
    save(tmp_path / "adm.npz", IMAGES)
    samples = Samples.open(tmp_path / "adm.npz")
    assert samples.labels is None
    np.testing.assert_array_equal(gather(samples, 6), IMAGES)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("cuts", [[7], [1, 2, 19]])
def test_several_files_are_one_set(tmp_path: Path, cuts: list[int], batch_size: int) -> None:
    files = []
    for start, stop in itertools.pairwise([0, *cuts, 20]):
        files.append(tmp_path / f"part-{start:06d}.npz")
        save_npz(files[-1], arr_0=IMAGES[start:stop], labels=LABELS[start:stop])
    samples = Samples.open(*files)
    assert samples.shape == IMAGES.shape
    np.testing.assert_array_equal(gather(samples, batch_size), IMAGES)
    np.testing.assert_array_equal(samples.labels, LABELS)
    assert samples.sha256() != Samples.open(*reversed(files)).sha256()
    with pytest.raises(ScoreError, match=r"has no index\.json: its samples are not all there"):
        Samples.open(tmp_path)
    parts = [{"file": file.name} for file in files]
    (tmp_path / "index.json").write_text(json.dumps({"parts": parts}))
    np.testing.assert_array_equal(gather(Samples.open(tmp_path), batch_size), IMAGES)
    files[0].unlink()
    with pytest.raises(FileError, match="part-000000"):
        Samples.open(tmp_path)


def test_files_of_different_sizes_are_no_set(file: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "other.npz", arr_0=IMAGES[:, :, :4])
    with pytest.raises(ScoreError, match=r"other\.npz has images of shape \(4, 4, 3\)"):
        Samples.open(file, tmp_path / "other.npz")
    save_npz(tmp_path / "unlabelled.npz", arr_0=IMAGES)
    assert Samples.open(file, tmp_path / "unlabelled.npz").labels is None


def test_array_and_file_give_the_same_batches(file: Path) -> None:
    in_memory = Samples.of_array(IMAGES, LABELS)
    for stored, held in zip(Samples.open(file).batches(6), in_memory.batches(6), strict=True):
        np.testing.assert_array_equal(stored, held)


def test_hash_follows_the_pixels(file: Path) -> None:
    changed = IMAGES.copy()
    changed[3, 1, 2, 0] ^= 1
    assert Samples.of_array(IMAGES).sha256() == Samples.of_array(IMAGES.copy()).sha256()
    assert Samples.of_array(IMAGES).sha256() != Samples.of_array(changed).sha256()
    assert len(Samples.open(file).sha256()) == 64


def test_missing_and_truncated_files(file: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere\.npz"):
        Samples.open(file.with_name("nowhere.npz"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ScoreError, match="no readable sample file"):
        Samples.open(file)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_altered_pixels_are_noticed(tmp_path: Path, save) -> None:
    path = tmp_path / "samples.npz"
    save(path, IMAGES.repeat(100, axis=0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    samples = Samples.open(path)
    with pytest.raises(ScoreError, match=r"samples\.npz is damaged"):
        gather(samples, 64)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[..., 0], r"shape \(20, 4, 6\); allowed: uint8 \(N, H, W, 3\)"),
        (IMAGES.transpose(0, 3, 1, 2), r"shape \(20, 3, 4, 6\)"),
        (IMAGES / 255, "type float64"),
        (np.full((2, 4, 4, 3), np.nan), "2 of 2 samples hold NaN"),
        (IMAGES[:0], "N > 0"),
    ],
)
def test_arrays_that_are_no_samples(images: np.ndarray, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        Samples.of_array(images)


def test_files_that_hold_no_samples(tmp_path: Path) -> None:
    save_npz(tmp_path / "other.npz", pictures=IMAGES)
    with pytest.raises(ScoreError, match="arr_0"):
        Samples.open(tmp_path / "other.npz")
    np.savez(tmp_path / "fortran.npz", np.asfortranarray(IMAGES))
    with pytest.raises(ScoreError, match="Fortran"):
        Samples.open(tmp_path / "fortran.npz")
    save_npz(tmp_path / "labels.npz", arr_0=IMAGES, labels=LABELS[:7])
    with pytest.raises(ScoreError, match=r"labels of shape \(7,\) for 20 images"):
        Samples.open(tmp_path / "labels.npz")


def names(images: np.ndarray, labels: np.ndarray | None = LABELS, classes: int | None = 5, **limits) -> list[str]:
    findings, _ = inspect_samples(Samples.of_array(images, labels), classes, SampleChecks(**limits), batch_size=6)
    return [finding.name for finding in findings]


def test_good_samples_have_no_findings() -> None:
    findings, shares = inspect_samples(Samples.of_array(IMAGES, LABELS), 5, SampleChecks())
    assert findings == []
    assert shares == {"duplicate_fraction": 0.0, "constant_fraction": 0.0}


def test_duplicates_are_counted_over_batches() -> None:
    images = IMAGES.copy()
    images[19] = images[12] = images[0]
    findings, shares = inspect_samples(Samples.of_array(images, LABELS), 5, SampleChecks(), batch_size=6)
    assert shares["duplicate_fraction"] == pytest.approx(0.1)
    assert "2 of 20 samples repeat an earlier one" in findings[0].found
    assert names(images, max_duplicate_fraction=0.1) == []


def test_constant_images() -> None:
    images = IMAGES.copy()
    images[7] = 3
    assert names(images) == ["constant_images"]
    assert names(images, max_constant_fraction=0.05) == []
    images[7, 0, 0, 0] = 4
    assert names(images) == []


def test_class_balance() -> None:
    unbalanced = LABELS.copy()
    unbalanced[0] = 1
    assert names(IMAGES, unbalanced) == ["unbalanced_classes"]
    assert names(IMAGES, None) == ["unbalanced_classes"]
    assert names(IMAGES, None, classes=None) == []
    # 20 samples of 3 classes cannot be equal; 7, 7, 6 is as close as it gets.
    assert names(IMAGES, np.arange(20) % 3, classes=3) == []
    assert names(IMAGES, LABELS, classes=10) == ["unbalanced_classes"]
    with pytest.raises(ScoreError, match=r"from 0 to 4; allowed: 0 to 3"):
        names(IMAGES, LABELS, classes=4)
