"""PSNR and SSIM against slow, independent computations with numpy and scipy, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from titok.errors import ScoreError
from titok.metrics.pixel import PixelSpread, psnr, ssim, ssim_window


def pair(height: int = 20, width: int = 24, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    references = torch.rand(batch, 3, height, width, generator=generator)
    noise = torch.rand(references.shape, generator=generator) * torch.tensor([0.05, 0.2, 0.6])[:batch, None, None, None]
    return (references + noise).clamp(0, 1), references


def slow_ssim(image: np.ndarray, reference: np.ndarray, data_range: float, side: int) -> float:
    """One image (C, H, W), window by scipy, borders cut off where the window does not fit."""
    offsets = np.arange(side) - side // 2
    weights = np.exp(-0.5 * (offsets / 1.5) ** 2)
    window = np.outer(weights, weights) / np.outer(weights, weights).sum()
    margin = side // 2

    def local(values: np.ndarray) -> np.ndarray:
        blurred = scipy.ndimage.correlate(values, window)
        return blurred[margin : values.shape[0] - margin, margin : values.shape[1] - margin]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    channels = []
    for x, y in zip(image.astype(np.float64), reference.astype(np.float64), strict=True):
        mx, my = local(x), local(y)
        vx, vy, vxy = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
        map_ = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
        channels.append(map_.mean())
    return float(np.mean(channels))


def test_the_mean_image_explains_nothing() -> None:
    images = torch.randint(0, 256, (6, 3, 5, 7), generator=torch.Generator().manual_seed(3)).double()
    mean = images.mean(0).expand_as(images)
    for restored, expected in ((images, 1.0), (mean, 0.0), (2 * mean - images, -3.0), ((images + mean) / 2, 0.75)):
        spread = PixelSpread()
        for batch in range(0, 6, 4):
            spread.update(images[batch : batch + 4], restored[batch : batch + 4])
        assert spread.explained == pytest.approx(expected, abs=1e-12)


def test_of_equal_images_nothing_can_be_explained() -> None:
    image = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(3)) * 255
    spread = PixelSpread()
    assert spread.explained is None
    spread.update(image.expand(50, -1, -1, -1), torch.zeros(50, 3, 5, 7))
    assert spread.explained is None
    with pytest.raises(ScoreError, match="must be the same"):
        spread.update(image, image[:, :, :4])


def test_psnr_equals_its_definition_image_by_image() -> None:
    images, references = pair()
    expected = [
        10 * np.log10(1 / ((a - b) ** 2).mean()) for a, b in zip(images.numpy(), references.numpy(), strict=True)
    ]
    np.testing.assert_allclose(psnr(images, references), expected, rtol=1e-6)


def test_psnr_of_a_constant_difference() -> None:
    zeros = torch.zeros(1, 3, 8, 8)
    assert psnr(zeros + 0.1, zeros).item() == pytest.approx(20.0, abs=1e-5)
    assert psnr(zeros + 25.5, zeros, data_range=255).item() == pytest.approx(20.0, abs=1e-5)


def test_psnr_of_identical_images_is_the_ceiling() -> None:
    images, _ = pair()
    assert psnr(images, images).tolist() == pytest.approx([100.0] * 3)


@pytest.mark.parametrize(("height", "width", "side"), [(20, 24, 11), (11, 30, 11), (10, 24, 9), (8, 8, 7), (1, 5, 1)])
def test_ssim_equals_the_slow_computation(height: int, width: int, side: int) -> None:
    assert ssim_window(height, width) == side
    images, references = pair(height, width)
    expected = [slow_ssim(a, b, 1.0, side) for a, b in zip(images.numpy(), references.numpy(), strict=True)]
    np.testing.assert_allclose(ssim(images, references), expected, rtol=1e-9)


def test_ssim_of_8_bit_images_is_that_of_their_fractions() -> None:
    images, references = ((values * 255).round().to(torch.uint8) for values in pair())
    as_fractions = ssim(images.double() / 255, references.double() / 255)
    np.testing.assert_allclose(ssim(images, references, data_range=255), as_fractions, rtol=1e-9)


def test_ssim_falls_with_noise_and_is_one_for_equals() -> None:
    images, references = pair()
    values = ssim(images, references)
    assert values[0] > values[1] > values[2]
    assert ssim(references, references).tolist() == pytest.approx([1.0] * 3, abs=1e-12)
    torch.testing.assert_close(ssim(references, images), values)


def test_a_wrong_data_range_inflates() -> None:
    """Why the range is an argument: two published evaluations pass 2 for images in [0, 1]."""
    images, references = pair()
    assert (ssim(images, references, data_range=2.0) > ssim(images, references)).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ScoreError, match=r"\(1, 3, 8, 8\).*\(1, 3, 8, 9\)"):
        psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
    with pytest.raises(ScoreError, match=r"\(B, C, H, W\)"):
        ssim(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))
