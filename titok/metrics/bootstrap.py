"""Bootstrap intervals of metrics that are, to first order, means over images.

Each metric comes as its value and as one contribution per image, the change per unit of that image's weight. All
metrics are resampled together: the same images in the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from titok.errors import ScoreError


@dataclass(frozen=True)
class Interval:
    """Where a number would lie with other images of the same kind, most of the time."""

    low: float
    high: float
    coverage: float
    """How much of the time: 0.95."""


def bootstrap_intervals(
    values: Mapping[str, float],
    contributions: Mapping[str, Tensor],
    *,
    resamples: int,
    coverage: float,
    generator: torch.Generator,
) -> dict[str, Interval]:
    """Percentile intervals around the values.

    Args:
        values: the metrics as measured on all N images.
        contributions: for some of them, (N,) per image; their mean is subtracted.
        resamples: how many times N images are drawn from the N.
        coverage: share of the resampled values inside an interval.
        generator: of the drawing, on the CPU.

    Raises:
        ScoreError: contributions of different lengths, or that are not finite.
    """
    names = sorted(contributions)
    lengths = {len(contributions[name]) for name in names}
    if len(lengths) != 1 or min(lengths) < 2:
        raise ScoreError(f"contributions of {sorted(lengths)} images; all metrics need the same ones, at least 2")
    table = torch.stack([contributions[name].detach().double().cpu() for name in names], dim=1)
    if not torch.isfinite(table).all():
        raise ScoreError("some contributions are NaN or infinite; look for such features")
    table = table - table.mean(dim=0)
    count = len(table)
    shifts = torch.empty(resamples, len(names), dtype=torch.float64)
    for row in range(resamples):
        drawn = torch.randint(count, (count,), generator=generator)
        shifts[row] = torch.bincount(drawn, minlength=count).double() @ table / count
    tails = torch.tensor([(1 - coverage) / 2, (1 + coverage) / 2], dtype=torch.float64)
    ends = torch.quantile(shifts, tails, dim=0)
    return {
        name: Interval(values[name] + float(low), values[name] + float(high), coverage)
        for name, low, high in zip(names, *ends, strict=True)
    }
