"""Samples on the disk: the same bytes however they were cut and interrupted, one file or parts with an index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from titok.errors import OptionError
from titok.generation import sample_files
from titok.generation.sample import SampleBatch
from titok.generation.sample_files import SampleParts, finish_samples
from titok.runtime.files import load_npz, save_npz, sha256_file

COUNT, SHAPE = 23, (4, 5, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE), dtype=np.uint8)
LABELS = np.arange(COUNT) % 3
IDENTITY = {"seed": 0, "models": {"generator": "ab"}}


class Stopped(Exception):
    """Stands for Ctrl-C."""


def batches(start: int, size: int = 4, stop_before: int | None = None) -> Iterator[SampleBatch]:
    for first in range(start, COUNT, size):
        if stop_before is not None and first >= stop_before:
            raise Stopped
        part = slice(first, first + size)
        yield SampleBatch(np.arange(COUNT)[part], LABELS[part], IMAGES[part], seconds=2.0 if first > start else 50.0)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_files, "PART_BYTES", 8 * 60)


@pytest.mark.parametrize("stops", [[], [8], [3, 9, 20]])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_one_file_has_the_bytes_of_one_go(tmp_path: Path, stops: list[int], size: int) -> None:
    output, folder = tmp_path / "samples.npz", tmp_path / "samples.parts"
    for stop in stops:
        parts = SampleParts(folder, IDENTITY, COUNT)
        done = parts.count

        def interrupted(start: int, stop: int = stop) -> Iterator[SampleBatch]:
            return batches(start, size, stop_before=stop)

        if size < 100:
            with pytest.raises(Stopped):
                finish_samples(parts, interrupted, output)
        assert parts.count >= done
        assert not output.exists()
    parts = SampleParts(folder, IDENTITY, COUNT)
    assert (parts.count > 0) == (bool(stops) and size < 100 and stops[-1] >= 8)
    finish_samples(parts, lambda start: batches(start, size), output)
    save_npz(tmp_path / "expected.npz", arr_0=IMAGES, labels=LABELS, index=np.arange(COUNT))
    assert output.read_bytes() == (tmp_path / "expected.npz").read_bytes()
    parts.remove()
    assert not folder.exists()


def test_parts_are_adm_files_and_the_index_lists_them(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    parts = SampleParts(folder, IDENTITY, COUNT)
    speed = finish_samples(parts, batches, folder)
    assert speed == pytest.approx((COUNT - 4) / 10), "the first batch warms the device up"
    index = json.loads((folder / "index.json").read_text())
    assert (index["num_samples"], index["shape"]) == (COUNT, [COUNT, *SHAPE])
    assert [part["first"] for part in index["parts"]] == [0, 8, 16]
    for part in index["parts"]:
        arrays = load_npz(folder / part["file"])
        where = slice(part["first"], part["first"] + part["count"])
        np.testing.assert_array_equal(arrays["arr_0"], IMAGES[where])
        np.testing.assert_array_equal(arrays["index"], np.arange(COUNT)[where])
        assert sha256_file(folder / part["file"]) == part["sha256"]


def test_parts_of_other_samples_are_not_continued(tmp_path: Path) -> None:
    folder = tmp_path / "samples.parts"
    with pytest.raises(Stopped):
        SampleParts(folder, IDENTITY, COUNT).extend(batches(0, stop_before=16))
    assert SampleParts(folder, IDENTITY, COUNT).count == 16
    assert SampleParts(folder, IDENTITY | {"seed": 1}, COUNT).count == 0


def test_speed_of_one_batch_is_unknown(tmp_path: Path) -> None:
    parts = SampleParts(tmp_path / "parts", IDENTITY, COUNT)
    parts.extend(batches(0, size=COUNT))
    assert parts.images_per_second is None


def test_missing_and_misplaced_samples_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="expected 24 samples, got 23"):
        SampleParts(tmp_path / "short", IDENTITY, 24).extend(batches(0))
    with pytest.raises(OptionError, match="samples 4 to 11 came, 0 was the next"):
        SampleParts(tmp_path / "other", IDENTITY, COUNT).extend(batches(4))


def test_what_are_no_samples_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match=r"holds other things than samples \(notes\.txt\); nothing was removed"):
        SampleParts(tmp_path, IDENTITY, COUNT)
    with pytest.raises(OptionError, match="is a file"):
        SampleParts(tmp_path / "notes.txt", IDENTITY, COUNT)
    folder = tmp_path / "parts"
    SampleParts(folder, IDENTITY, COUNT).extend(batches(0))
    (folder / ".DS_Store").write_bytes(b"")
    (folder / "part-000000.npz.old").write_text("kept aside by somebody")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(OptionError, match="nothing was removed"):
        SampleParts(folder, IDENTITY | {"seed": 1}, COUNT)
    assert sorted(path.name for path in folder.iterdir()) == before
