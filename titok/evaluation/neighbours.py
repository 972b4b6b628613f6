"""Scores that compare two clouds of features point by point: precision and recall, density and coverage, KID, MIND."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from titok.config.evaluation import Evaluation
from titok.metrics.adm_distances import BLOCK, Float16Blocks
from titok.metrics.density_coverage import density_coverage
from titok.metrics.kid import kernel_distance
from titok.metrics.manifold import Arithmetic, Exact
from titok.metrics.mind import monge_inception_distance
from titok.metrics.precision_recall import precision_recall


def compare_clouds(samples: Tensor, references: Tensor, settings: Evaluation) -> dict[str, float]:
    """Precision, recall and what else the settings ask for, of samples (N, F) against references (M, F)."""
    by_blocks = settings.precision_recall_arithmetic == "float16-blocks"
    arithmetic: Arithmetic = Float16Blocks() if by_blocks else Exact()
    manifold = precision_recall(references, samples, settings.precision_recall_neighbours, arithmetic)
    metrics = {"precision": manifold.precision, "recall": manifold.recall}
    if settings.kid is not None:
        kid = settings.kid
        metrics["kid"] = kernel_distance(samples, references, kid.subsets, kid.subset_size, kid.seed).value
    if settings.density_coverage is not None:
        held = density_coverage(references, samples, settings.density_coverage.neighbours)
        metrics |= {"density": held.density, "coverage": held.coverage}
    if settings.mind is not None:
        mind = settings.mind
        metrics["mind"] = monge_inception_distance(samples, references, mind.directions, mind.seed)
    return metrics


def neighbour_protocol(settings: Evaluation, references: int | None) -> dict[str, Any]:
    """What a protocol says about them; ``references`` is M, null where there are none to compare with."""
    manifold: dict[str, Any] = {"neighbours": settings.precision_recall_neighbours, "references": references}
    if settings.precision_recall_arithmetic == "float16-blocks":
        # Said where it is not the float64 of all earlier records, whose protocols stay what they are.
        manifold |= {"arithmetic": "float16-blocks", "block": BLOCK}
    protocol: dict[str, Any] = {"precision_recall": manifold}
    if references is None:
        return protocol
    if settings.kid is not None:
        protocol["kid"] = settings.kid.resolved() | {"kernel": "(x y / F + 1)^3, unbiased"}
    if settings.density_coverage is not None:
        protocol["density_coverage"] = settings.density_coverage.resolved() | {"references": references}
    if settings.mind is not None:
        protocol["mind"] = settings.mind.resolved() | {"references": references}
    return protocol


def evenly_spaced(wanted: int, total: int) -> np.ndarray:
    """Places of at most ``wanted`` of ``total`` images."""
    count = min(wanted, total)
    return np.unique(np.arange(count) * total // count)
