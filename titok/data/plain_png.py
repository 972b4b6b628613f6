"""Pixels that came in no image format, as PNG files."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def plain_png(pixels: np.ndarray) -> bytes:
    """An uncompressed PNG of (H, W) grey or (H, W, 3) RGB uint8: its bytes, and so the fingerprint of a dataset, do not
    depend on the version of zlib."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=0)
    return stream.getvalue()
