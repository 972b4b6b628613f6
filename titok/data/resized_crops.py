"""MAE's augmentation for linear probing: windows of random size and shape, resized, mirrored half of the time.

Its crop draws once, whatever the image, and cuts what is larger than the image down to it, where torchvision's draws up
to ten times (He et al. 2022, `util/crop.py` of the released code).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from PIL import Image

from titok.data.images import Batch, ImageSet
from titok.data.loading import ReadAhead
from titok.data.streamed import Position, StreamedSet, requests_of
from titok.data.transforms import BICUBIC, pixels
from titok.runtime.seed import generator

AREA = (0.08, 1.0)
"""Share of the image's area."""
RATIO = (3 / 4, 4 / 3)
"""Width over height."""


class Box(NamedTuple):
    """A window of an image, in pixels, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    flip: bool


def draw_box(width: int, height: int, draws: torch.Generator) -> Box:
    """Area uniform, shape uniform in its logarithm, place uniform among those inside the image."""
    area, shape, mirror = torch.rand(3, generator=draws, dtype=torch.float64).tolist()
    wanted = width * height * (AREA[0] + (AREA[1] - AREA[0]) * area)
    ratio = math.exp(math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * shape)
    across = min(max(round(math.sqrt(wanted * ratio)), 1), width)
    down = min(max(round(math.sqrt(wanted / ratio)), 1), height)
    top = int(torch.randint(0, height - down + 1, (1,), generator=draws))
    left = int(torch.randint(0, width - across + 1, (1,), generator=draws))
    return Box(top, left, down, across, mirror < 0.5)


class ResizedCrops:
    """Endless batches of such windows, each a function of the step number alone.

    Of the original images where they are streamed, of the resized ones where they are kept in memory. Order as in
    ``titok.data.streamed.StreamedTraining``; windows are drawn from streams of their own.
    """

    def __init__(self, images: ImageSet | StreamedSet, crop: int, batch_size: int, seed: int) -> None:
        reading = _Reading(images, crop, seed)
        requests = functools.partial(requests_of, slice(0, batch_size), batch_size, len(images), seed)
        workers = images.workers if isinstance(images, StreamedSet) else 0
        self._ahead = ReadAhead(reading, requests, workers=workers, name=reading.name)

    def batch(self, step: int) -> Batch:
        """Batch ``step`` (from 0): (B, 3, S, S) uint8 and (B,) int64."""
        return Batch(*self._ahead.at(step))


@dataclass(frozen=True, eq=False)
class _Reading:
    """How one image of a batch is read; it refers to nothing that owns workers."""

    images: ImageSet | StreamedSet
    crop: int
    seed: int

    def __call__(self, request: Position) -> Batch:
        image = self._image(request.sample)
        draws = generator(self.seed, "resized crop", request.step, request.position)
        top, left, height, width, flip = draw_box(*image.size, draws)
        window = image.crop((left, top, left + width, top + height)).resize((self.crop, self.crop), BICUBIC)
        shown = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else window
        return Batch(pixels(shown), self.images.labels[request.sample])

    def _image(self, sample: int) -> Image.Image:
        if isinstance(self.images, StreamedSet):
            return self.images.reader.image(sample)
        return Image.fromarray(self.images.pixels[sample].permute(1, 2, 0).contiguous().numpy())

    def name(self, request: Position) -> str:
        return str(self.images.keys[request.sample])
