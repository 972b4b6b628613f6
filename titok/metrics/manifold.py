"""Manifolds of features: unions of balls around points, each reaching to its point's k-th nearest neighbour.

Precision, recall, density and coverage ask which points lie in which balls. Distances come in tiles, so that memory
does not grow with the square of the number of points, and from an arithmetic, which decides close calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import squared_distances

BLOCK_ROWS = 1024
"""Rows of the distance matrix held at once; memory is this times the number of points, never N x N."""

ROUNDING = 1e-12
"""Of the squares that a squared distance is the difference of: what rounding may add to it or take away. Distances that
close are equal: copies of a feature are at distance 0, and two pairs of the same two features equally far."""


class Tile(NamedTuple):
    """Squared distances of some rows to some columns."""

    rows: slice
    columns: slice
    distances: Tensor
    """(rows, columns)"""


class Arithmetic(Protocol):
    """How distances are computed and compared."""

    def prepare(self, references: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Both sets, (M, F) and (N, F), as ``tiles`` wants them."""
        ...

    def tiles(self, rows: Tensor, columns: Tensor) -> Iterator[Tile]:
        """All squared distances of rows to columns, each once."""
        ...

    def slack(self, points: Tensor, radii: Tensor) -> Tensor:
        """(N,) how far apart a distance to a point and its radius (N,), both squared, may be and still be equal."""
        ...


class Exact:
    """Float64 to the last digits: ties are ties, whatever the order of sums.

    Args:
        block_rows: distances are computed this many rows at a time; changes memory, not the result.
    """

    def __init__(self, block_rows: int = BLOCK_ROWS) -> None:
        self.block_rows = block_rows

    def prepare(self, references: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """In float64 and around the references' mean: distances stay, and their rounding errors are smallest there."""
        origin = references.double().mean(dim=0)
        return references.double() - origin, samples.double() - origin

    def tiles(self, rows: Tensor, columns: Tensor) -> Iterator[Tile]:
        """Blocks of rows to all columns."""
        for start in range(0, len(rows), self.block_rows):
            block = rows[start : start + self.block_rows]
            found = squared_distances(block, columns)
            yield Tile(slice(start, start + len(block)), slice(0, len(columns)), found)

    def slack(self, points: Tensor, radii: Tensor) -> Tensor:
        """Who is at the radius is at most |point| + radius from the origin, so that the two squares bound all."""
        return ROUNDING * (points.square().sum(dim=1) + radii)


def require_manifolds(references: Tensor, samples: Tensor, neighbours: int) -> None:
    """Refuses sets that span none.

    Raises:
        ScoreError: the features disagree in F, a set has no more than k points, or a value is not finite.
    """
    for name, features in (("references", references), ("samples", samples)):
        if features.ndim != 2 or features.shape[1] != references.shape[1]:
            raise ScoreError(f"{name} have shape {tuple(features.shape)}; allowed: (N, {references.shape[-1]})")
        if len(features) <= neighbours:
            raise ScoreError(f"{name} are {len(features)}, but {neighbours} neighbours need at least {neighbours + 1}")
        if not torch.isfinite(features).all():
            raise ScoreError(f"some features of the {name} are NaN or infinite")


def squared_radii(points: Tensor, neighbours: int, arithmetic: Arithmetic) -> Tensor:
    """(N,) float64 squared distance of each prepared point to its k-th nearest other point."""
    # The nearest point of all is the point itself, hence k + 1.
    nearest = torch.full((len(points), neighbours + 1), torch.inf, dtype=torch.float64, device=points.device)
    for tile in arithmetic.tiles(points, points):
        found = _smallest(tile.distances, neighbours + 1).double()
        nearest[tile.rows] = _smallest(torch.cat([nearest[tile.rows], found], dim=1), neighbours + 1)
    return nearest.amax(dim=1)


def _smallest(distances: Tensor, wanted: int) -> Tensor:
    return distances.topk(min(wanted, distances.shape[1]), dim=1, largest=False, sorted=False).values
