"""Rows of images under each other, as figures show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from titok.errors import ScoreError
from titok.reporting.style import Drawing, new_axes
from titok.runtime.files import load_npz

GAP = 2
"""Pixels between two images, after enlarging."""


def require_images(path: str | Path, name: str, shape: tuple[int, ...], dtype: np.dtype, dimensions: int) -> None:
    """Raises ``ScoreError`` for an array of a file that is not uint8 with 3 colours at its end."""
    if dtype != np.uint8 or len(shape) != dimensions or shape[-1] != 3:
        raise ScoreError(
            f"{path}: {name} is {dtype} of shape {shape}; expected uint8 with {dimensions} dimensions, the last one of "
            f"3 colours"
        )


def read_pictures(path: Path, name: str, dimensions: int) -> np.ndarray:
    """Images of an npz as uint8 of so many dimensions; raises `ScoreError` for another content."""
    arrays = load_npz(path)
    if name not in arrays:
        raise ScoreError(f"{path}: holds {', '.join(sorted(arrays))}, but no {name}; make the file again")
    require_images(path, name, arrays[name].shape, arrays[name].dtype, dimensions)
    return arrays[name]


def draw_grid(rows: Mapping[str, np.ndarray], columns_are: str) -> Drawing:
    """Rows of images under each other with their labels at the left, enlarged without smoothing.

    Args:
        rows: label -> uint8 (N, H, W, 3), every row with the same N, H and W.
    """
    canvas, pitch = tile(list(rows.values()))
    count = next(iter(rows.values())).shape[0]
    width = min(9.0, 1.3 + 0.62 * count)
    figure, (axes,) = new_axes(1, width, 0.35 + (width - 1.3) * canvas.shape[0] / canvas.shape[1])
    # Labels keep away from the edge: as SVG they are text, which a reader's own font may make wider.
    figure.set_layout_engine("constrained", w_pad=0.15)
    axes.imshow(canvas, interpolation="nearest", aspect="equal")
    axes.set_yticks([(index + 0.5) * pitch for index in range(len(rows))], list(rows))
    axes.set_xticks([])
    axes.set_xlabel(columns_are)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    index = [(row, label, column) for row, label in enumerate(rows) for column in range(count)]
    return Drawing(figure, pd.DataFrame(index, columns=["row", "label", "column"]))


def tile(rows: Sequence[np.ndarray], smallest_side: int = 48) -> tuple[np.ndarray, int]:
    """Rows of images as one white-spaced uint8 image (H', W', 3), and the pixels from one image to the next.

    Small images are enlarged by a whole factor to at least `smallest_side` pixels, by repeating pixels.
    """
    images = np.stack(rows)  # (R, N, H, W, 3)
    side = images.shape[2]
    factor = max(1, -(-smallest_side // side))
    large = images.repeat(factor, axis=2).repeat(factor, axis=3)
    spaced = np.pad(large, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
    num_rows, count, height, width, colours = spaced.shape
    return spaced.transpose(0, 2, 1, 3, 4).reshape(num_rows * height, count * width, colours), height
