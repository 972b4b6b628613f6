"""What people do to images without meaning to, done on purpose: to see by how much it changes a score.

All act on uint8 batches (B, H, W, 3) whose first image is number ``first`` of its set, and never depend on batches.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from titok.runtime.seed import derive_seed

Alteration = Callable[[np.ndarray, int], np.ndarray]
JPEG_QUALITY = 75
"""Pillow's default."""


def rounded_otherwise(written: Literal["round", "truncate"]) -> Alteration:
    """Pixels as the other rounding to 8 bits would have given them, on average.

    Floats are gone, but a truncated value equals the rounded one or lies 1 below it, each for half of all floats: a
    fair coin per value, thrown by image number.
    """
    step = -1 if written == "round" else 1

    def alter(batch: np.ndarray, first: int) -> np.ndarray:
        coins = [
            np.random.default_rng(derive_seed(0, "rounding", first + place)).integers(0, 2, image.shape, np.int16)
            for place, image in enumerate(batch)
        ]
        return np.clip(batch + step * np.stack(coins), 0, 255).astype(np.uint8)

    return alter


def jpeg(batch: np.ndarray, first: int) -> np.ndarray:
    """Saved as JPEG with Pillow's default quality and read again."""
    return np.stack([_through_jpeg(image) for image in batch])


def swapped_channels(batch: np.ndarray, first: int) -> np.ndarray:
    """Blue, green, red, as OpenCV writes and reads."""
    return np.ascontiguousarray(batch[..., ::-1])


def unaltered(batch: np.ndarray, first: int) -> np.ndarray:
    """The images themselves."""
    return batch


def _through_jpeg(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(stream))
