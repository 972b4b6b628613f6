"""Transforms equal the official ones: golden draws and positions, torchvision's pixels, checksums of photographs."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from data.official_transform import train_transform
from golden.rule import HERE, load_golden
from PIL import Image
from torchvision.transforms import CenterCrop
from torchvision.transforms.functional import pil_to_tensor

from titok.data import pictures
from titok.data.pictures import is_strip
from titok.data.transforms import (
    Crop,
    adm_centre_crop,
    centre_offset,
    crop_pixels,
    draw_crop,
    eval_transform,
    from_uint8,
    pixels,
    resize_shorter_edge,
    resized,
    resized_size,
    to_uint8,
)
from titok.errors import DataError

GOLDEN = load_golden("preprocessing").extra["per_image"]
SEEDS = range(4)
SIZES = [(500, 375), (375, 500), (533, 800), (183, 280), (256, 256), (640, 256), (257, 300), (18, 18)]


def picture(width: int, height: int) -> Image.Image:
    """Noise over a gradient: every resampling mistake shows."""
    generator = np.random.default_rng(width * 1000 + height)
    ramp = np.add.outer(np.linspace(0, 200, height), np.linspace(0, 55, width))[..., None]
    noise = generator.uniform(-60, 60, (height, width, 3))
    return Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crc32(image: torch.Tensor) -> int:
    """Checksum of (3, H, W) uint8 in the golden layout (H, W, 3)."""
    return zlib.crc32(image.permute(1, 2, 0).contiguous().numpy().tobytes())


@pytest.mark.parametrize("name", GOLDEN)
def test_resized_size_and_centre_are_golden(name):
    golden = GOLDEN[name]
    resized = resize_shorter_edge(Image.new("RGB", golden["size_wh"]), 256)
    assert list(resized.size) == golden["resized_wh"]
    offsets = [centre_offset(size, 256) for size in (resized.height, resized.width)]
    assert offsets == golden["eval_crop_top_left"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", GOLDEN)
def test_draws_are_golden(name, seed):
    golden = GOLDEN[name]
    drawn = draw_crop(*golden["resized_wh"], 256, seeded(seed))
    expected = golden[f"train_seed{seed}"]
    assert drawn == Crop(expected["top"], expected["left"], expected["flip"])


def test_no_draws_for_an_image_of_the_crops_size():
    generator = seeded(5)
    assert draw_crop(256, 256, 256, generator, random_flip=False) == Crop(0, 0, False)
    assert torch.equal(generator.get_state(), seeded(5).get_state())


@pytest.mark.parametrize("size", SIZES)
def test_eval_equals_torchvision(size):
    from torchvision import transforms

    reference = transforms.Compose(
        [
            transforms.Resize(256, transforms.InterpolationMode.BICUBIC, antialias=True),
            transforms.CenterCrop(256),
            transforms.ToTensor(),
        ]
    )
    image = picture(*size)
    assert torch.equal(eval_transform(image, 256, 256), reference(image))


@pytest.mark.parametrize("random_crop", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_train_equals_torchvision(size, random_crop):
    from torchvision import transforms

    reference = transforms.Compose(
        [
            transforms.Resize(256, transforms.InterpolationMode.BICUBIC, antialias=True),
            transforms.RandomCrop(256) if random_crop else transforms.CenterCrop(256),
            transforms.RandomHorizontalFlip(0.5),
            transforms.ToTensor(),
        ]
    )
    image = picture(*size)
    for seed in SEEDS:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            expected = reference(image)
        assert torch.equal(train_transform(image, 256, 256, seeded(seed), random_crop=random_crop), expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_crop_is_a_window_of_the_resized_image(size):
    resized = np.asarray(resize_shorter_edge(picture(*size), 40))
    assert (resized.shape[1], resized.shape[0]) == resized_size(*size, 40)
    window = resized[3:35, 5:37].transpose(2, 0, 1)
    np.testing.assert_array_equal(crop_pixels(picture(*size), 40, 32, Crop(3, 5, False)), window)
    np.testing.assert_array_equal(crop_pixels(picture(*size), 40, 32, Crop(3, 5, True)), window[:, :, ::-1])


@pytest.mark.parametrize("size", SIZES)
def test_by_adms_rule_crops_are_windows_of_a_square(size):
    square = np.asarray(adm_centre_crop(picture(*size), 40))
    assert square.shape[:2] == resized_size(*size, 40, "adm") == (40, 40)
    window = square[8:40, 0:32].transpose(2, 0, 1)
    np.testing.assert_array_equal(crop_pixels(picture(*size), 40, 32, Crop(8, 0, False), "adm"), window)
    np.testing.assert_array_equal(crop_pixels(picture(*size), 40, 40, rule="adm"), square.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [*SIZES, (31, 300), (40, 33), (7, 9)])
def test_without_a_resize_the_centre_is_torchvisions(size):
    """Black around images that are smaller, as its CenterCrop pads them; of all others their own pixels."""
    image = picture(*size)
    expected = pil_to_tensor(CenterCrop(32)(image))
    assert torch.equal(crop_pixels(image, 32, 32, rule="none"), expected)
    assert resized_size(*size, 32, "none") == (max(size[0], 32), max(size[1], 32))
    whole = resized(image, 32, "none")
    assert whole.size == resized_size(*size, 32, "none")
    assert torch.equal(crop_pixels(image, 32, 8, Crop(20, 3, True), "none"), pixels(whole)[:, 20:28, 3:11].flip(-1))


@pytest.mark.parametrize("rule", ["official", "bilinear", "adm", "none"])
@pytest.mark.parametrize("size", [(2000, 15), (15, 2000), (3, 400), (400, 3), (7000, 60), (60, 7000)])
def test_windows_of_strips_are_those_of_the_whole_image_resized(size, rule, monkeypatch):
    draws, image = seeded(size[0]), picture(*size)
    where = [draw_crop(*resized_size(*size, 32, rule), 24, draws) for _ in range(5)]
    assert is_strip(*size)
    found = [crop_pixels(image, 32, 24, crop, rule) for crop in [None, *where]]
    monkeypatch.setattr(pictures, "STRIP", 10_000)
    assert not is_strip(*size)
    whole = [crop_pixels(image, 32, 24, crop, rule) for crop in [None, *where]]
    apart = (torch.stack(found).int() - torch.stack(whole).int()).abs()
    assert apart.max() <= 1, "more than a rounding"
    assert apart.sum() <= 2e-3 * apart.numel(), "measured: 11 of 10368 values at most"


def test_only_strips_are_not_resized_as_a_whole():
    assert [is_strip(*size) for size in ((100, 1), (101, 1), (1, 101), (2000, 30), (256, 256))] == [
        False, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["official", "bilinear", "adm"])
@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (65_000, 30)])
def test_memory_is_bounded_by_the_window_and_not_by_the_ratio(size, rule, monkeypatch):
    made, resize = [], Image.Image.resize

    def noted(image, size, *rest, **named):
        made.append(size)
        return resize(image, size, *rest, **named)

    monkeypatch.setattr(Image.Image, "resize", noted)
    found = crop_pixels(Image.new("RGB", size, (10, 20, 30)), 256, 256, rule=rule)
    assert found.float().mean((1, 2)).tolist() == [10, 20, 30]
    assert max(width * height for width, height in made) <= 256 * 640, "no more than the window and the rows it needs"


def halved(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels as Pillow's box filter makes them: columns first, rounded, then rows, rounded."""
    across = (values[:, 0::2].astype(int) + values[:, 1::2] + 1) // 2
    return ((across[0::2] + across[1::2] + 1) // 2).astype(np.uint8)


@pytest.mark.parametrize(("size", "halvings"), [((520, 516), 1), ((536, 800), 1), ((1100, 2048), 2), ((510, 700), 0)])
def test_adm_halves_then_rounds(size, halvings):
    values = np.asarray(picture(*size))
    for _ in range(halvings):
        values = halved(values)
    scale = 256 / min(values.shape[:2])
    height, width = (round(side * scale) for side in values.shape[:2])
    resized = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - 256) // 2, (width - 256) // 2
    np.testing.assert_array_equal(
        np.asarray(adm_centre_crop(picture(*size), 256)), resized[top : top + 256, left : left + 256]
    )


