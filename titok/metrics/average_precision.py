"""Average precision of detections, one set held against another as if that were the truth.

Of each class, detections of all images are taken from the surest on. One is right if it overlaps a true box of its
image that no surer one has taken (the one it overlaps most) by an IoU of at least 0.5. Average precision is the area
under precision over recall, precision made monotone; the mean is over the classes that have true boxes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

IOU = 0.5
"""Intersection over union from which on two boxes are of one thing."""


class Detections(NamedTuple):
    """Of one image."""

    boxes: Tensor
    """(D, 4): left, top, right, bottom in pixels."""
    labels: Tensor
    """(D,) int64 classes."""
    scores: Tensor
    """(D,) how sure."""

    def surer_than(self, confidence: float) -> Detections:
        """Those with at least so high a score."""
        kept = self.scores >= confidence
        return Detections(self.boxes[kept], self.labels[kept], self.scores[kept])


class AveragePrecision:
    """Streams images; memory grows with the number of boxes."""

    def __init__(self) -> None:
        self._truths: dict[int, int] = {}
        self._found: dict[int, list[tuple[float, bool]]] = {}

    @property
    def num_truths(self) -> int:
        """True boxes so far, of all classes."""
        return sum(self._truths.values())

    def update(self, found: Detections, truths: Detections) -> None:
        """One image: what was found, and what should be."""
        for label in sorted({*found.labels.tolist(), *truths.labels.tolist()}):
            true = truths.boxes[truths.labels == label]
            chosen = found.labels == label
            scores, boxes = found.scores[chosen], found.boxes[chosen]
            order = scores.argsort(descending=True, stable=True)
            hits = _hits(boxes[order], true)
            self._truths[label] = self._truths.get(label, 0) + len(true)
            self._found.setdefault(label, []).extend(zip(scores[order].tolist(), hits, strict=True))

    def compute(self) -> float:
        """The mean over classes with true boxes; NaN where there are none."""
        each = [_area(self._found[label], count) for label, count in self._truths.items() if count]
        return float(np.mean(each)) if each else float("nan")


def _hits(boxes: Tensor, truths: Tensor) -> list[bool]:
    """Whether each box, from the surest on, is of a true one that is free."""
    from torchvision.ops import box_iou  # torchvision costs a second, which few scores need

    overlaps = box_iou(boxes, truths)
    hits = []
    for row in overlaps:
        best = int(row.argmax()) if len(row) else -1
        is_hit = best >= 0 and float(row[best]) >= IOU
        if is_hit:
            overlaps[:, best] = -1  # rows are views of it
        hits.append(is_hit)
    return hits


def _area(found: list[tuple[float, bool]], count: int) -> float:
    """Under precision over recall."""
    ordered = sorted(found, key=lambda one: -one[0])
    right = np.cumsum([is_hit for _, is_hit in ordered])
    if not len(right):
        return 0.0
    precision = right / np.arange(1, len(right) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    gained = np.diff(right, prepend=0)
    return float((highest * gained).sum() / count)


def as_detections(output: dict[str, Tensor]) -> Detections:
    """What torchvision's detectors give of an image, on the CPU."""
    return Detections(*(output[name].detach().cpu() for name in ("boxes", "labels", "scores")))


def none_found() -> Detections:
    """Of an image in which nothing was found."""
    return Detections(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
