"""Bootstrap intervals of metrics that are, to first order, means over images.

Each metric comes as its value and as one contribution per image, the change per unit of that image's weight. All
metrics are resampled together: the same images in the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.records.record import Interval
from titok.runtime.elementwise import sqrt


def bootstrap_intervals(
    values: Mapping[str, float],
    contributions: Mapping[str, Tensor],
    *,
    resamples: int,
    coverage: float,
    generator: torch.Generator,
    strata: Tensor | None = None,
) -> dict[str, Interval]:
    """Percentile intervals around the values.

    Args:
        values: the metrics as measured on all N images.
        contributions: for some of them, (N,) per image; their mean is subtracted.
        resamples: how many times N images are drawn from the N.
        coverage: share of the resampled values inside an interval.
        generator: of the drawing, on the CPU.
        strata: (N,) integers; as many images of each are in every set, two at least. Null: sets are drawn at random.

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
    table = table - table.mean(dim=0) if strata is None else _within(table, strata)
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


def _within(table: Tensor, strata: Tensor) -> Tensor:
    """Contributions (N, M) around the mean of their stratum, which no draw changes.

    A draw of n from n images around their own mean scatters by the root of 1 - 1 / n too little.

    Raises:
        ScoreError: the strata are not one per image, or one has a single image.
    """
    if strata.shape != table.shape[:1]:
        raise ScoreError(f"{len(strata)} strata for {len(table)} images; give one for each image")
    _, place, counts = torch.unique(strata.cpu(), return_inverse=True, return_counts=True)
    if int(counts.min()) < 2:
        raise ScoreError("a class has a single image, which says nothing of its scatter; draw two of each at least")
    sums = torch.zeros(len(counts), table.shape[1], dtype=table.dtype).index_add_(0, place, table)
    weights = sqrt(counts / (counts - 1))[place, None]
    return (table - (sums / counts[:, None])[place]) * weights
