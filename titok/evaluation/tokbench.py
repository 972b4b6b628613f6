"""Pictures of any shape through a tokenizer of square ones, as TokBench's scripts expect them back.

The facts are those of its repository at 855802d (arXiv 2505.18142): a picture is scaled by Lanczos to fit a black
square of R pixels, its sides rounded up, its place in the middle rounded down; what comes back is cut out and scaled to
the picture's own size, by Lanczos again, and saved under the picture's own name, by Pillow's settings for its format.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from titok.errors import ScoreError

SETS = ("text_data", "face_data")
"""Folders below TokBench's `images`, each with a folder for every data set."""


class Placed(NamedTuple):
    """A picture in its square."""

    square: np.ndarray
    """(R, R, 3) uint8."""
    box: tuple[int, int, int, int]
    """Where it is: left, top, right, bottom."""
    size: tuple[int, int]
    """Its own width and height."""


def placed(picture: Image.Image, side: int) -> Placed:
    """An RGB picture in the middle of a black square of ``side`` pixels."""
    ratio = min(side / picture.width, side / picture.height)
    # Products such as 3 * (256 / 3) may lie a little above the side itself.
    width, height = (min(math.ceil(edge * ratio), side) for edge in picture.size)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side))
    square.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, top))
    return Placed(np.asarray(square), (left, top, left + width, top + height), picture.size)


def taken_out(square: np.ndarray, where: Placed) -> Image.Image:
    """What became of the picture, in its own size."""
    return Image.fromarray(square).crop(where.box).resize(where.size, Image.Resampling.LANCZOS)


def data_sets(images: Path, output: Path, side: int) -> dict[Path, Path]:
    """Folders of pictures, and where TokBench looks for what became of them: `text_data/ic13_256`.

    Raises:
        ScoreError: there are none.
    """
    found = [folder for part in SETS if (images / part).is_dir() for folder in sorted((images / part).iterdir())]
    sets = {folder: output / folder.parent.name / f"{folder.name}_{side}" for folder in found if folder.is_dir()}
    if not sets:
        raise ScoreError(
            f"{images} has no data sets in {' or '.join(SETS)}; give the folder `images` of TokBench's data"
        )
    return sets
