"""How close two images are pixel by pixel: PSNR and SSIM, per image.

Images are (B, C, H, W) with values in [0, data_range]. ``data_range`` is 1 for images in [0, 1]; giving 2 there, as
some codebases do, adds 6 dB and inflates SSIM.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import log10

PSNR_CEILING = 100.0
"""dB; identical images have an infinite PSNR, which no mean and no JSON file can hold. Two 256 x 256 images that
differ in a single 8-bit step of one channel are at 101 dB."""
ROUNDING = 1e-9
"""A spread below this share of the pixels' squares is the rounding of equal images."""
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03


class PixelSpread:
    """How much of what distinguishes images from their mean image comes back, over a pass through a set of images."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._count = 0
        self._sum, self._squares, self._error = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(3))

    def update(self, images: Tensor, restored: Tensor) -> None:
        """Images and what came back of them, both (B, C, H, W).

        Raises:
            ScoreError: the shapes differ.
        """
        _check(images, restored)
        own = images.double()
        self._count += len(own)
        self._sum = self._sum + own.sum(dim=0)
        self._squares = self._squares + own.square().sum()
        self._error = self._error + (restored.double() - own).square().sum()

    @property
    def explained(self) -> float | None:
        """1 - squared error / squared error of the images' own mean image.

        1 for a perfect copy, 0 for the mean image, which is the best of all constant answers, below 0 for worse than
        that; None if the images are all the same, so that there is nothing to tell apart.
        """
        squares = float(self._squares)
        spread = squares - float(self._sum.square().sum()) / max(self._count, 1)
        return 1 - float(self._error) / spread if spread > ROUNDING * squares else None


def psnr(images: Tensor, references: Tensor, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, (B,) float64; at most ``PSNR_CEILING``.

    Raises:
        ScoreError: the shapes differ.
    """
    _check(images, references)
    error = (images.double() - references.double()).square().flatten(1).mean(dim=1)
    floor = data_range**2 * 10 ** (-PSNR_CEILING / 10)
    return 10 * log10(data_range**2 / error.clamp_min(floor))


def ssim(images: Tensor, references: Tensor, data_range: float = 1.0) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004), (B,) float64, 1 for identical images.

    Gaussian window of 11 x 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, only where the window fits inside the
    image, each channel by itself, then the mean. On images with a side below 11 the window shrinks to the largest odd
    size that fits (sigma stays), so that such images are compared with few or one position; see :func:`ssim_window`.

    Raises:
        ScoreError: the shapes differ.
    """
    _check(images, references)
    height, width = images.shape[2:]
    kernel = _gaussian(ssim_window(height, width)).to(images.device)
    first, second = images.double(), references.double()
    stacked = torch.cat([first, second, first * first, second * second, first * second])
    mean1, mean2, square1, square2, product = _blur(stacked, kernel).unflatten(0, (5, -1))
    variance1, variance2 = square1 - mean1.square(), square2 - mean2.square()
    covariance = product - mean1 * mean2
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    luminance = (2 * mean1 * mean2 + c1) / (mean1.square() + mean2.square() + c1)
    structure = (2 * covariance + c2) / (variance1 + variance2 + c2)
    return (luminance * structure).flatten(1).mean(dim=1)


def ssim_window(height: int, width: int) -> int:
    """Side of the window on images of this size: 11, or the largest odd number that fits."""
    side = min(SSIM_WINDOW, height, width)
    return side if side % 2 else side - 1


def _gaussian(side: int) -> Tensor:
    offsets = torch.arange(side, dtype=torch.float64) - side // 2
    weights = torch.exp(-offsets.square() / (2 * SSIM_SIGMA**2))
    return weights / weights.sum()


def _blur(planes: Tensor, kernel: Tensor) -> Tensor:
    """(..., H, W) by the outer product of the 1D kernel with itself, without padding.

    By matrix products with its bands: convolutions in float64 have no fast path, matrix products do.
    """
    down, across = (_band(kernel, side) for side in planes.shape[-2:])
    return down.T @ planes @ across


def _band(kernel: Tensor, side: int) -> Tensor:
    """(side, side - n + 1): a row vector times this is its convolution with the kernel (n,), without padding."""
    identity = torch.eye(side, dtype=kernel.dtype, device=kernel.device)
    return F.conv1d(identity[:, None], kernel[None, None])[:, 0]


def _check(images: Tensor, references: Tensor) -> None:
    if images.shape != references.shape or images.ndim != 4:
        raise ScoreError(
            f"images have shape {tuple(images.shape)} and references {tuple(references.shape)}; "
            f"both must be the same (B, C, H, W)"
        )
