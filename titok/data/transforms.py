"""The official image transforms on Pillow images, and the one conversion between floats and 8 bits.

Letters: B batch, H W pixels. Sources: specification 9, and specification 11, pitfall 24. Pixel values follow Pillow's
resampler exactly.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from PIL import Image

from titok.config.data import ResizeRule
from titok.data.pictures import is_strip
from titok.errors import DataError
from titok.runtime.transfers import sent

Rounding = Literal["round", "truncate"]


BICUBIC = Image.Resampling.BICUBIC


class Crop(NamedTuple):
    """What a training transform draws for one image: the window's upper left corner, and whether it is mirrored."""

    top: int
    left: int
    flip: bool


def centre_offset(size: int, crop: int) -> int:
    """First row (or column) of a centred window; halves go to the even neighbour, as the official transform does."""
    if crop > size:
        raise DataError(f"crop is {crop}, larger than the {size} pixels of the image; lower it or resize to more")
    return round((size - crop) / 2)


def resized_size(width: int, height: int, size: int, rule: ResizeRule = "official") -> tuple[int, int]:
    """(width, height) of an image after ``resized``, before its crop."""
    if rule == "adm":
        return size, size
    if rule == "none":
        return max(width, size), max(height, size)
    shorter = min(width, height)
    return int(size * width / shorter), int(size * height / shorter)


def resized(image: Image.Image, size: int, rule: ResizeRule = "official") -> Image.Image:
    """What crops are windows of, for who cuts several of one image: ``crop_pixels`` need not resize it again.

    The whole image with a shorter edge of ``size``, ADM's central square, or the image padded; a strip stays as it is.
    """
    if rule == "adm":
        return adm_centre_crop(image, size)
    if rule == "none":
        return padded(image, size)
    return image if is_strip(*image.size) else resize_shorter_edge(image, size, _RESAMPLING[rule])


def resize_shorter_edge(image: Image.Image, size: int, resampling: Image.Resampling = BICUBIC) -> Image.Image:
    """Resize that gives the shorter edge ``size`` pixels; the longer edge is truncated, not rounded.

    An image of that size already is returned as it is.
    """
    wanted = resized_size(*image.size, size)
    return image if image.size == wanted else image.resize(wanted, resampling)


def centre_of(width: int, height: int, crop: int) -> Crop:
    """The central window, not mirrored."""
    return Crop(centre_offset(height, crop), centre_offset(width, crop), flip=False)


def crop_pixels(
    image: Image.Image, resize: int, crop: int, where: Crop | None = None, rule: ResizeRule = "official"
) -> torch.Tensor:
    """(3, crop, crop) uint8: an RGB image resized to ``resize`` and one window of it.

    ``where`` is in pixels after the resize (``resized_size`` knows how many there are); ``None`` is the centre, not
    mirrored.
    """
    width, height = resized_size(*image.size, resize, rule)
    top, left, flip = where if where is not None else centre_of(width, height, crop)
    if not (0 <= top <= height - crop and 0 <= left <= width - crop):
        raise DataError(
            f"a crop of {crop} pixels at top {top}, left {left} leaves the image, which is {width} x {height} after "
            f"resizing to {resize}"
        )
    if rule == "adm":
        window = _window(adm_centre_crop(image, resize), top, left, crop)
    elif rule == "none":
        window = _window(padded(image, resize), top, left, crop)
    else:
        window = _resized_window(image, (width, height), top, left, crop, _RESAMPLING[rule])
    return pixels(window.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else window)


def draw_crop(
    width: int,
    height: int,
    crop: int,
    generator: torch.Generator,
    *,
    random_crop: bool = True,
    random_flip: bool = True,
) -> Crop:
    """Draws in the official order: top, left, mirror.

    No position is drawn when the image already has the size of the crop, nor for a centred crop (generator training).
    """
    top, left = centre_offset(height, crop), centre_offset(width, crop)
    if random_crop and (width, height) != (crop, crop):
        top = int(torch.randint(0, height - crop + 1, (1,), generator=generator))
        left = int(torch.randint(0, width - crop + 1, (1,), generator=generator))
    flip = random_flip and bool(torch.rand(1, generator=generator) < 0.5)
    return Crop(top, left, flip)


def eval_transform(image: Image.Image, resize: int, crop: int) -> torch.Tensor:
    """Official evaluation transform of an RGB image: (3, crop, crop) float32 in [0, 1]; officially resize = crop."""
    return from_uint8(crop_pixels(image, resize, crop))


