"""What each single image does to a Frechet distance: its influence, from which intervals follow without new passes.

To first order, a distance d between two sets changes with the weight of image i by

    psi_i = grad_mu d . (f_i - mu) + (f_i - mu)^T grad_sigma d (f_i - mu) - tr(grad_sigma d sigma),

with grad_mu = 2 (mu1 - mu2) and grad_sigma = I - T, T the linear map that carries N(0, sigma1) to N(0, sigma2) at the
least cost. Resampling images then means resampling numbers. Unlike distances of resampled images, whose mean lies above
the distance itself (a resampled set has fewer different images), these stay around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from titok.metrics.frechet import checked_moments, factor


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


def frechet_influences(
    mu1: Tensor | np.ndarray, sigma1: Tensor | np.ndarray, mu2: Tensor | np.ndarray, sigma2: Tensor | np.ndarray
) -> tuple[FrechetInfluence, FrechetInfluence]:
    """Influences of the images behind the first and behind the second moments on their distance.

    Args:
        mu1, mu2: means (F,).
        sigma1, sigma2: covariances (F, F).

    Raises:
        FrechetError: the moments are not finite, or a covariance has a truly negative eigenvalue.
    """
    mean1, covariance1 = checked_moments(mu1, sigma1, "first")
    mean2, covariance2 = (part.to(mean1.device) for part in checked_moments(mu2, sigma2, "second"))
    factor1, factor2 = factor(covariance1, "first"), factor(covariance2, "second")
    left, singular, right = torch.linalg.svd(factor1.T @ factor2, full_matrices=False)
    cross, root = singular.sum(), singular.sqrt()
    return (
        FrechetInfluence(mean1, 2 * (mean1 - mean2), _whitened(factor1) @ left * root, covariance1.trace() - cross),
        FrechetInfluence(mean2, 2 * (mean2 - mean1), _whitened(factor2) @ right.T * root, covariance2.trace() - cross),
    )


def _whitened(factor: Tensor) -> Tensor:
    """V / sqrt(values) from V * sqrt(values): columns of a factor are orthogonal."""
    return factor / factor.square().sum(dim=0)
