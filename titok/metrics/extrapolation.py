"""The Frechet distance of infinitely many images (Chong and Forsyth 2020).

A distance of N images is too large by about a constant over N, and the constant depends on the model, so that distances
of different N cannot be compared and even equal N favours some models. A line through distances of random subsets,
drawn over 1/N, meets 1/N = 0 at an estimate without that bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from titok.errors import TitokError


class ExtrapolationError(TitokError, ValueError):
    """Too few images for a line."""


@dataclass(frozen=True)
class Extrapolation:
    """The line through distances over 1/N."""

    value: float
    """At infinite N."""
    slope: float
    """By 1/N: the distance at N is about value + slope / N."""
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def subset_sizes(count: int, dim: int, points: int) -> list[int]:
    """Evenly spaced from a tenth of the images (but more than F, where covariances have full rank) to all of them.

    Raises:
        ExtrapolationError: there are not twice as many images as features.
    """
    smallest = max(count // 10, dim + 1)
    if count < 2 * (dim + 1) or points < 2:
        raise ExtrapolationError(
            f"{count} images of {dim} features in {points} subsets give no line over 1/N; allowed: at least "
            f"{2 * (dim + 1)} images and 2 subsets"
        )
    return sorted({int(size) for size in np.linspace(smallest, count, points)})


def extrapolate(
    distance_of: Callable[[np.ndarray], float], count: int, sizes: Sequence[int], generator: torch.Generator
) -> Extrapolation:
    """Fits the line.

    Args:
        distance_of: sorted places (n,) of some of the images -> the distance of these.
        count: N, how many images there are.
        sizes: how many to draw, each time anew and without repetition.
        generator: of the drawing, on the CPU.
    """
    distances = []
    for size in sizes:
        chosen = torch.randperm(count, generator=generator)[:size].sort().values.numpy()
        distances.append(distance_of(chosen))
    slope, value = np.polyfit(1 / np.asarray(sizes, dtype=np.float64), distances, deg=1)
    return Extrapolation(float(value), float(slope), tuple(sizes), tuple(distances))
