"""Test images in the first row; below, the same images through each tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from titok.errors import ScoreError
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.image_grid import draw_grid, read_pictures
from titok.reporting.style import Drawing

if TYPE_CHECKING:
    from titok.config.figure_settings import Reconstructions

ORIGINALS = "original"


def _draw(wanted: Reconstructions, sources: Sources) -> Drawing:
    return reconstructions(wanted, sources.images)


def reconstructions(wanted: Reconstructions, example_files: Sequence[Path]) -> Drawing:
    """Originals above the reconstructions of each row's tokenizer.

    Args:
        example_files: one npz per row of `wanted`, in that order, with `images` uint8 (R, N, H, W, 3) and
            `row_labels` (R,): the originals in the first row, the reconstructions in the last.
    """
    if len(example_files) != len(wanted.rows):
        raise ScoreError(
            f"{len(wanted.rows)} rows of reconstructions are wanted, {len(example_files)} files were given"
        )
    rows: dict[str, np.ndarray] = {}
    for row, path in zip(wanted.rows, example_files, strict=True):
        images = read_pictures(path, "images", 5)
        rows.setdefault(ORIGINALS, images[0])
        if (
            images.shape[1:] != (len(rows[ORIGINALS]), *rows[ORIGINALS].shape[1:])
            or (images[0] != rows[ORIGINALS]).any()
        ):
            raise ScoreError(
                f"{path}: its originals are not those of {example_files[0]}; make both from the same test images"
            )
        rows[row.label] = images[-1]
    shown = {label: images[: wanted.num_images] for label, images in rows.items()}
    return draw_grid(shown, "test images, each above its reconstructions")


RECONSTRUCTIONS = Figure(
    "reconstructions",
    "Reconstructions",
    "Test images in the first row; below, the same images through each tokenizer.",
    "A grid of images: originals in the first row, reconstructions by each tokenizer below.",
    _draw,
    leads=True,
)
