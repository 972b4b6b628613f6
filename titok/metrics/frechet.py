"""Frechet distance between two normal distributions, the FID formula (Heusel et al. 2017).

    d = |mu1 - mu2|^2 + tr(sigma1) + tr(sigma2) - 2 tr((sigma1 sigma2)^(1/2))

The last trace is the nuclear norm of sigma1^(1/2) sigma2^(1/2). Both roots come from symmetric eigendecompositions, so
that nothing can turn complex or fail to converge as the usual square root of the (non-symmetric) product can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import sqrt

NEGATIVE_TOLERANCE = 1e-6
"""A covariance may have eigenvalues down to this fraction of its largest below zero (float32 files do)."""


@dataclass(frozen=True)
class FrechetDistance:
    """The distance and the two parts it is the sum of."""

    value: float
    mean_term: float
    """Squared distance of the means."""
    trace_term: float
    """What the covariances contribute."""


@dataclass(frozen=True)
class Normal:
    """One of the distributions, factored once for any number of distances."""

    mean: Tensor
    """(F,) float64"""
    covariance: Tensor
    """(F, F) float64, symmetric"""
    factor: Tensor
    """(F, r), see :func:`factor`"""

    @classmethod
    def of(cls, mu: Tensor | np.ndarray, sigma: Tensor | np.ndarray, which: str) -> Normal:
        """From a mean (F,) and a covariance (F, F), which may be rank-deficient; ``which`` names them in errors.

        Raises:
            ScoreError: shapes differ, a value is not finite, or the covariance has a truly negative eigenvalue.
        """
        mean, covariance = checked_moments(mu, sigma, which)
        return cls(mean, covariance, factor(covariance, which))

    def distance(self, other: Normal) -> FrechetDistance:
        """The squared 2-Wasserstein distance.

        Raises:
            ScoreError: the two have different numbers of features.
        """
        if self.mean.shape != other.mean.shape:
            raise ScoreError(
                f"the first moments have {len(self.mean)} features and the second {len(other.mean)}; they must agree"
            )
        mean, covariance, root = (part.to(self.mean.device) for part in (other.mean, other.covariance, other.factor))
        cross = torch.linalg.svdvals(self.factor.T @ root).sum()
        mean_term = (self.mean - mean).square().sum()
        trace_term = self.covariance.trace() + covariance.trace() - 2 * cross
        return FrechetDistance(float(mean_term + trace_term), float(mean_term), float(trace_term))


def frechet_distance(
    mu1: Tensor | np.ndarray, sigma1: Tensor | np.ndarray, mu2: Tensor | np.ndarray, sigma2: Tensor | np.ndarray
) -> FrechetDistance:
    """The squared 2-Wasserstein distance of N(mu1, sigma1) and N(mu2, sigma2), in float64.

    Args:
        mu1, mu2: means (F,).
        sigma1, sigma2: covariances (F, F); may be rank-deficient.

    Raises:
        ScoreError: shapes differ, a value is not finite, or a covariance has a truly negative eigenvalue.
    """
    return Normal.of(mu1, sigma1, "first").distance(Normal.of(mu2, sigma2, "second"))


def checked_moments(mu: Tensor | np.ndarray, sigma: Tensor | np.ndarray, which: str) -> tuple[Tensor, Tensor]:
    """Mean (F,) and symmetric covariance (F, F) in float64; `which` names them in the errors, as `ScoreError`."""
    mean = torch.as_tensor(mu).to(torch.float64)
    covariance = torch.as_tensor(sigma).to(torch.float64)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ScoreError(
            f"the {which} moments have shapes {tuple(mean.shape)} and {tuple(covariance.shape)}; allowed: (F,), (F, F)"
        )
    if not (torch.isfinite(mean).all() and torch.isfinite(covariance).all()):
        raise ScoreError(f"the {which} moments are not finite; look for NaN or infinity in the features they come from")
    return mean, (covariance + covariance.T) / 2


def factor(covariance: Tensor, which: str) -> Tensor:
    """(F, r) matrix A with A A^T = covariance, r its numerical rank.

    sigma^(1/2) = A U^T for an orthonormal U, so that the singular values of A1^T A2 are those of the roots' product.
    Eigenvalues at rounding level are dropped: their square roots would be 1e8 times larger than they are.
    """
    values, vectors = torch.linalg.eigh(covariance)
    largest = values[-1].clamp_min(0)
    if values[0] < -NEGATIVE_TOLERANCE * largest or values[-1] < 0:
        raise ScoreError(
            f"the {which} covariance has the negative eigenvalue {values[0].item():.3g} (largest "
            f"{values[-1].item():.3g}); it is no covariance matrix: check the file or the order of the arguments"
        )
    kept = values > largest * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, kept] * sqrt(values[kept])
