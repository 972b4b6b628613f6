"""The Frechet distance of infinitely many images (Chong and Forsyth 2020).

A distance of N images is too large by about a constant over N, and the constant depends on the model, so that distances
of different N cannot be compared and even equal N favours some models. A line through distances of random subsets,
drawn over 1/N, meets 1/N = 0 at an estimate without that bias.

The line is straight only where covariances are well known: of subsets of about as many images as features it bends,
and its end lies below the truth by more than the truth itself (measured in its test). So the smallest
subset has five images per feature, and there are twice as many images at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from titok.errors import TitokError

PER_FEATURE = 5
"""Images per feature in the smallest subset."""


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
    shares: np.ndarray
    """(N,) float64, of sum 1: by how much each image's contribution to a distance counts in the value. All 1/N would
    be the mean over all images; drawing subsets spreads them, which is the line's own error."""

    def contributions(self, of_distance: Tensor) -> Tensor:
        """(N,): each image's contribution to the distance of all images -> those to the value at infinite N."""
        return of_distance * torch.from_numpy(self.shares * len(self.shares)).to(of_distance)

    def error(self, of_distance: Tensor) -> float:
        """Standard error of the value: what other images and other subsets would change, to first order."""
        return math.sqrt(float(self.contributions(of_distance).square().sum())) / len(self.shares)


def subset_sizes(count: int, dim: int, points: int) -> list[int]:
    """Evenly spaced from a tenth of the images (but `PER_FEATURE` F at least) to all of them.

    Raises:
        ExtrapolationError: there are fewer than twice as many images as the smallest subset has.
    """
    smallest = max(count // 10, PER_FEATURE * dim)
    if count < 2 * smallest or points < 2:
        raise ExtrapolationError(
            f"{count} images of {dim} features in {points} subsets give no line over 1/N; allowed: at least "
            f"{2 * smallest} images and 2 subsets"
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
    distances, shares = [], np.zeros(count)
    inverse = 1 / np.asarray(sizes, dtype=np.float64)
    for size, weight in zip(sizes, _weights_at_zero(inverse), strict=True):
        chosen = torch.randperm(count, generator=generator)[:size].sort().values.numpy()
        distances.append(distance_of(chosen))
        shares[chosen] += weight / size
    slope, value = np.polyfit(inverse, distances, deg=1)
    return Extrapolation(float(value), float(slope), tuple(sizes), tuple(distances), shares)


def _weights_at_zero(places: np.ndarray) -> np.ndarray:
    """(M,): what each value at one of the places (M,) counts in the fitted line's value at 0."""
    centred = places - places.mean()
    return 1 / len(places) - places.mean() * centred / np.square(centred).sum()
