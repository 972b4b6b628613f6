"""MAE's random resized crop: which windows, which pixels, and that a batch depends on its step alone.

Run: pytest tests/data/test_resized_crops.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data.test_streamed import SIZES, photograph
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from titok.config.training import ImageTraining
from titok.data.images import ImageSet
from titok.data.opening import training_images
from titok.data.order import batch_indices
from titok.data.resized_crops import AREA, RATIO, ResizedCrops, draw_box, torchvisions
from titok.data.shards import ShardWriter
from titok.data.streamed import StreamedSet
from titok.runtime.seed import generator


def boxes(width: int, height: int, count: int = 4000) -> np.ndarray:
    draws = torch.Generator().manual_seed(0)
    return np.array([draw_box(width, height, draws) for _ in range(count)])


def test_windows_are_distributed_as_maes() -> None:
    found = boxes(400, 400)
    heights, widths = found[:, 2], found[:, 3]
    inside = (widths < 400) & (heights < 400)  # cut to the image, a window keeps neither its area nor its shape
    area, ratio = (widths * heights / 400**2)[inside], (widths / heights)[inside]
    assert area.min() >= AREA[0] - 0.005
    assert ratio.min() >= RATIO[0] - 0.02
    assert ratio.max() <= RATIO[1] + 0.02
    # Small windows are never cut: their area is uniform, and the logarithm of their shape.
    small = area[area < 0.5]
    assert np.mean(small) == pytest.approx((AREA[0] + 0.5) / 2, abs=0.01)
    assert np.mean(np.log(ratio[area < 0.5])) == pytest.approx(0, abs=0.02)
    assert found[:, 4].mean() == pytest.approx(0.5, abs=0.03)
    assert (found[:, 0] + heights <= 400).all()
    assert (found[:, 1] + widths <= 400).all()


def test_what_is_larger_than_a_narrow_image_is_cut_to_it() -> None:
    found = boxes(10, 200, 500)
    assert (found[:, 3] <= 10).all()
    assert (found[:, 3] == 10).mean() > 0.5
    assert (found[:, 2:4] >= 1).all()


def image_set(count: int = 12, side: int = 20) -> ImageSet:
    pixels = torch.randint(
        0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    keys = np.array([f"image{number}" for number in range(count)])
    return ImageSet(pixels, torch.arange(count) % 3, keys, "made up")


def test_pixels_are_the_window_cut_out_and_resized() -> None:
    images = image_set()
    batch = ResizedCrops(images, 16, 4, seed=5).batch(7)
    assert (batch.images.shape, batch.images.dtype) == ((4, 3, 16, 16), torch.uint8)
    for position, sample in enumerate(batch_indices(7, 4, 12, 5)):
        top, left, height, width, flip = draw_box(20, 20, generator(5, "resized crop", 7, position))
        window = images.pixels[sample][:, top : top + height, left : left + width].permute(1, 2, 0).numpy()
        expected = np.asarray(Image.fromarray(window).resize((16, 16), Image.Resampling.BICUBIC))
        found = batch.images[position].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(found[:, ::-1] if flip else found, expected)
        assert batch.labels[position] == images.labels[sample]


def test_a_batch_depends_on_its_step_alone() -> None:
    one = ResizedCrops(image_set(), 16, 5, seed=1)
    in_order = [one.batch(step).images for step in range(3)]
    assert torch.equal(ResizedCrops(image_set(), 16, 5, seed=1).batch(2).images, in_order[2])
    assert not torch.equal(ResizedCrops(image_set(), 16, 5, seed=2).batch(2).images, in_order[2])


def test_streamed_images_are_cut_from_their_originals_by_any_number_of_workers(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "train", max_samples=4) as writer:
        for number, size in enumerate(SIZES):
            writer.write(f"image-{number}", photograph(number, size), number % 3)
    alone, helped = (ResizedCrops(StreamedSet(tmp_path, "train", 36, workers=n), 32, 4, seed=3) for n in (0, 2))
    batch = alone.batch(1)
    assert torch.equal(batch.images, helped.batch(1).images)
    images = StreamedSet(tmp_path, "train", 36)
    sample = int(batch_indices(1, 4, len(SIZES), 3)[0])
    image = images.reader.image(sample)
    assert image.size == SIZES[sample]
    top, left, height, width, flip = draw_box(*image.size, generator(3, "resized crop", 1, 0))
    expected = image.crop((left, top, left + width, top + height)).resize((32, 32), Image.Resampling.BICUBIC)
    found = batch.images[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found[:, ::-1] if flip else found, np.asarray(expected))


ALITS = torchvisions((0.8, 1.0), flips=True)


def test_alits_windows_are_torchvisions() -> None:
    """The same distributions, by its own draws: quantiles of area, of shape and of place."""
    theirs = RandomResizedCrop(16, scale=(0.8, 1.0))
    torch.manual_seed(0)
    whole = torch.zeros(3, 300, 400)
    expected = np.array([theirs.get_params(whole, theirs.scale, theirs.ratio) for _ in range(4000)])
    draws = torch.Generator().manual_seed(0)
    found = np.array([draw_box(400, 300, draws, ALITS)[:4] for _ in range(4000)])
    for statistic in (
        lambda box: box[:, 2] * box[:, 3] / (300 * 400), lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0] / 300, lambda box: box[:, 1] / 400,
    ):  # fmt: skip
        levels = [0.05, 0.25, 0.5, 0.75, 0.95]
        np.testing.assert_allclose(
            np.quantile(statistic(found), levels), np.quantile(statistic(expected), levels), atol=0.02
        )


@pytest.mark.parametrize("size", [(10, 200), (300, 20), (40, 35), (33, 33)])
def test_what_no_draw_fits_into_is_the_centre_as_torchvision_has_it(size: tuple[int, int]) -> None:
    width, height = size
    never = ALITS._replace(area=(4.0, 4.0))
    found = draw_box(width, height, torch.Generator().manual_seed(0), never)
    expected = RandomResizedCrop.get_params(torch.zeros(3, height, width), [4.0, 4.0], [3 / 4, 4 / 3])
    assert found[:4] == tuple(expected)


def test_processes_share_the_windows_of_one_batch() -> None:
    whole = ResizedCrops(image_set(), 16, 4, seed=5, windows=ALITS).batch(7).images
    parts = [ResizedCrops(image_set(), 16, 4, 5, ALITS, rank=rank, world_size=2).batch(7).images for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(whole, ResizedCrops(image_set(), 16, 4, seed=5).batch(7).images)


def test_a_training_with_an_area_draws_such_windows() -> None:
    training = ImageTraining(batch_size=4, window_area=(0.8, 1.0), random_flip=False)
    found = training_images(image_set(), 16, training, seed=5).batch(7).images
    expected = ResizedCrops(image_set(), 16, 4, 5, torchvisions((0.8, 1.0), flips=False)).batch(7).images
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "settings",
    [{"window_area": (1.0, 0.8)}, {"window_area": (0.8, 1.2)}, {"window_area": (0.8, 1.0), "random_crop": False}],
)
def test_areas_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="window_area is"):
        ImageTraining.model_validate({"batch_size": 4, **settings})
