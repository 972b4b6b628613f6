"""Features of every view of every image: all of them, checked where they are there, gone on with where they stopped.

Run: pytest tests/data/rows/test_stored_rows.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data.code_toys import DATASET, write_photographs
from torch import Tensor

from titok.config.adaptive_length import TokenLengths
from titok.config.views import StoredCodes, ViewSet
from titok.data.rows.extraction import ViewReader, stored_rows
from titok.data.rows.facts import Facts, RowsError
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import RowStore, merge
from titok.data.streamed import StreamedSet
from titok.data.transforms import from_uint8

COUNT = 23
VIEWS = ViewSet(crops="centre", mirrored=True, random_crops=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("photographs")
    write_photographs(directory, COUNT)
    return directory


def means(windows: Tensor) -> Tensor:
    """(B, 3, 16, 16) uint8 to 48 numbers: the mean of every row of every channel."""
    return from_uint8(windows).mean(dim=3).flatten(1)


def facts_of(data: Path, of: str = "a") -> Facts:
    images = StreamedSet(data, "train", DATASET.resize)
    settings = StoredCodes(views=VIEWS, part_images=8)
    about = {"fingerprint": images.fingerprint, "images": len(images), "network_sha256": of}
    return Facts.of(DATASET, settings, columns=48, readings=["rows_mean"], **about)


def stored(
    data: Path, path: Path, encode: Callable[[Tensor], Tensor] = means, of: str = "a", batch_size: int = 4
) -> RowStore:
    facts = facts_of(data, of)
    read = ViewReader(data, "train", facts)
    return stored_rows(path, facts, read, encode, batch_size=batch_size, workers=0, made_by={})


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_every_view_of_every_image_is_stored(data: Path, tmp_path: Path, batch_size: int) -> None:
    found = stored(data, tmp_path / "f.npy", batch_size=batch_size)
    images = StreamedSet(data, "train", DATASET.resize)
    assert found.rows.shape == (COUNT, 3, 48)
    assert found.rows.dtype == np.float32
    for number, view in enumerate(found.facts.view_list()):
        expected = torch.cat([batch.images.mean(dim=3).flatten(1) for batch in images.crops(16, where=view.crop_of)])
        np.testing.assert_array_equal(found.rows[:, number], expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.json", "f.npy"]


def test_a_pass_that_was_stopped_goes_on_and_a_finished_one_is_used(data: Path, tmp_path: Path) -> None:
    encoded = 0

    def stops(windows: Tensor) -> Tensor:
        nonlocal encoded
        encoded += len(windows)
        if encoded > 20 * 3:
            raise KeyboardInterrupt
        return means(windows)

    with pytest.raises(KeyboardInterrupt):
        stored(data, tmp_path / "f.npy", stops)
    assert not (tmp_path / "f.npy").exists()
    encoded = -100
    resumed = stored(data, tmp_path / "f.npy", stops)
    assert encoded == 7 * 3 - 100, "two parts of 8 images were there"
    assert np.array_equal(resumed.rows, stored(data, tmp_path / "whole.npy").rows)
    stored(data, tmp_path / "f.npy", stops)
    assert encoded == 7 * 3 - 100


def test_rows_of_another_network_are_not_mixed(data: Path, tmp_path: Path) -> None:
    facts = facts_of(data)
    assert facts.identity != facts_of(data, of="b").identity
    PartFolder.of(tmp_path / "f.npy", facts_of(data, of="b")).write(range(8), np.ones((8, 3, 48)), {})
    assert np.array_equal(stored(data, tmp_path / "f.npy").rows, stored(data, tmp_path / "g.npy").rows)


def test_altered_features_are_refused(data: Path, tmp_path: Path) -> None:
    path = stored(data, tmp_path / "f.npy").path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RowsError, match="the features of images 16 to 22 are not those that were written"):
        stored(data, tmp_path / "f.npy")


def test_a_row_may_end_with_its_length(tmp_path: Path) -> None:
    lengths = TokenLengths(criterion="l1", threshold=0.1)
    about = {"fingerprint": "", "images": 4, "network_sha256": "", "columns": 6, "codebook_size": 3, "lengths": lengths}
    facts = Facts.of(DATASET, StoredCodes(part_images=2), **about)
    folder = PartFolder.of(tmp_path / "f.npy", facts)
    rows = np.random.default_rng(0).integers(0, 3, (4, 1, 6))
    rows[..., -1] = [[5], [1], [2], [4]]
    for images in facts.parts():
        folder.write(images, rows[images.start : images.stop], {})
    store = merge(folder, tmp_path / "f.npy")
    assert np.array_equal(store.ids, rows[..., :5])
    assert store.lengths is not None
    assert store.lengths.tolist() == [[5], [1], [2], [4]]
    assert RowStore.open(store.path).facts == facts
    with pytest.raises(RowsError, match="ids go from 0 to 7; allowed: 0 to 6"):
        folder.write(range(2), np.full((2, 1, 6), 7) * (np.arange(6) > 4), {})
