"""Whether a choice of length pays: measures of chosen codes beside those of one length for all, at equal mean length.

Between two lengths, one length for all is a mixture: each image has the longer one with the same chance, so that the
mean length is right; its measure lies on the line between theirs. Everything is paired by image. Letters: N images, L
lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class OneLength:
    """What images are when all have the same length."""

    lengths: Sequence[int]
    """(L,), from few to many."""
    measured: np.ndarray
    """(N, L)"""


@dataclass(frozen=True)
class Choice:
    """What images are when each has a length of its own."""

    lengths: np.ndarray
    """(N,)"""
    measured: np.ndarray
    """(N,)"""


@dataclass(frozen=True)
class Gain:
    """How much better the choice is, positive if it is."""

    value: float
    contributions: Tensor
    """(N,) float64: what each image adds, the mean being the value; to first order, for resampling."""


def gain_of(choice: Choice, others: OneLength, *, higher_is_better: bool) -> Gain | None:
    """The choice against one length of equal mean; None where no mixture of ``others`` has this mean.

    Another draw of images has another mean length: that, too, is in the contributions.
    """
    wanted = float(choice.lengths.mean())
    if not others.lengths[0] <= wanted <= others.lengths[-1]:
        return None
    upper = min(int(np.searchsorted(others.lengths, wanted)), len(others.lengths) - 1)
    lower = max(upper - 1, 0)
    step = others.lengths[upper] - others.lengths[lower]
    share = (wanted - others.lengths[lower]) / step if step else 0.0
    short, long = others.measured[:, lower], others.measured[:, upper]
    slope = (long.mean() - short.mean()) / step if step else 0.0
    fixed = (1 - share) * short + share * long + slope * (choice.lengths - wanted)
    sign = 1.0 if higher_is_better else -1.0
    found = torch.from_numpy(sign * (choice.measured - fixed))
    return Gain(float(found.mean()), found)
