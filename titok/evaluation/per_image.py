"""Reconstruction scores image by image, as a table that everything reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.files import existing_file, write_text


class PerImage(Protocol):
    """What one pass found of each image."""

    @property
    def num_images(self) -> int:
        """N."""

    @property
    def per_image(self) -> Mapping[str, np.ndarray]:
        """(N,) of each column."""

    @property
    def tokens(self) -> np.ndarray | None:
        """(N, K) of all images, where they are known."""


class PerImageTable(NamedTuple):
    """A file of `write_per_image`, without its tokens."""

    keys: list[str]
    columns: dict[str, np.ndarray]
    """(N,) float64."""


def write_per_image(path: Path, scores: PerImage, keys: np.ndarray | Sequence[str], labels: Tensor) -> None:
    """Writes one row per image, in the order of the dataset.

    Columns: ``image`` (its number from 0), ``key`` and ``label`` as in the dataset, then each metric that is a mean
    over images under its name in the score record, so that a column's mean is the record's number; ``tokens`` last, ids
    with spaces between them, nothing where latents are continuous or a codec has none. Numbers are not rounded.

    Args:
        path: the file (.csv), replaced as a whole.
        scores: of one pass, with its tokens.
        keys: (N,) names of the images.
        labels: (N,) their classes.

    Raises:
        ScoreError: keys or labels are of another number of images.
    """
    if not len(keys) == len(labels) == scores.num_images:
        raise ScoreError(
            f"{path}: {scores.num_images} images were scored, but {len(keys)} keys and {len(labels)} labels came with "
            f"them; give one of each per image"
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "key", "label", *scores.per_image, "tokens"])
    columns = [values.tolist() for values in scores.per_image.values()]
    tokens = [""] * scores.num_images if scores.tokens is None else [" ".join(map(str, row)) for row in scores.tokens]
    writer.writerows(zip(range(scores.num_images), map(str, keys), labels.tolist(), *columns, tokens, strict=True))
    write_text(path, text.getvalue())


def read_per_image(path: Path) -> PerImageTable:
    """Reads such a file; raises `ScoreError` for another content."""
    with existing_file(path).open(encoding="utf-8", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        names = [name for name in rows[0] if name not in ("image", "key", "label", "tokens")]
        columns = {name: np.array([float(row[name]) for row in rows]) for name in names}
        return PerImageTable([row["key"] for row in rows], columns)
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise ScoreError(f"{path} is no file of scores image by image ({error!r}); score again") from error
