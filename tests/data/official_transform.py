"""The official training transform, put together from the package's parts, one image at a time."""

from __future__ import annotations

import torch
from PIL import Image

from titok.data.transforms import crop_pixels, draw_crop, from_uint8, resized_size


def train_transform(
    image: Image.Image, resize: int, crop: int, generator: torch.Generator, *, random_crop: bool = True
) -> torch.Tensor:
    """An RGB image -> (3, crop, crop) float32 in [0, 1]."""
    width, height = resized_size(*image.size, resize)
    return from_uint8(
        crop_pixels(image, resize, crop, draw_crop(width, height, crop, generator, random_crop=random_crop))
    )
