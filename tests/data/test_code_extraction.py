"""Extraction: the same codes whoever makes which part, one decode for all views, and a check by encoding again.

Run: pytest tests/data/test_code_extraction.py
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
from titok.data.code_extraction import ViewReader, extract_parts, random_samples, verify_sample
from titok.data.code_facts import CodeFacts, CodesError
from titok.data.code_parts import PartFolder
from titok.data.code_store import CodeStore, merge
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
def facts(data: Path) -> CodeFacts:
    return facts_of(data, SETTINGS)


def extract(data: Path, folder: PartFolder, parts: list[range], *, batch_size: int = 24, workers: int = 0) -> list[int]:
    """Makes parts; the number of images told of at a time."""
    told: list[int] = []
    read = ViewReader(data, "train", folder.facts)
    options = {"batch_size": batch_size, "workers": workers, "made_by": {}, "tell": told.append}
    extract_parts(read, encode, folder, parts, **options)
    return told


@pytest.fixture(scope="module")
def store(data: Path, facts: CodeFacts, tmp_path_factory: pytest.TempPathFactory) -> CodeStore:
    output = tmp_path_factory.mktemp("codes") / "train.npy"
    folder = PartFolder.of(output, facts)
    assert sum(extract(data, folder, facts.parts())) == COUNT
    return merge(folder, output)


def test_codes_are_of_exactly_the_declared_windows(data: Path, facts: CodeFacts, store: CodeStore) -> None:
    with ShardReader(data, "train") as reader:
        for index in (0, 8, COUNT - 1):
            image = reader.image(index)
            size = resized_size(*image.size, 18)
            for number, view in enumerate(facts.view_list()):
                window = crop_pixels(image, 18, 16, view.crop_of(*size, 16, index))
                assert np.array_equal(store.codes[index, number], encode(window[None])[0]), (index, view.name)


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


def test_ten_crops_of_an_image_are_different(store: CodeStore) -> None:
    assert len(np.unique(store.codes[0, :10], axis=0)) == 10


@pytest.mark.parametrize(("workers", "batch_size"), [(0, 1), (2, 24), (1, 1000)])
def test_workers_and_order_of_parts_change_nothing(
    data: Path, facts: CodeFacts, store: CodeStore, tmp_path: Path, workers: int, batch_size: int
) -> None:
    output = tmp_path / "train.npy"
    folder = PartFolder.of(output, facts)
    extract(data, folder, facts.parts()[::-1], workers=workers, batch_size=batch_size)
    merge(folder, output)
    assert output.read_bytes() == store.path.read_bytes()


def test_batches_do_not_reach_into_the_next_part(data: Path, facts: CodeFacts, tmp_path: Path) -> None:
    told = extract(data, PartFolder.of(tmp_path / "train.npy", facts), facts.parts(), batch_size=36)
    assert told == [3, 3, 1, 3, 3, 1, 3, 3, 1, 2]


def test_a_batch_holds_no_more_windows_than_asked(data: Path, facts: CodeFacts, tmp_path: Path) -> None:
    seen: list[int] = []

    def count(windows: Tensor) -> Tensor:
        seen.append(len(windows))
        return encode(windows)

    read, folder = ViewReader(data, "train", facts), PartFolder.of(tmp_path / "train.npy", facts)
    extract_parts(read, count, folder, facts.parts()[:1], batch_size=5, workers=0, made_by={})
    assert max(seen) == 5
    assert sum(seen) == 7 * 12


def test_stopped_extraction_repeats_at_most_one_part(data: Path, facts: CodeFacts, store: CodeStore, tmp_path: Path):
    output = tmp_path / "train.npy"
    folder = PartFolder.of(output, facts)
    done = 0

    def dying(windows: Tensor) -> Tensor:
        nonlocal done
        done += len(windows)
        if done > 17 * 12:
            raise KeyboardInterrupt
        return encode(windows)

    read = ViewReader(data, "train", facts)
    with pytest.raises(KeyboardInterrupt):
        extract_parts(read, dying, folder, facts.parts(), batch_size=12, workers=0, made_by={})
    missing = folder.missing(facts.parts())
    assert missing == facts.parts()[2:]
    extract(data, folder, missing)
    merge(folder, output)
    assert output.read_bytes() == store.path.read_bytes()


def test_other_images_are_refused(data: Path, facts: CodeFacts, tmp_path: Path) -> None:
    write_photographs(tmp_path, COUNT, seed=1)
    with pytest.raises(CodesError, match=rf"has fingerprint .*codes are of images with {facts.fingerprint}"):
        ViewReader(tmp_path, "train", facts)


CHECK = {"samples": 9, "seed": 3, "batch_size": 10, "workers": 0, "tolerance": 1e-3}


def test_encoding_again_gives_the_same_codes(data: Path, store: CodeStore) -> None:
    found = verify_sample(store, ViewReader(data, "train", store.facts), gap, **CHECK)
    assert found == (9, 9 * 12 * 16, 0, 0.0)


def test_a_code_moved_by_rounding_is_counted_and_passes(data: Path, store: CodeStore) -> None:
    read = ViewReader(data, "train", store.facts)

    def rounded(windows: Tensor, codes: Tensor) -> Tensor:
        return gap(windows, codes) + 1e-6 * (torch.arange(codes.shape[1]) == 4)

    found = verify_sample(store, read, rounded, **CHECK)
    assert found.changed == 9 * 12
    assert found.worst_gap == pytest.approx(1e-6)


def test_codes_of_something_else_are_told_by_image_and_view(data: Path, store: CodeStore, tmp_path: Path) -> None:
    codes = np.array(store.codes)
    index = random_samples(COUNT, 9, 3)[4]
    codes[index, 10, 5] ^= 1
    altered = CodeStore(tmp_path / "train.npy", store.facts, codes, store.records)
    words = rf"1 of {9 * 12 * 16} codes of 1 of 9 images .*view 'random 0' of .*photo-{index:03d}"
    with pytest.raises(CodesError, match=words):
        verify_sample(altered, ViewReader(data, "train", store.facts), gap, **CHECK)


def test_random_samples_are_different_images() -> None:
    chosen = random_samples(1000, 256, 0)
    assert len(set(chosen)) == 256
    assert chosen == sorted(chosen)
    assert chosen != random_samples(1000, 256, 1)
    assert random_samples(5, 256, 0) == list(range(5))