def adm_centre_crop(image: Image.Image, size: int) -> Image.Image:
    """ADM's preparation to ``size`` x ``size``: halvings by box averages, bicubic with rounded edges, floored window.

    Used by the pre-tokenisation script and by ADM's reference batches; differs from ``eval_transform``
    by up to a pixel.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    width, height = round(image.width * scale), round(image.height * scale)
    return _resized_window(image, (width, height), (height - size) // 2, (width - size) // 2, size, BICUBIC)


def padded(image: Image.Image, size: int) -> Image.Image:
    """The image with black around it where an edge is shorter than ``size``; odd pixels go to the right and below."""
    width, height = resized_size(*image.size, size, "none")
    if image.size == (width, height):
        return image
    left, top = (width - image.width) // 2, (height - image.height) // 2
    return image.crop((-left, -top, width - left, height - top))


def pixels(image: Image.Image) -> torch.Tensor:
    """(3, H, W) uint8 of an RGB Pillow image."""
    if image.mode != "RGB":
        raise DataError(f"image has mode {image.mode!r}; convert it to 'RGB' first")
    # Band by band: Pillow takes its pixels apart faster than numpy transposes them.
    bands = bytearray().join(band.tobytes() for band in image.split())
    return torch.frombuffer(bands, dtype=torch.uint8).view(3, image.height, image.width)


def to_uint8(images: torch.Tensor, rounding: Rounding) -> torch.Tensor:
    """Floats in [0, 1] as uint8, same shape; values outside are clamped.

    ``round`` is what the official rFID evaluator scores, ``truncate`` what the official sampling script writes
    (specification 10.1 and 10.2). Both give back every k/255 exactly.
    """
    scaled = images.float().clamp(0, 1) * 255
    if rounding == "round":
        scaled = scaled.round()
    elif rounding != "truncate":
        raise DataError(f"rounding is {rounding!r}; allowed: 'round', 'truncate'")
    return scaled.to(torch.uint8)


def from_uint8(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as float32 in [0, 1], same shape."""
    return images.to(torch.float32, copy=True).div_(255)  # in place: fresh memory costs more than the division


def floats_on(images: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Images as float32 in [0, 1] on ``device``; 8-bit ones are moved first, as a quarter of the bytes."""
    moved = sent(images, torch.device(device))
    return from_uint8(moved) if moved.dtype == torch.uint8 else moved


_RESAMPLING: dict[ResizeRule, Image.Resampling] = {"official": BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def _resized_window(
    image: Image.Image, wanted: tuple[int, int], top: int, left: int, size: int, resampling: Image.Resampling
) -> Image.Image:
    """``size`` x ``size`` pixels of the image resized to ``wanted`` (width, height)."""
    if not is_strip(*image.size):
        return _window(image if image.size == wanted else image.resize(wanted, resampling), top, left, size)
    axes = [_source(*axis, size) for axis in zip(image.size, wanted, (left, top), strict=True)]
    (near_x, far_x, left_edge, right_edge), (near_y, far_y, upper_edge, lower_edge) = axes
    # Pillow keeps the edges of a box in single precision: they are counted from pixels close by.
    nearby = image.crop((near_x, near_y, far_x, far_y))
    width, height = nearby.size
    # One axis after the other, in the order in which Pillow resizes the whole image: each rounds to whole grey levels.
    if image.height > image.width and image.height > wanted[1]:
        rows = nearby.resize((width, size), resampling, box=(0, upper_edge, width, lower_edge))
        return rows.resize((size, size), resampling, box=(left_edge, 0, right_edge, size))
    columns = nearby.resize((size, height), resampling, box=(left_edge, 0, right_edge, height))
    return columns.resize((size, size), resampling, box=(0, upper_edge, size, lower_edge))


def _source(pixels: int, wanted: int, first: int, size: int) -> tuple[int, int, float, float]:
    """Along one axis: the pixels from (to) which a window is made, and its edges counted from the first of them."""
    scale = pixels / wanted
    margin = math.ceil(2 * max(scale, 1)) + 1  # a bicubic filter reaches two pixels, of the coarser of both sides
    near = max(math.floor(first * scale) - margin, 0)
    far = min(math.ceil((first + size) * scale) + margin, pixels)
    return near, far, first * scale - near, min((first + size) * scale - near, far - near)


def _window(image: Image.Image, top: int, left: int, size: int) -> Image.Image:
    return image.crop((left, top, left + size, top + size))
