"""Two ways from the bytes of a sample to a window of its pixels.

Pillow is the official way and the only one for anything that is measured. torchvision decodes and resizes faster, with
pixels that may differ by a little; ``titok.data.parity`` says by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from titok.config.data import ResizeRule
from titok.config.training import Decoder
from titok.data.pictures import is_strip
from titok.data.shards import ShardReader
from titok.data.transforms import Crop, crop_pixels, resized_size
from titok.errors import MachineError

Window = Callable[[ShardReader, int, int, int, Crop, ResizeRule], torch.Tensor]
"""(reader, sample, resize, crop S, where, rule) to (3, S, S) uint8."""


def pillow_window(
    reader: ShardReader, index: int, resize: int, crop: int, where: Crop, rule: ResizeRule
) -> torch.Tensor:
    """By Pillow, exactly as the official code does it."""
    return crop_pixels(reader.image(index), resize, crop, where, rule)


def torchvision_window(
    reader: ShardReader, index: int, resize: int, crop: int, where: Crop, rule: ResizeRule
) -> torch.Tensor:
    """By torchvision's own decoders and torch's resize of 8-bit images; for training only."""
    from torchvision.io import ImageReadMode, decode_image

    if rule != "official":
        raise MachineError(f"resize_rule is {rule!r}; decoder 'torchvision' knows 'official' only, use 'pillow'")
    if is_strip(*reader.size(index)):  # which torch could only resize as a whole
        return pillow_window(reader, index, resize, crop, where, rule)
    data = torch.from_numpy(np.frombuffer(reader.read(index), dtype=np.uint8).copy())
    image = decode_image(data, ImageReadMode.RGB)
    width, height = resized_size(image.shape[2], image.shape[1], resize)
    if (height, width) != tuple(image.shape[1:]):
        image = torch.nn.functional.interpolate(image[None], (height, width), mode="bicubic", antialias=True)[0]
    image = image[:, where.top : where.top + crop, where.left : where.left + crop]
    return image.flip(-1) if where.flip else image


WINDOWS: Mapping[Decoder, Window] = {"pillow": pillow_window, "torchvision": torchvision_window}
