"""Mean and covariance of features, streamed: what a Frechet distance needs to know about a set of images.

Batches are centred on their own mean and combined by the pairwise update of Chan, Golub and LeVeque (1983), all in
float64. Unlike raw sums of squares this loses no digits when features sit far from zero, and any split into batches
and any order of merging gives the same numbers up to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from titok.errors import ScoreError


class Moments:
    """Running count, mean and scatter matrix of F-dimensional features.

    Memory is O(F^2), whatever the number of images. Everything lives on one device; ``update`` never waits for it.

    Args:
        dim: F, the number of features.
        device: where the sums are kept; must support float64.
    """

    def __init__(self, dim: int, device: torch.device | str = "cpu") -> None:
        self.dim = dim
        self.count = 0
        self._mean = torch.zeros(dim, dtype=torch.float64, device=device)
        self._scatter = torch.zeros(dim, dim, dtype=torch.float64, device=device)

    def update(self, features: Tensor) -> None:
        """Adds a batch of features (B, F) of any floating type.

        Raises:
            ScoreError: the batch does not have F columns.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ScoreError(f"features have shape {tuple(features.shape)}; allowed: (batch, {self.dim})")
        if features.shape[0] == 0:
            return
        batch = features.detach().to(self._mean.device, torch.float64)
        mean = batch.mean(dim=0)
        centred = batch - mean
        self._combine(batch.shape[0], mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """Adds everything another instance has seen.

        Raises:
            ScoreError: the two have different numbers of features.
        """
        if other.dim != self.dim:
            raise ScoreError(f"cannot merge moments of {other.dim} features into moments of {self.dim}")
        if other.count:
            device = self._mean.device
            self._combine(other.count, other._mean.to(device), other._scatter.to(device))

    def _combine(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        total = self.count + count
        step = mean - self._mean
        self._mean = self._mean + step * (count / total)
        self._scatter = self._scatter + scatter + torch.outer(step, step) * (self.count * count / total)
        self.count = total

    @property
    def mean(self) -> Tensor:
        """(F,) float64.

        Raises:
            ScoreError: nothing was added, or a feature was not finite.
        """
        if self.count == 0:
            raise ScoreError("no features were added; pass at least one batch to update() first")
        if not torch.isfinite(self._mean).all():
            bad = int((~torch.isfinite(self._mean)).sum())
            raise ScoreError(
                f"{bad} of {self.dim} features are not finite in some image; look for NaN or infinity in the images "
                f"or for overflow in the feature network"
            )
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """(F, F) float64, unbiased (divided by n - 1).

        Raises:
            ScoreError: fewer than two images were added.
        """
        if self.count < 2:
            raise ScoreError(f"a covariance needs at least 2 images, but {self.count} were added")
        return self._scatter / (self.count - 1)
