"""Floors: mean patches that are known beforehand, and regions of images made of few colours.

Run: pytest tests/evaluation/test_floors.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.config.floors import ImageRegions, PatchCodebook
from titok.data.images import ImageSet
from titok.data.transforms import to_uint8
from titok.errors import ScoreError
from titok.evaluation.floors import COLOUR_BITS, PatchMeans, RegionColours
from titok.metrics.region_map import map_bits

SETTINGS = PatchCodebook(kind="patches", patch_size=4, codebook_size=3)


def tiles(number: int, seed: int) -> torch.Tensor:
    """(N, 3, 8, 8) uint8: images of four tiles, each of one of three patches."""
    draws = np.random.default_rng(seed)
    patches = np.random.default_rng(5).integers(0, 256, (3, 3, 4, 4), dtype=np.uint8)
    rows = [[patches[draws.integers(3)] for _ in range(2)] for _ in range(2 * number)]
    pairs = [np.concatenate(row, axis=2) for row in rows]
    return torch.from_numpy(np.stack([np.concatenate(pairs[2 * n : 2 * n + 2], axis=1) for n in range(number)]))


def image_set(pixels: torch.Tensor) -> ImageSet:
    number = len(pixels)
    return ImageSet(pixels, torch.zeros(number, dtype=torch.int64), np.array([str(n) for n in range(number)]), "made")


def test_images_of_v_patches_come_back_whole() -> None:
    means = PatchMeans.fit(image_set(tiles(40, 0)), 8, SETTINGS, seed=0)
    pixels = tiles(6, 1)
    found = means(pixels / 255)
    assert found.ids is not None
    assert found.ids.values.shape == (6, 4)
    assert found.ids.values.unique().tolist() == [0, 1, 2]
    assert torch.equal(to_uint8(found.images, "round"), pixels)
    assert means.num_parameters == 3 * 48


def test_a_seed_draws_the_images_and_decides_the_means() -> None:
    images = image_set(torch.randint(0, 256, (30, 3, 8, 8), dtype=torch.uint8, generator=torch.manual_seed(0)))
    settings = SETTINGS.model_copy(update={"fit_patches": 40})
    some = images.pixels[:4] / 255
    first, again, other = (PatchMeans.fit(images, 8, settings, seed)(some).images for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_fewer_patches_than_means_are_refused() -> None:
    with pytest.raises(ScoreError, match="4 patches of training images cannot have 5 means"):
        PatchMeans.fit(image_set(tiles(1, 0)), 8, SETTINGS.model_copy(update={"codebook_size": 5}), seed=0)


def test_regions_of_flat_colours_come_back_whole_and_are_counted() -> None:
    segmentation = pytest.importorskip("skimage.segmentation")
    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    pixels[0, 0, :, 8:] = 255  # black and red halves
    floor = RegionColours(ImageRegions(kind="regions", regions=4))
    found = floor(pixels / 255)
    assert found.ids is None
    assert torch.equal(to_uint8(found.images, "round"), pixels)
    cut = segmentation.slic(pixels[0].permute(1, 2, 0).numpy(), n_segments=4, compactness=10.0, start_label=0)
    assert floor.regions_per_image == len(np.unique(cut)) == 4
    assert floor.bits_per_image == pytest.approx(map_bits(cut) + 4 * COLOUR_BITS)


def test_regions_hang_together_and_have_their_mean() -> None:
    pytest.importorskip("skimage")
    blocks = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8, generator=torch.manual_seed(1))
    pixels = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)
    floor = RegionColours(ImageRegions(kind="regions", regions=6, compactness=1.0))
    found = to_uint8(floor(pixels / 255).images, "round")[0]
    colours = {tuple(colour) for colour in found.flatten(1).T.tolist()}
    assert 1 < len(colours) <= floor.regions_per_image
    assert float(found.float().mean()) == pytest.approx(float(pixels.float().mean()), abs=0.5), "rounding of means"
