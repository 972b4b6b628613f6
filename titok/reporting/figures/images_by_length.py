"""The images that a tokenizer gave the fewest tokens and the most, at every length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from titok.errors import ScoreError
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.image_grid import draw_grid, read_pictures
from titok.reporting.style import Drawing
from titok.runtime.files import load_npz

if TYPE_CHECKING:
    from titok.config.figure_settings import ImagesByLength


def images_by_length(wanted: ImagesByLength, picture_file: Path) -> Drawing:
    """Images at every length, those that were given the fewest tokens at the left, the most at the right.

    Args:
        picture_file: npz of `titok score lengths --pictures`.
    """
    images, arrays = read_pictures(picture_file, "images", 5), load_npz(picture_file)
    missing = {"row_labels", "tokens"} - arrays.keys()
    if missing or len(arrays["tokens"]) != images.shape[1]:
        raise ScoreError(
            f"{picture_file} has no {', '.join(sorted(missing)) or 'tokens of each image'}; score lengths again"
        )
    count = images.shape[1] // 2
    taken = min(wanted.num_images // 2, count)
    places = np.r_[:taken, images.shape[1] - taken : images.shape[1]]
    names = [str(name) if place == 0 else f"K = {name}" for place, name in enumerate(arrays["row_labels"])]
    rows = {name: images[row, places] for row, name in enumerate(names)}
    given = arrays["tokens"][places]
    drawing = draw_grid(rows, f"test images and the tokens given to them: {', '.join(map(str, given))}")
    drawing.data["tokens"] = given[drawing.data["column"]]
    return drawing


def _from_files(wanted: ImagesByLength, sources: Sources) -> Drawing:
    return images_by_length(wanted, sources.images[0])


IMAGES_BY_LENGTH = Figure(
    "images_by_length",
    "Images that need few tokens and many",
    "Test images at every length of one tokenizer. At the left those that were given the fewest tokens, at the "
    "right those that were given the most; of equally many, the best and the worst by the criterion.",
    "A grid of images: originals in the first row, below them reconstructions from more and more tokens.",
    _from_files,
)
