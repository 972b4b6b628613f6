"""Monge Inception Distance (MIND, arXiv 2605.06797): how far samples must be moved to lie where real images do.

Features are looked at from many directions. Along one, the cheapest way to move a set to another is to keep the order,
so that the squared differences of the sorted values are the cost; their mean, times 3 F, is the distance. It needs no
covariance, and so far fewer images than a Frechet distance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import sqrt

DIRECTIONS_AT_ONCE = 64
"""Directions whose values are sorted together: 2 x 26 MB for 50,000 images."""


def monge_inception_distance(samples: Tensor, references: Tensor, directions: int = 1000, seed: int = 2020) -> float:
    """MIND in float64; what is drawn is drawn as torch-fidelity draws it, so that equal features give its number.

    Args:
        samples: features (N, F).
        references: features (M, F) of real images; of the larger set min(N, M) are drawn.
        directions: how many; 1000 is the authors' number.
        seed: of the drawing; 2020 is torch-fidelity's.

    Raises:
        ScoreError: the features disagree in F, a set is empty, or a value is not finite.
    """
    for name, features in (("samples", samples), ("references", references)):
        if features.ndim != 2 or features.shape[1] != references.shape[1] or len(features) == 0:
            raise ScoreError(
                f"{name} have shape {tuple(features.shape)}; allowed: (N, {references.shape[-1]}), N at least 1"
            )
    draws = torch.Generator("cpu").manual_seed(seed)
    size = min(len(samples), len(references))
    first, second = (_drawn(features, size, draws).to(samples.device) for features in (samples, references))
    costs = moving_costs(first, second, unit_directions(directions, samples.shape[1], draws).to(samples.device))
    distance = 3 * samples.shape[1] * float(costs.mean())
    if not math.isfinite(distance):
        raise ScoreError("some features are NaN or infinite; look for such pixels in the images")
    return distance


def moving_costs(first: Tensor, second: Tensor, directions: Tensor) -> Tensor:
    """(D,) float64 mean squared difference of two sets (n, F), sorted along each of the directions (D, F)."""
    first, second = first.double(), second.double()
    return torch.cat(
        [
            (_sorted_along(some, first) - _sorted_along(some, second)).square_().mean(dim=1)
            for some in directions.double().split(DIRECTIONS_AT_ONCE)
        ]
    )


def unit_directions(count: int, dim: int, draws: torch.Generator) -> Tensor:
    """(D, F) float64 rows of length 1, drawn on the CPU in float32."""
    drawn = torch.randn(count, dim, generator=draws).double()
    return drawn / sqrt(drawn.square().sum(dim=1, keepdim=True)).clamp_min(1e-12)


def _drawn(features: Tensor, size: int, draws: torch.Generator) -> Tensor:
    """As many rows as asked for; nothing is drawn where these are all."""
    if len(features) == size:
        return features
    return features[torch.randperm(len(features), generator=draws)[:size].to(features.device)]


def _sorted_along(directions: Tensor, points: Tensor) -> Tensor:
    return (directions @ points.T).sort(dim=1).values
