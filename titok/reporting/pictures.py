"""Pictures of pictures: reconstructions under their originals, and samples in one row per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from titok.errors import ScoreError
from titok.reporting.style import Drawing, figure_style, new_axes, save
from titok.runtime.files import load_npz
from titok.runtime.npz_rows import read_rows, read_shape

if TYPE_CHECKING:
    from titok.config.reporting import Reconstructions, Samples

GAP = 2
"""Pixels between two images, after enlarging."""

ORIGINALS = "original"


def make_reconstructions(
    wanted: Reconstructions, example_files: Sequence[str | Path], prefix: str | Path, dpi: float = 160
) -> list[Path]:
    """Draws originals above the reconstructions of each row's tokenizer; writes ``.svg``, ``.png`` and ``.csv``.

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
    drawing = draw_grid(shown, "test images, each above its reconstructions")
    return save(drawing, prefix, dpi)


def make_samples(wanted: Samples, sample_file: str | Path, prefix: str | Path, dpi: float = 160) -> list[Path]:
    """Draws the first samples of every class, one row per class; writes ``.svg``, ``.png`` and ``.csv``.

    Args:
        sample_file: npz with `arr_0` uint8 (N, H, W, 3) and `labels` (N,), in the order of the sample index.
    """
    labels = load_npz(sample_file, skip=("arr_0",))["labels"]
    shape, dtype = read_shape(sample_file, "arr_0")
    _check(sample_file, "arr_0", shape, dtype, 4)
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
    return save(draw_grid(rows, "samples, first ones of each class"), prefix, dpi)


def read_pictures(path: str | Path, name: str, dimensions: int) -> np.ndarray:
    """Images of an npz as uint8 of so many dimensions; raises `ScoreError` for another content."""
    arrays = load_npz(path)
    if name not in arrays:
        raise ScoreError(f"{path}: holds {', '.join(sorted(arrays))}, but no {name}; make the file again")
    _check(path, name, arrays[name].shape, arrays[name].dtype, dimensions)
    return arrays[name]


def _check(path: str | Path, name: str, shape: tuple[int, ...], dtype: np.dtype, dimensions: int) -> None:
    if dtype != np.uint8 or len(shape) != dimensions or shape[-1] != 3:
        raise ScoreError(
            f"{path}: {name} is {dtype} of shape {shape}; expected uint8 with {dimensions} dimensions, the last one of "
            f"3 colours"
        )


def draw_grid(rows: Mapping[str, np.ndarray], columns_are: str) -> Drawing:
    """Rows of images under each other with their labels at the left, enlarged without smoothing.

    Args:
        rows: label -> uint8 (N, H, W, 3), every row with the same N, H and W.
    """
    canvas, pitch = tile(list(rows.values()))
    count = next(iter(rows.values())).shape[0]
    width = min(9.0, 1.3 + 0.62 * count)
    with figure_style():
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
