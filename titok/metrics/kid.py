"""Kernel distance of two sets of features (KID, Binkowski et al. 2018): unbiased, so that few images are enough.

The squared maximum mean discrepancy with the kernel k(x, y) = (x y / F + 1)^3, estimated without bias on random
subsets and averaged over them. It can be slightly negative for sets that are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from titok.errors import ScoreError

DEGREE = 3


@dataclass(frozen=True)
class KernelDistance:
    """Mean over subsets and their spread."""

    value: float
    std: float
    """Standard deviation over the subsets; how far two subsets differ, not how sure the mean is."""


def kernel_distance(
    samples: Tensor, references: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> KernelDistance:
    """KID in float64; subsets are drawn as torch-fidelity draws them, so that equal features give its number.

    Args:
        samples: features (N, F).
        references: features (M, F) of real images.
        subsets: how many pairs of subsets.
        subset_size: images in each, drawn without repetition.
        seed: of the drawing; 2020 is torch-fidelity's.

    Raises:
        ScoreError: the features disagree in F, a set is smaller than a subset, or a value is not finite.
    """
    for name, features in (("samples", samples), ("references", references)):
        if features.ndim != 2 or features.shape[1] != references.shape[1]:
            raise ScoreError(f"{name} have shape {tuple(features.shape)}; allowed: (N, {references.shape[-1]})")
        if not 2 <= subset_size <= len(features):
            raise ScoreError(
                f"subset_size is {subset_size} for {len(features)} {name}; allowed: 2 to the smaller set's size"
            )
    draws = np.random.RandomState(seed)
    distances = torch.stack([_distance_of_drawn(samples, references, subset_size, draws) for _ in range(subsets)])
    mean, std = float(distances.mean()), float(distances.std(correction=0))
    if not math.isfinite(mean):
        raise ScoreError("some features are NaN or infinite; look for such pixels in the images")
    return KernelDistance(mean, std)


def _distance_of_drawn(samples: Tensor, references: Tensor, subset_size: int, draws: np.random.RandomState) -> Tensor:
    first, second = (
        features[torch.from_numpy(draws.choice(len(features), subset_size, replace=False)).to(features.device)].double()
        for features in (samples, references)
    )
    return squared_discrepancy(first, second.to(first.device))


def squared_discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Unbiased squared maximum mean discrepancy of two sets (m, F) and (n, F); a scalar."""
    return (
        _mean_off_diagonal(_kernel(first, first))
        + _mean_off_diagonal(_kernel(second, second))
        - (2 * _kernel(first, second).mean())
    )


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.T / first.shape[1] + 1) ** DEGREE


def _mean_off_diagonal(kernel: Tensor) -> Tensor:
    """An image is always like itself; leaving that out makes the estimate unbiased."""
    size = len(kernel)
    return (kernel.sum() - kernel.trace()) / (size * (size - 1))
