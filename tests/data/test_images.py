"""In-memory images: batches equal a plain loop over single images, and depend on the step number alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from titok.data.images import ImageSet, TrainingImages, load_images
from titok.data.order import batch_indices
from titok.data.shard_index import ShardError
from titok.data.shards import ShardWriter
from titok.data.transforms import eval_transform
from titok.errors import DataError
from titok.runtime.seed import generator


def unique_pixels(count: int = 12, side: int = 9) -> ImageSet:
    """Images in which every pixel tells its image, row and column."""
    number, row, column = np.meshgrid(np.arange(count), np.arange(side), np.arange(side), indexing="ij")
    values = np.stack([number, row, column], axis=1).astype(np.uint8)
    labels = torch.arange(count) * 2
    return ImageSet(torch.from_numpy(values), labels, np.array([f"k{n}" for n in range(count)]), "made up")


def levels(images: torch.Tensor) -> torch.Tensor:
    return images.long()


def test_a_batch_equals_a_loop_over_single_images():
    images, step = unique_pixels(), 7
    batch = TrainingImages(images, crop=6, batch_size=32, seed=5).batch(step)
    draws = generator(5, "augment", step)
    top, left = torch.randint(0, 4, (2, 32), generator=draws)
    flip = torch.rand(32, generator=draws) < 0.5
    assert flip.any()
    assert not flip.all()
    for position, index in enumerate(batch_indices(step, 32, len(images), 5)):
        window = images.pixels[index][:, top[position] : top[position] + 6, left[position] : left[position] + 6]
        expected = window.flip(-1) if flip[position] else window
        assert torch.equal(batch.images[position], expected)
        assert batch.labels[position] == 2 * index


def test_types_and_range():
    batch = TrainingImages(unique_pixels(), 6, 4, seed=0).batch(0)
    assert (batch.images.dtype, batch.labels.dtype) == (torch.uint8, torch.int64)
    assert batch.images.shape == (4, 3, 6, 6)
    assert batch.images.is_contiguous()


@pytest.mark.parametrize("top", [2, 0])
def test_windows_of_one_place_are_cut_as_any_others(top: int):
    images, samples = unique_pixels(), torch.tensor([3, 0, 3])
    tops, left, flip = torch.full((3,), top), torch.full((3,), 1), torch.zeros(3, dtype=torch.bool)
    windows = images.windows(samples, tops, left, flip, 6)
    assert windows.is_contiguous()
    for window, index in zip(windows, samples, strict=True):
        assert torch.equal(window, images.pixels[index][:, top : top + 6, 1:7])
    apart = images.windows(samples, torch.tensor([top, top, top + 1]), left, flip, 6)
    assert torch.equal(apart[:2], windows[:2])
    assert not torch.equal(apart[2], windows[2])
    assert torch.equal(images.windows(samples, tops, left, ~flip, 6), windows.flip(-1))


def test_every_window_is_drawn_equally_often():
    source = TrainingImages(unique_pixels(1, 5), crop=4, batch_size=4000, seed=1)
    corner = levels(source.batch(0).images)[:, 1:, 0, 0]
    tops, columns = corner.T
    assert abs(tops.float().mean() - 0.5) < 0.05
    # The left column is 0 or 1 unmirrored, 3 or 4 mirrored.
    counts = torch.bincount(columns, minlength=5)
    assert counts[2] == 0
    assert (counts[[0, 1, 3, 4]] - 1000).abs().max() < 150


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("flip", [True, False])
def test_switches(crop, flip):
    batch = TrainingImages(unique_pixels(), 6, 64, seed=0, random_crop=crop, random_flip=flip).batch(0)
    rows, columns = levels(batch.images)[:, 1, :, 0], levels(batch.images)[:, 2, 0, :]
    assert (rows[:, 0].unique().numel() > 1) == crop
    assert (columns.diff() < 0).any() == flip
    if not crop:
        assert (rows == torch.arange(2, 8)).all()  # round(1.5) is 2


def test_batches_depend_on_the_step_alone():
    images = unique_pixels()
    source, resumed = TrainingImages(images, 6, 8, seed=0), TrainingImages(images, 6, 8, seed=0)
    for step in range(20):
        source.batch(step)
    torch.rand(10)
    for one, other in zip(source.batch(20), resumed.batch(20), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(source.batch(20).images, source.batch(21).images)
    assert not torch.equal(source.batch(20).images, TrainingImages(images, 6, 8, seed=1).batch(20).images)


def test_processes_share_the_global_batch():
    images = unique_pixels()
    whole = TrainingImages(images, 6, 8, seed=0).batch(3)
    shares = [TrainingImages(images, 6, 8, seed=0, rank=rank, world_size=4).batch(3) for rank in range(4)]
    assert torch.equal(torch.cat([share.images for share in shares]), whole.images)
    assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)


def test_global_randomness_is_left_alone():
    before = torch.get_rng_state()
    TrainingImages(unique_pixels(), 6, 8, seed=0).batch(0)
    assert torch.equal(torch.get_rng_state(), before)


def square_shards(directory, side: int, count: int = 5):
    pictures = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    with ShardWriter(directory, "test") as writer:
        for number, picture in enumerate(pictures):
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, format="PNG")
            writer.write(f"s{number}", stream.getvalue(), number)
    return pictures


@pytest.mark.parametrize("crop", [18, 17, 16, 15, 14, 13])
def test_eval_images_equal_the_official_transform(tmp_path, crop):
    pictures = square_shards(tmp_path, side=10)
    batches = list(load_images(tmp_path, "test", 18).crops(crop, batch_size=2))
    assert [len(batch.labels) for batch in batches] == [2, 2, 1]
    expected = torch.stack([eval_transform(Image.fromarray(picture), 18, crop) for picture in pictures])
    assert torch.equal(torch.cat([batch.images for batch in batches]), expected)
    assert torch.cat([batch.labels for batch in batches]).tolist() == [0, 1, 2, 3, 4]


def test_oblong_images_are_refused(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (12, 10)).save(stream, format="PNG")
    with ShardWriter(tmp_path, "test") as writer:
        writer.write("wide", stream.getvalue(), 0)
    with pytest.raises(ShardError, match=r"sample 0 \(wide\) is 21 x 18 pixels after resizing; .*set in_memory: false"):
        load_images(tmp_path, "test", 18)


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(DataError, match="crop is 10, larger than the 9 pixels"):
        TrainingImages(unique_pixels(), 10, 4, seed=0)


def test_chosen_images_are_those_of_a_whole_pass():
    numbers = np.random.default_rng(0)
    pixels = torch.from_numpy(numbers.integers(0, 256, (9, 3, 6, 6), dtype=np.uint8))
    images = ImageSet(pixels, torch.arange(9), np.array([str(index) for index in range(9)]), "none")
    whole = torch.cat([batch.images for batch in images.crops(4)])
    chosen = list(images.crops(4, batch_size=2, only=[7, 0, 3]))
    assert [batch.labels.tolist() for batch in chosen] == [[7, 0], [3]]
    assert torch.equal(torch.cat([batch.images for batch in chosen]), whole[[7, 0, 3]])
