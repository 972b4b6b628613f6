"""Codes that travel with their images: exactly the windows they are codes of, kept in memory or read ahead.

Run: pytest tests/data/test_coded_images.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from data.code_toys import encode, facts_of, write_photographs
from torch import Tensor

from titok.config.views import StoredCodes, ViewSet
from titok.data.coded_images import CodedImages, centre_codes
from titok.data.images import ImageSet, TrainingImages
from titok.data.order import batch_indices
from titok.data.rows.extraction import ViewReader, make_parts
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import RowStore, merge
from titok.data.shard_index import ShardError
from titok.data.streamed import StreamedSet
from titok.data.tokens import TokenSet, TrainingTokens
from titok.data.transforms import from_uint8, to_uint8
from titok.data.views import views_of

CENTRE = views_of(ViewSet())
MANY = views_of(ViewSet(crops="five", mirrored=True, random_crops=2))


@pytest.fixture
def images() -> ImageSet:
    pixels = torch.from_numpy(np.random.Generator(np.random.PCG64(0)).integers(0, 256, (10, 3, 18, 18), dtype=np.uint8))
    return ImageSet(pixels, torch.arange(10), np.array([f"image {index}" for index in range(10)]), "made up")


def codes_of(batch: Tensor) -> Tensor:
    """Stands in for a VQGAN: codes (B, 16) that tell every window from every other."""
    return encode(to_uint8(batch, "round"))


def codes_of_views(images: ImageSet) -> np.ndarray:
    """(N, V, 16), by the one pass over a set that scores and tokens use too."""
    views = [torch.cat([codes_of(batch.images) for batch in images.crops(16, where=view.crop_of)]) for view in MANY]
    return torch.stack(views, dim=1).numpy().astype(np.uint16)


@pytest.mark.parametrize("step", [0, 3, 7])
def test_centres_are_the_batches_of_training_without_codes(images: ImageSet, step: int) -> None:
    plain = TrainingImages(images, 16, 4, seed=5, random_crop=False, random_flip=False).batch(step)
    coded = CodedImages(images, 16, CENTRE, centre_codes(images, 16, codes_of), 4, 5).batch(step)
    assert torch.equal(coded.images, plain.images)
    assert torch.equal(coded.labels, plain.labels)
    assert torch.equal(coded.codes, codes_of(from_uint8(plain.images)))
    assert coded.codes.dtype == torch.int64


def test_every_centre_is_encoded_once(images: ImageSet) -> None:
    seen: list[int] = []
    codes = centre_codes(images, 16, lambda batch: seen.append(len(batch)) or codes_of(batch))  # type: ignore[func-returns-value]
    assert sum(seen) == len(images)
    assert codes.shape == (10, 1, 16)


def test_codes_are_those_of_the_very_window(images: ImageSet) -> None:
    source = CodedImages(images, 16, MANY, codes_of_views(images), 8, 5)
    for step in range(6):
        batch = source.batch(step)
        assert torch.equal(batch.codes, codes_of(from_uint8(batch.images)))
        assert batch.images.shape == (8, 3, 16, 16)
        assert batch.labels.tolist() == batch_indices(step, 8, 10, 5).tolist()


def test_views_are_drawn_as_for_tokens(images: ImageSet) -> None:
    codes = np.arange(10)[:, None, None] * 100 + np.arange(12)[:, None] + np.zeros((10, 12, 16), int)
    tokens = TokenSet(codes.astype(np.uint16), np.arange(10), "", tuple(view.name for view in MANY), {})
    for step in (0, 4):
        coded = CodedImages(images, 16, MANY, codes, 8, 5).batch(step)
        assert torch.equal(coded.codes, TrainingTokens(tokens, 8, 5).batch(step).tokens)
        assert len(set((coded.codes[:, 0] % 100).tolist())) > 2


def test_processes_share_the_global_batch(images: ImageSet) -> None:
    codes = codes_of_views(images)
    whole = CodedImages(images, 16, MANY, codes, 4, 5).batch(2)
    parts = [CodedImages(images, 16, MANY, codes, 4, 5, rank=rank, world_size=2).batch(2) for rank in range(2)]
    for name in ("images", "labels", "codes"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_codes_of_another_number_of_images_or_views_are_refused(images: ImageSet) -> None:
    with pytest.raises(ValueError, match=r"codes have shape \(10, 1, 16\), but there are 10 images and 12 views"):
        CodedImages(images, 16, MANY, np.zeros((10, 1, 16), np.uint16), 4, 5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RowStore:
    """Codes of photographs of several aspect ratios, extracted as `titok codes extract` does."""
    data = tmp_path_factory.mktemp("photographs")
    write_photographs(data, 17)
    settings = StoredCodes(views=ViewSet(crops="five", mirrored=True, random_crops=2), part_images=5)
    facts = facts_of(data, settings)
    folder = PartFolder.of(data / "train.npy", facts)
    make_parts(ViewReader(data, "train", facts), encode, folder, facts.parts(), batch_size=9, workers=0, made_by={})
    return merge(folder, data / "train.npy")


def streamed(store: RowStore, workers: int) -> CodedImages:
    images = StreamedSet(store.path.parent, "train", 18, workers=workers)
    return CodedImages(images, 16, store.facts.view_list(), store.rows, 6, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_windows_and_stored_codes_belong_together(store: RowStore, workers: int) -> None:
    source = streamed(store, workers)
    for step in (4, 5, 6, 1):  # on, then back
        batch = source.batch(step)
        assert torch.equal(batch.codes, codes_of(from_uint8(batch.images)))
        assert batch.labels.tolist() == [index % 2 for index in batch_indices(step, 6, 17, 3).tolist()]
    source.close()
    assert torch.equal(source.batch(1).codes, batch.codes)
    source.close()


def test_workers_change_nothing(store: RowStore) -> None:
    alone, shared = streamed(store, 0), streamed(store, 2)
    for step in range(3):
        assert all(map(torch.equal, alone.batch(step), shared.batch(step)))
    shared.close()


def test_damaged_images_are_named(store: RowStore) -> None:
    source = streamed(store, 0)
    shard = store.path.parent / "train-000000.tar"
    content = shard.read_bytes()
    try:
        shard.write_bytes(bytes(len(content)))
        with pytest.raises(ShardError, match=r"photo-\d+"):
            source.batch(0)
    finally:
        shard.write_bytes(content)
