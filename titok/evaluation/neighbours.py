"""Scores that compare two clouds of features point by point: precision, recall and KID."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from titok.config.evaluation import Evaluation
from titok.metrics.kid import kernel_distance
from titok.metrics.precision_recall import precision_recall


def compare_clouds(samples: Tensor, references: Tensor, settings: Evaluation) -> dict[str, float]:
    """Precision, recall and, where the settings ask for it, KID of samples (N, F) against references (M, F)."""
    manifold = precision_recall(references, samples, settings.precision_recall_neighbours)
    metrics = {"precision": manifold.precision, "recall": manifold.recall}
    if settings.kid is not None:
        kid = settings.kid
        metrics["kid"] = kernel_distance(samples, references, kid.subsets, kid.subset_size, kid.seed).value
    return metrics


def neighbour_protocol(settings: Evaluation, references: int | None) -> dict[str, Any]:
    """What a protocol says about them; ``references`` is M, null where there are none to compare with."""
    protocol: dict[str, Any] = {
        "precision_recall": {"neighbours": settings.precision_recall_neighbours, "references": references}
    }
    if settings.kid is not None and references is not None:
        protocol["kid"] = settings.kid.resolved() | {"kernel": "(x y / F + 1)^3, unbiased"}
    return protocol


def evenly_spaced(wanted: int, total: int) -> np.ndarray:
    """Places of at most ``wanted`` of ``total`` images."""
    count = min(wanted, total)
    return np.unique(np.arange(count) * total // count)
