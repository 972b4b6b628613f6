"""What each single image does to a Frechet distance: its influence, from which intervals follow without new passes.

To first order, a distance d between two sets changes with the weight of image i by

    psi_i = grad_mu d . (f_i - mu) + (f_i - mu)^T grad_sigma d (f_i - mu) - tr(grad_sigma d sigma),

with grad_mu = 2 (mu1 - mu2) and grad_sigma = I - T, T the linear map that carries N(0, sigma1) to N(0, sigma2) at the
least cost. Resampling images then means resampling numbers. Unlike distances of resampled images, whose mean lies above
the distance itself (a resampled set has fewer different images), these stay around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from titok.metrics.frechet import Normal
from titok.runtime.elementwise import sqrt


@dataclass(frozen=True)
class FrechetInfluence:
    """The influence of images of one of the two sets."""

    mean: Tensor
    """(F,) of the set."""
    gradient: Tensor
    """(F,) by the mean."""
    transport: Tensor
    """(F, r): times its own transpose the map T."""
    expected: Tensor
    """Scalar: mean of the quadratic form over the set."""

    def __call__(self, features: Tensor) -> Tensor:
        """Features (B, F) of the set's images -> (B,) float64; the mean over the whole set is 0."""
        centred = features.to(self.mean.device, torch.float64) - self.mean
        quadratic = centred.square().sum(dim=1) - (centred @ self.transport).square().sum(dim=1)
        return centred @ self.gradient + quadratic - self.expected


def frechet_influences(first: Normal, second: Normal) -> tuple[FrechetInfluence, FrechetInfluence]:
    """Influences of the images behind either distribution on their distance; both are on one device."""
    left, singular, right = torch.linalg.svd(first.factor.T @ second.factor, full_matrices=False)
    cross, root = singular.sum(), sqrt(singular)
    step = 2 * (first.mean - second.mean)
    return (
        FrechetInfluence(first.mean, step, _whitened(first.factor) @ left * root, first.covariance.trace() - cross),
        FrechetInfluence(
            second.mean, -step, _whitened(second.factor) @ right.T * root, second.covariance.trace() - cross
        ),
    )


def _whitened(factor: Tensor) -> Tensor:
    """V / sqrt(values) from V * sqrt(values): columns of a factor are orthogonal."""
    return factor / factor.square().sum(dim=0)
