"""Extraction: the same codes whoever makes which part, one decode for all views, and a check by encoding again.

Run: pytest tests/data/rows/test_extraction.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data.code_toys import encode, facts_of, gap, write_photographs
from torch import Tensor

from titok.config.data import ResizeRule
from titok.config.views import StoredCodes, ViewSet
from titok.data.rows.extraction import Encode, ViewReader, make_parts
from titok.data.rows.facts import Facts, RowsError
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import RowStore, merge
from titok.data.rows.verification import random_samples, verify_sample
from titok.data.shards import ShardReader
from titok.data.transforms import crop_pixels, resized_size

COUNT = 23
SETTINGS = StoredCodes(views=ViewSet(crops="five", mirrored=True, random_crops=2), part_images=7)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("photographs")
    write_photographs(directory, COUNT)
    return directory


@pytest.fixture(scope="module")
def facts(data: Path) -> Facts:
    return facts_of(data, SETTINGS)


def extract(
    data: Path,
    folder: PartFolder,
    parts: list[range],
    *,
    batch_size: int = 24,
    workers: int = 0,
    encode: Encode = encode,
) -> None:
    read = ViewReader(data, "train", folder.facts)
    make_parts(read, encode, folder, parts, batch_size=batch_size, workers=workers, made_by={})


@pytest.fixture(scope="module")
def store(data: Path, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> RowStore:
    output = tmp_path_factory.mktemp("codes") / "train.npy"
    folder = PartFolder.of(output, facts)
    extract(data, folder, facts.parts())
    return merge(folder, output)


def test_codes_are_of_exactly_the_declared_windows(data: Path, facts: Facts, store: RowStore) -> None:
    with ShardReader(data, "train") as reader:
        for index in (0, 8, COUNT - 1):
            image = reader.image(index)
            size = resized_size(*image.size, 18)
            for number, view in enumerate(facts.view_list()):
                window = crop_pixels(image, 18, 16, view.crop_of(*size, 16, index))
                assert np.array_equal(store.rows[index, number], encode(window[None])[0]), (index, view.name)


@pytest.mark.parametrize("rule", ["official", "adm", "bilinear"])
def test_images_are_resized_once_for_all_views(data: Path, rule: ResizeRule) -> None:
    settings = SETTINGS.model_copy(update={"resize": 19, "resize_rule": rule})
    facts = facts_of(data, settings)
    read = ViewReader(data, "train", facts)
    for index in (1, 6):
        image = read.samples.image(index)
        size = resized_size(*image.size, 19, rule)
        expected = [crop_pixels(image, 19, 16, view.crop_of(*size, 16, index), rule) for view in facts.view_list()]
        assert torch.equal(read(index), torch.stack(expected))


def test_ten_crops_of_an_image_are_different(store: RowStore) -> None:
    assert len(np.unique(store.rows[0, :10], axis=0)) == 10


@pytest.mark.parametrize(("workers", "batch_size"), [(0, 1), (2, 24), (1, 1000)])
def test_workers_and_order_of_parts_change_nothing(
    data: Path, facts: Facts, store: RowStore, tmp_path: Path, workers: int, batch_size: int
) -> None:
    output = tmp_path / "train.npy"
    folder = PartFolder.of(output, facts)
    extract(data, folder, facts.parts()[::-1], workers=workers, batch_size=batch_size)
    merge(folder, output)
    assert output.read_bytes() == store.path.read_bytes()


@pytest.mark.parametrize(("batch_size", "expected"), [(5, [5, 2, 5, 2, 5, 2, 2]), (36, [7, 7, 7, 2])])
def test_a_batch_is_of_one_view_and_of_one_part(
    data: Path, facts: Facts, tmp_path: Path, batch_size: int, expected: list[int]
) -> None:
    seen: list[int] = []

    def count(windows: Tensor) -> Tensor:
        seen.append(len(windows))
        return encode(windows)

    extract(data, PartFolder.of(tmp_path / "train.npy", facts), facts.parts(), batch_size=batch_size, encode=count)
    assert seen == [size for size in expected for _ in range(12)]


def test_stopped_extraction_repeats_at_most_one_part(data: Path, facts: Facts, store: RowStore, tmp_path: Path):
    output = tmp_path / "train.npy"
    folder = PartFolder.of(output, facts)
    done = 0

    def dying(windows: Tensor) -> Tensor:
        nonlocal done
        done += len(windows)
        if done > 17 * 12:
            raise KeyboardInterrupt
        return encode(windows)

    with pytest.raises(KeyboardInterrupt):
        extract(data, folder, facts.parts(), encode=dying)
    assert folder.missing(facts.parts()) == facts.parts()[2:]
    done = -COUNT * 12
    extract(data, folder, facts.parts(), encode=dying)
    assert done == -14 * 12, "the 9 images of the last two parts are encoded, the others are there"
    merge(folder, output)
    assert output.read_bytes() == store.path.read_bytes()


def test_other_images_are_refused(data: Path, facts: Facts, tmp_path: Path) -> None:
    write_photographs(tmp_path, COUNT, seed=1)
    with pytest.raises(RowsError, match=rf"has fingerprint .*ids are of images with {facts.fingerprint}"):
        ViewReader(tmp_path, "train", facts)


CHECK = {"samples": 9, "seed": 3, "batch_size": 10, "workers": 0, "tolerance": 1e-3}


def test_encoding_again_gives_the_same_codes(data: Path, store: RowStore) -> None:
    found = verify_sample(store, ViewReader(data, "train", store.facts), gap, **CHECK)
    assert found == (9, 9 * 12 * 16, 0, 0.0)


def test_a_code_moved_by_rounding_is_counted_and_passes(data: Path, store: RowStore) -> None:
    read = ViewReader(data, "train", store.facts)

    def rounded(windows: Tensor, codes: Tensor) -> Tensor:
        return gap(windows, codes) + 1e-6 * (torch.arange(codes.shape[1]) == 4)

    found = verify_sample(store, read, rounded, **CHECK)
    assert found.changed == 9 * 12
    assert found.worst_gap == pytest.approx(1e-6)


def test_codes_of_something_else_are_told_by_image_and_view(data: Path, store: RowStore, tmp_path: Path) -> None:
    codes = np.array(store.rows)
    index = random_samples(COUNT, 9, 3)[4]
    codes[index, 10, 5] ^= 1
    altered = RowStore(tmp_path / "train.npy", store.facts, codes, store.records)
    words = rf"1 of {9 * 12 * 16} codes of 1 of 9 images .*view 'random 0' of .*photo-{index:03d}"
    with pytest.raises(RowsError, match=words):
        verify_sample(altered, ViewReader(data, "train", store.facts), gap, **CHECK)


def test_random_samples_are_different_images() -> None:
    chosen = random_samples(1000, 256, 0)
    assert len(set(chosen)) == 256
    assert chosen == sorted(chosen)
    assert chosen != random_samples(1000, 256, 1)
    assert random_samples(5, 256, 0) == list(range(5))