def test_adm_and_eval_differ_where_the_official_ones_do():
    # 391 wide after truncation, 392 after rounding; half offsets round to even or down.
    image = picture(280, 183)
    assert resize_shorter_edge(image, 256).size == (391, 256)
    assert not torch.equal(pixels(adm_centre_crop(image, 256)), crop_pixels(image, 256, 256))


@pytest.mark.parametrize("name", GOLDEN)
def test_photographs_have_golden_checksums(name):
    golden = GOLDEN[name]
    image = Image.open(HERE / "preprocessing" / f"{name}.jpg").convert("RGB")
    assert crc32(pixels(image)) == golden["decoded_rgb_crc32"], "this Pillow decodes JPEG differently"
    assert crc32(to_uint8(eval_transform(image, 256, 256), "round")) == golden["eval_crc32"]
    assert crc32(pixels(adm_centre_crop(image, 256))) == golden["adm_256_crc32"]
    assert crc32(pixels(adm_centre_crop(image, 281))) == golden["adm_281_crc32"]
    for seed in SEEDS:
        trained = to_uint8(train_transform(image, 256, 256, seeded(seed)), "round")
        assert crc32(trained) == golden[f"train_seed{seed}"]["crc32_u8"]


@pytest.mark.parametrize("size", range(16, 32))
def test_centre_offset_rounds_halves_to_even(size):
    expected = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 5: 2, 6: 3, 7: 4, 8: 4, 9: 4, 10: 5, 11: 6, 12: 6, 13: 6, 14: 7, 15: 8}
    assert centre_offset(size, 16) == expected[size - 16]


@pytest.mark.parametrize("rounding", ["round", "truncate"])
def test_every_grey_level_survives(rounding):
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(from_uint8(levels), rounding), levels)


def test_roundings_differ_between_levels_and_clamp():
    values = torch.tensor([-0.5, 100.4 / 255, 100.6 / 255, 0.999, 1.7])
    assert to_uint8(values, "round").tolist() == [0, 100, 101, 255, 255]
    assert to_uint8(values, "truncate").tolist() == [0, 100, 100, 254, 255]


def test_half_precision_is_converted_in_float32():
    levels = torch.arange(256, dtype=torch.uint8)
    # bfloat16 has 8 bits of mantissa: multiplied in bfloat16, many levels would move by more than its own rounding.
    values = from_uint8(levels).to(torch.bfloat16)
    assert torch.equal(to_uint8(values, "round"), (values.float() * 255).round().to(torch.uint8))


def test_errors_name_the_value():
    with pytest.raises(DataError, match="rounding is 'up'; allowed: 'round', 'truncate'"):
        to_uint8(torch.zeros(1), "up")
    with pytest.raises(DataError, match="crop is 20, larger than the 18 pixels"):
        eval_transform(picture(18, 18), 18, 20)
    with pytest.raises(DataError, match="top 9, left 0 leaves the image, which is 22 x 39 after resizing to 22"):
        crop_pixels(picture(10, 18), 22, 32, Crop(9, 0, False))
    with pytest.raises(DataError, match="mode 'L'"):
        pixels(Image.new("L", (4, 4)))
