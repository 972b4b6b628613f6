"""Roots and logarithms by the processor's own instructions and the C library, not by MKL.

torch hands these to MKL's vector library, which picks its code by the processor, whatever it is told: the last bit of a
square root differs between processors that have AVX-512 and those that have not (docs/arithmetic.md). numpy's are the
same everywhere. On other devices than CPUs torch's own are used. For numbers only: nothing here has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def sqrt(x: Tensor) -> Tensor:
    """Square roots, correctly rounded."""
    return _apply(np.sqrt, torch.sqrt, x)


def log(x: Tensor) -> Tensor:
    """Natural logarithms of positive numbers."""
    return _apply(np.log, torch.log, x)


def log2(x: Tensor) -> Tensor:
    """Binary logarithms."""
    return _apply(np.log2, torch.log2, x)


def log10(x: Tensor) -> Tensor:
    """Decimal logarithms."""
    return _apply(np.log10, torch.log10, x)


def arccos(x: Tensor) -> Tensor:
    """Angles in radians."""
    return _apply(np.arccos, torch.acos, x)


def squared_distances(rows: Tensor, points: Tensor) -> Tensor:
    """(N, M) squared Euclidean distances of rows (N, F) to points (M, F), not below 0.

    ``torch.cdist`` would take their roots by the library named above; comparing distances does not need them.
    """
    norms = rows.square().sum(dim=1, keepdim=True) + points.square().sum(dim=1)
    return torch.addmm(norms, rows, points.T, alpha=-2.0).clamp_min_(0.0)


def _apply(by_numpy: Callable[[Any], Any], by_torch: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if x.device.type != "cpu":
        return by_torch(x)
    return torch.from_numpy(np.asarray(by_numpy(x.detach().numpy())))
