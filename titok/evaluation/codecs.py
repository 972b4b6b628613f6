"""JPEG and WebP as tokenizers: what ordinary codecs make of images at a given quality, and in how many bits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from titok.config.rows import Codec
from titok.data.transforms import from_uint8, to_uint8
from titok.models.image_tokenizer import Reconstruction

_OPTIONS: dict[Codec, dict[str, Any]] = {
    # 4:2:0 is what most JPEG files use; optimised Huffman tables are free for the reader.
    "jpeg": {"format": "JPEG", "subsampling": "4:2:0", "optimize": True},
    "webp": {"format": "WEBP", "method": 6},
}


class CodecRoundTrip:
    """Images through a codec and back; counts the bytes of whole files, headers included."""

    def __init__(self, codec: Codec, quality: int) -> None:
        self.codec = codec
        self.quality = quality
        self._bytes = 0
        self._images = 0

    def __call__(self, images: Tensor) -> Reconstruction:
        """Images (B, 3, H, W) in [0, 1] as the codec gives them back; there are no ids."""
        pixels = to_uint8(images, "round").permute(0, 2, 3, 1).cpu().numpy()
        restored = torch.from_numpy(np.stack([self._through(image) for image in pixels]))
        return Reconstruction(from_uint8(restored.permute(0, 3, 1, 2)).to(images.device))

    @property
    def bits_per_image(self) -> float:
        """Mean over the images so far."""
        return 8 * self._bytes / max(self._images, 1)

    def _through(self, image: np.ndarray) -> np.ndarray:
        buffer = encoded(image, self.codec, self.quality)
        self._bytes += buffer.tell()
        self._images += 1
        return np.asarray(Image.open(buffer).convert("RGB"))


def encoded(image: np.ndarray, codec: Codec, quality: int) -> io.BytesIO:
    """The whole file of an image (H, W, 3) uint8, at its end."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, quality=quality, **_OPTIONS[codec])
    return buffer
