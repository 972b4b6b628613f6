"""The first samples of every class, in the order they were drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from titok.errors import ScoreError
from titok.reporting.figures.figure import Figure, Sources
from titok.reporting.figures.image_grid import draw_grid, require_images
from titok.reporting.style import Drawing
from titok.runtime.files import load_npz
from titok.runtime.npz_rows import read_rows, read_shape

if TYPE_CHECKING:
    from titok.config.figure_settings import Samples


def _draw(wanted: Samples, sources: Sources) -> Drawing:
    return samples(wanted, sources.images[0])


def samples(wanted: Samples, sample_file: Path) -> Drawing:
    """The first samples of every class, one row per class.

    Args:
        sample_file: npz with `arr_0` uint8 (N, H, W, 3) and `labels` (N,), in the order of the sample index.
    """
    labels = load_npz(sample_file, skip=("arr_0",))["labels"]
    shape, dtype = read_shape(sample_file, "arr_0")
    require_images(sample_file, "arr_0", shape, dtype, 4)
    names = wanted.classes or {int(label): f"class {label}" for label in np.unique(labels)}
    rows = {}
    for label, name in names.items():
        places = np.flatnonzero(labels == label)[: wanted.per_class]
        if len(places) < wanted.per_class:
            raise ScoreError(
                f"{sample_file}: class {label} has {len(places)} samples, {wanted.per_class} are wanted; "
                f"draw more samples or lower per_class"
            )
        rows[name] = read_rows(sample_file, "arr_0", places.tolist())
    return draw_grid(rows, "samples, first ones of each class")


SAMPLES = Figure(
    "samples",
    "Samples",
    "The first samples of every class in the order they were drawn; none were picked.",
    "A grid of generated images, one row per class.",
    _draw,
    leads=True,
)
