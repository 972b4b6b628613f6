"""From what Pillow opens to 8 bits of red, green and blue; the official conversion, but for pictures it would destroy.

The official ``convert("RGB")`` cuts greys of 16 bits off at 255: a photograph becomes a white page. They are scaled.
Where the file does not say what is white (floats, whole numbers of 32 bits), the picture is refused.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from titok.errors import TitokError

_SIXTEEN_BITS = {"I;16", "I;16L", "I;16B", "I;16N"}
_TWELVE_BITS = 4096
_SCALED_BY_PILLOW = {"PNG", "PPM"}
"""Formats whose greys of 16 bits some versions of Pillow hand out as mode "I", white being 65535."""

STRIP = 100
"""Ratio of the edges beyond which an image is never resized as a whole: memory would grow with the ratio, to 1.6 GB for
8000 x 2 pixels. Only what a window needs is resized then, to the same pixels but for a grey level in rare places."""


class PictureError(TitokError, ValueError):
    """A picture whose values have no meaning as colours."""


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image, decoded, as 8-bit RGB; raises ``PictureError`` where its values cannot be read as colours.

    Greys of 16 bits are scaled, white to white; everything else is Pillow's conversion, EXIF orientation ignored.
    """
    if image.mode == "RGB":
        image.load()  # Most are RGB: spares them a copy.
        return image
    if _is_grey_of_16_bits(image):
        return Image.fromarray(_scaled(np.asarray(image))).convert("RGB")
    if image.mode in ("I", "F"):
        kind = "floating-point numbers" if image.mode == "F" else "whole numbers of 32 bits"
        lowest, highest = image.getextrema()
        raise PictureError(
            f"its pixels are {kind} (from {lowest:g} to {highest:g}), which do not say what is black and white; "
            f"convert it to 8 bits a channel"
        )
    return image.convert("RGB")


def is_strip(width: int, height: int) -> bool:
    """Whether an image is so thin that resizing the whole of it would be a waste, or more than memory holds."""
    return max(width, height) > STRIP * min(width, height)


def is_deep(image: Image.Image) -> bool:
    """Whether an opened image, not yet decoded, has more than 8 bits a channel; PNGs in colour lose the lower ones."""
    tiles = getattr(image, "tile", [])
    return image.mode in _SIXTEEN_BITS | {"I", "F"} or any(";16" in str(tile[3]) for tile in tiles)


def narrow_range(image: Image.Image) -> tuple[int, int] | None:
    """The darkest and brightest value of a picture of 16 bits a channel that uses the lower 12 alone; else None.

    Cameras and scanners of 10 or 12 bits store such files. White being 65535, they are nearly black: nobody can tell
    them from pictures of the night, so they are told and not brightened. Of colours Pillow keeps the upper 8 bits.
    """
    if _is_grey_of_16_bits(image):
        greys = np.asarray(image)
        lowest, highest = int(greys.min()), int(greys.max())
    elif image.mode in ("I", "F") or not is_deep(image):
        return None
    else:
        channels = np.asarray(image)[..., : len(image.getbands()) - ("A" in image.getbands())]  # not how clear it is
        lowest, highest = 256 * int(channels.min()), 256 * int(channels.max()) + 255
    return (lowest, highest) if highest < _TWELVE_BITS else None


def _is_grey_of_16_bits(image: Image.Image) -> bool:
    return image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format in _SCALED_BY_PILLOW)


def _scaled(greys: np.ndarray) -> np.ndarray:
    """(H, W) of 0..65535 to uint8, rounded: 257 of them make one of ours."""
    return ((greys.astype(np.uint32) + 128) // 257).astype(np.uint8)
