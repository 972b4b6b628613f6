"""Windows of random size and shape, resized, mirrored half of the time: MAE's for linear probing, and torchvision's.

MAE's crop draws once, whatever the image, and cuts what is larger than the image down to it, where torchvision's draws
up to ten times (He et al. 2022, `util/crop.py` of the released code).
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
from titok.data.order import rank_slice
from titok.data.streamed import Position, StreamedSet, requests_of
from titok.data.transforms import BICUBIC, pixels
from titok.runtime.seed import generator

AREA = (0.08, 1.0)
"""MAE's share of the image's area."""
RATIO = (3 / 4, 4 / 3)
"""Width over height."""
TRIES = 10
"""Of torchvision's."""


class Windows(NamedTuple):
    """Which windows of images are drawn."""

    area: tuple[float, float] = AREA
    """Smallest and largest share of the image's area."""
    tries: int = 0
    """Draws until a window lies inside the image, then its centre is taken; 0: the first is cut down to the image."""
    filter: Image.Resampling = BICUBIC
    flips: bool = True


MAES = Windows()


def torchvisions(area: tuple[float, float], *, flips: bool) -> Windows:
    """As its RandomResizedCrop by default, with another share of the area."""
    return Windows(area, TRIES, Image.Resampling.BILINEAR, flips)


class Box(NamedTuple):
    """A window of an image, in pixels, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    flip: bool


def draw_box(width: int, height: int, draws: torch.Generator, windows: Windows = MAES) -> Box:
    """Area uniform, shape uniform in its logarithm, place uniform among those inside the image."""
    for _ in range(max(windows.tries, 1)):
        area, shape, mirror = torch.rand(3, generator=draws, dtype=torch.float64).tolist()
        wanted = width * height * (windows.area[0] + (windows.area[1] - windows.area[0]) * area)
        ratio = math.exp(math.log(RATIO[0]) + (math.log(RATIO[1]) - math.log(RATIO[0])) * shape)
        across, down = (max(round(math.sqrt(side)), 1) for side in (wanted * ratio, wanted / ratio))
        flip = windows.flips and mirror < 0.5
        if windows.tries == 0:
            across, down = min(across, width), min(down, height)
        if across <= width and down <= height:
            top = int(torch.randint(0, height - down + 1, (1,), generator=draws))
            left = int(torch.randint(0, width - across + 1, (1,), generator=draws))
            return Box(top, left, down, across, flip)
    # Narrow images: as much of the centre as has an allowed shape.
    across, down = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    return Box((height - down) // 2, (width - across) // 2, down, across, flip)


class ResizedCrops:
    """Endless batches of such windows, each a function of the step number alone.

    Of the original images where they are streamed, of the resized ones where they are kept in memory. Order,
    ``batch_size``, ``rank`` and ``world_size`` as in ``titok.data.streamed.StreamedTraining``; windows are drawn from
    streams of their own.
    """

    def __init__(
        self,
        images: ImageSet | StreamedSet,
        crop: int,
        batch_size: int,
        seed: int,
        windows: Windows = MAES,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        reading = _Reading(images, crop, seed, windows)
        share = rank_slice(batch_size, rank, world_size)
        requests = functools.partial(requests_of, share, batch_size, len(images), seed)
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
    windows: Windows

    def __call__(self, request: Position) -> Batch:
        image = self._image(request.sample)
        draws = generator(self.seed, "resized crop", request.step, request.position)
        top, left, height, width, flip = draw_box(*image.size, draws, self.windows)
        window = image.crop((left, top, left + width, top + height)).resize((self.crop, self.crop), self.windows.filter)
        shown = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else window
        return Batch(pixels(shown), self.images.labels[request.sample])

    def _image(self, sample: int) -> Image.Image:
        if isinstance(self.images, StreamedSet):
            return self.images.reader.image(sample)
        return Image.fromarray(self.images.pixels[sample].permute(1, 2, 0).contiguous().numpy())

    def name(self, request: Position) -> str:
        return str(self.images.keys[request.sample])
