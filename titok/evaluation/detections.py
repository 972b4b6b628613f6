"""Detections preserved: what a detector finds in reconstructions, held against what it finds in the originals.

For the idea that tokens should stand for objects. Detections alone cannot be turned back into an image, so that they
are no row of their own: this asks how much of them other tokens keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from titok.config.detector import DetectorName
from titok.errors import ScoreError
from titok.metrics.average_precision import IOU, AveragePrecision, Detections, as_detections
from titok.runtime.files import existing_file
from titok.runtime.timm_network import verified_sum
from titok.runtime.weights import load_state, read_weights

Detect = Callable[[Tensor], Sequence[Detections]]
"""uint8 images (B, 3, H, W) to what is found in each."""
METRIC = "detections_preserved"


class DetectionsPreserved:
    """Streams images; see `titok.metrics.average_precision` for the number.

    Args:
        detect: the detector.
        confidence: score from which on detections on an original count as true.
        identity: which detector, for the protocol.
    """

    def __init__(self, detect: Detect, confidence: float, identity: dict[str, Any]) -> None:
        self._detect, self._confidence, self._identity = detect, confidence, identity
        self._precision = AveragePrecision()

    def update(self, originals: Tensor, restored: Tensor) -> None:
        """uint8 images (B, 3, H, W), both."""
        for truth, found in zip(self._detect(originals), self._detect(restored), strict=True):
            self._precision.update(found, truth.surer_than(self._confidence))

    def metrics(self) -> dict[str, float]:
        """The mean average precision.

        Raises:
            ScoreError: nothing was found in the originals.
        """
        value = self._precision.compute()
        if math.isnan(value):
            raise ScoreError(
                f"the detector finds nothing in the test images with a score of {self._confidence} or more, so that "
                f"nothing could be preserved; lower evaluation.detector.confidence, or leave the detector out"
            )
        return {METRIC: value}

    def protocol(self) -> dict[str, Any]:
        """What the number depends on."""
        against = "its own detections on the originals"
        told = {"iou": IOU, "confidence": self._confidence, "against": against, "of": "8-bit images"}
        return {METRIC: self._identity | told}


def open_detector(name: DetectorName, path: str, sha256: str | None, device: torch.device) -> tuple[Detect, str]:
    """A detector of torchvision with weights from a file, and the file's sum; nothing is downloaded.

    Raises:
        WeightsError: the file is another one, or does not fit.
        FileError: it is missing or damaged.
    """
    digest = verified_sum(name, existing_file(path), sha256)
    network = build_detector(name)
    state, _ = read_weights(path)
    # Released weights were trained with frozen statistics, which count nothing; that count changes no number here.
    counters = {key: value for key, value in network.state_dict().items() if key.endswith("num_batches_tracked")}
    load_state(network, counters | state, path)
    return detecting(network.to(device), device), digest


def build_detector(name: DetectorName) -> nn.Module:
    """As torchvision builds it for the 91 classes of COCO; weights are random."""
    from torchvision.models import detection

    return cast(nn.Module, getattr(detection, name)(weights=None, weights_backbone=None)).eval().requires_grad_(False)


def detecting(network: nn.Module, device: torch.device) -> Detect:
    """A network of torchvision as a function of 8-bit images, in float32."""

    def detect(images: Tensor) -> list[Detections]:
        with torch.inference_mode():
            return [as_detections(found) for found in network(list(images.to(device).float() / 255))]

    return detect
