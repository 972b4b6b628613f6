"""How sure a Frechet distance is: what each image contributes to it, and what infinitely many images would give."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from titok.config.evaluation import Uncertainty
from titok.metrics.bootstrap import Interval, bootstrap_intervals
from titok.metrics.extrapolation import Extrapolation, ExtrapolationError, extrapolate, subset_sizes
from titok.metrics.feature_store import FeatureStore
from titok.metrics.frechet import Normal
from titok.metrics.influence import frechet_influences
from titok.metrics.moments import Moments
from titok.runtime.seed import generator


@dataclass(frozen=True)
class Side:
    """One of the two sets that are compared."""

    mean: Tensor
    """(F,) float64"""
    covariance: Tensor
    """(F, F) float64"""
    store: FeatureStore | None = None
    """Features (N, F) of its images; null: the set is taken as it is (a reference)."""

    @functools.cached_property
    def normal(self) -> Normal:
        """The distribution of its features."""
        return Normal.of(self.mean, self.covariance, "set's")

    def distance(self, other: Side) -> float:
        """Frechet distance of two sets as they are."""
        return self.normal.distance(other.normal).value

    def subset(self, places: np.ndarray) -> Side:
        """The images at ``places`` alone; a set without stored features stays as it is."""
        if self.store is None:
            return self
        moments = Moments(len(self.mean), self.mean.device)
        for chunk in self.store.chunks(places, self.mean.device):
            moments.update(chunk)
        return Side(moments.mean, moments.covariance)


Sides = tuple[Side, Side]
"""What is compared with what."""


def contributions_of(metric: str, sides: Sides, line: Extrapolation | None) -> dict[str, Tensor]:
    """Those of the distance ``metric``, and of the one at infinite N where there is a line."""
    found = {metric: frechet_contributions(*sides)}
    return found if line is None else found | {f"{metric}_infinity": line.contributions(found[metric])}


def intervals_of(
    metrics: Mapping[str, float],
    contributions: Mapping[str, Tensor],
    settings: Uncertainty,
    strata: Tensor | None = None,
) -> dict[str, Interval]:
    """Of the metrics that have contributions (N,), one per image; ``strata``: what sets have equally many of."""
    return bootstrap_intervals(
        metrics,
        contributions,
        resamples=settings.resamples,
        coverage=settings.coverage,
        generator=generator(settings.seed, "bootstrap"),
        strata=strata,
    )


def frechet_contributions(first: Side, second: Side) -> Tensor:
    """(N,) float64: what each image, or pair of images where both sides have them, adds to the distance."""
    influences = frechet_influences(first.normal, second.normal)
    parts = [
        torch.cat([influence(chunk) for chunk in side.store.chunks(device=side.mean.device)])
        for side, influence in zip((first, second), influences, strict=True)
        if side.store is not None
    ]
    return torch.stack(parts).sum(dim=0)


def distance_at_infinity(first: Side, second: Side, settings: Uncertainty) -> Extrapolation | None:
    """The distance of infinitely many images; None if that is not asked for, or there are too few images for it.

    Pairs stay pairs: both sides are cut to the same places.
    """
    store = first.store or second.store
    if store is None or not settings.extrapolation_points:
        return None
    try:
        sizes = subset_sizes(len(store), len(first.mean), settings.extrapolation_points)
    except ExtrapolationError:
        return None

    def distance_of(places: np.ndarray) -> float:
        return first.subset(places).distance(second.subset(places))

    return extrapolate(distance_of, len(store), sizes, generator(settings.seed, "extrapolation"))


def extrapolation_protocol(line: Extrapolation | None, settings: Uncertainty | None) -> dict[str, Any]:
    """What a protocol says about it; nothing where it was not asked for."""
    if settings is None or not settings.extrapolation_points:
        return {}
    if line is None:
        return {"at_infinite_n": None}
    return {"at_infinite_n": {"sizes": list(line.sizes), "drawn": "without repetition", "seed": settings.seed}}
