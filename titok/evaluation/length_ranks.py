"""Whether images that were given more tokens are harder by other measures: file sizes, people's scores."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from titok.data.transforms import to_uint8
from titok.errors import ScoreError
from titok.evaluation.codecs import encoded
from titok.runtime.files import existing_file
from titok.runtime.ranks import rank_correlations

COLUMNS = ("image", "complexity")
"""Of a table of complexity: the image's key in the dataset, and its score; more columns do not matter."""


@dataclass
class JpegSizes:
    """Bytes of each image's own JPEG file, noted while batches go by."""

    quality: int
    sizes: list[int] = field(default_factory=list)

    def passing(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same batches (B, 3, H, W) in [0, 1]."""
        for batch in batches:
            pixels = to_uint8(batch, "round").permute(0, 2, 3, 1).cpu().numpy()
            self.sizes += [encoded(image, "jpeg", self.quality).tell() for image in pixels]
            yield batch


def length_ranks(lengths: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Spearman's correlation of lengths (N,), by tag, with each other measure (N,); images without one (NaN) are left
    out, and correlations that there are none of, as of equal lengths."""
    found = {}
    for name, other in others.items():
        known = np.isfinite(other)
        for tag, given in lengths.items():
            value = float(rank_correlations(given[known][None].astype(float), other[known][None])[0])
            if np.isfinite(value):
                found[f"rank_with_{name}@{tag}"] = value
    return found


def read_complexity(path: Path, keys: Sequence[str]) -> np.ndarray:
    """(N,) scores of the images of these keys, NaN where the table has none.

    Raises:
        ScoreError: a column is missing, a score is no number, an image is there twice, or none of the images is.
    """
    with existing_file(path).open(encoding="utf-8", errors="replace", newline="") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ScoreError(f"{path} has no column {', '.join(missing)}; a table of complexity has {', '.join(COLUMNS)}")
    scores: dict[str, float] = {}
    for number, row in enumerate(rows, start=2):
        if row["image"] in scores:
            raise ScoreError(f"{path}, line {number}: image {row['image']!r} is there twice; leave one of them out")
        try:
            scores[row["image"]] = float(row["complexity"])
        except (ValueError, TypeError):
            raise ScoreError(
                f"{path}, line {number}: complexity is {row['complexity']!r}, which is no number"
            ) from None
    found = np.array([scores.get(key, np.nan) for key in keys])
    if not np.isfinite(found).any():
        raise ScoreError(
            f"{path} has scores of {len(rows)} images and none of the {len(keys)} that are scored, such as "
            f"{keys[0]!r}; column image must hold the dataset's keys"
        )
    return found
