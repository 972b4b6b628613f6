"""Detections preserved: numbers by hand, and torchvision's own detectors on small images.

Run: pytest tests/evaluation/test_detections.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from titok.errors import ScoreError
from titok.evaluation.detections import METRIC, DetectionsPreserved, build_detector, open_detector
from titok.metrics.average_precision import AveragePrecision, Detections, none_found
from titok.runtime.files import sha256_file
from titok.runtime.weights import WeightsError

CPU = torch.device("cpu")
HERE, THERE = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]


def found(*boxes: tuple[list[float], int, float]) -> Detections:
    places, labels, scores = zip(*boxes, strict=True)
    return Detections(torch.tensor(places), torch.tensor(labels), torch.tensor(scores))


def test_by_hand() -> None:
    """Class 1: right, wrong, right of two true boxes; class 2: a true box that nobody found; class 3: none is true."""
    precision = AveragePrecision()
    precision.update(found((HERE, 1, 0.9)), found((HERE, 1, 1.0), (THERE, 2, 1.0)))
    precision.update(found((THERE, 1, 0.8), (HERE, 1, 0.7), (HERE, 3, 0.9)), found((HERE, 1, 1.0)))
    # Recall 1/2 at precision 1, recall 1 at precision 2/3.
    assert precision.compute() == pytest.approx(((1 + 2 / 3) / 2 + 0) / 2)
    assert precision.num_truths == 3


def test_half_an_overlap_counts_once() -> None:
    half, less = [0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 4.9]
    for box, expected in ((half, 1.0), (less, 0.0)):
        precision = AveragePrecision()
        precision.update(found((box, 1, 0.5)), found((HERE, 1, 1.0)))
        assert precision.compute() == expected
    precision = AveragePrecision()
    precision.update(found((HERE, 1, 0.5), (HERE, 1, 0.9)), found((HERE, 1, 1.0), (THERE, 1, 1.0)))
    assert precision.compute() == 0.5, "the second is of a box that is taken"


def stub(images: Tensor) -> list[Detections]:
    """One thing in every image that is not black, where its first pixel says, as sure as its second says."""
    return [
        found((HERE if int(image[0, 0, 0]) < 128 else THERE, 1, float(image[0, 0, 1]) / 255))
        if image.any()
        else none_found()
        for image in images
    ]


def images(*pixels: tuple[int, int]) -> Tensor:
    made = torch.zeros(len(pixels), 3, 4, 4, dtype=torch.uint8)
    for image, (place, score) in zip(made, pixels, strict=True):
        image[0, 0, 0], image[0, 0, 1] = place, score
    return made


def test_what_is_sure_in_originals_is_true() -> None:
    preserved = DetectionsPreserved(stub, 0.5, {"detector": "stub"})
    # The third is no sure find, so that finding it again is wrong, and less sure than what is right.
    preserved.update(images((0, 255), (200, 255), (0, 100)), images((0, 250), (0, 240), (0, 230)))
    assert preserved.metrics() == {METRIC: 0.5}
    told = preserved.protocol()[METRIC]
    assert (told["iou"], told["confidence"], told["detector"]) == (0.5, 0.5, "stub")


def test_nothing_to_preserve_is_refused() -> None:
    preserved = DetectionsPreserved(stub, 0.5, {})
    preserved.update(images((0, 0)), images((0, 255)))
    with pytest.raises(ScoreError, match=r"finds nothing in the test images with a score of 0\.5 or more"):
        preserved.metrics()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random ones, as a file without counters, as released ones have none."""
    torch.manual_seed(0)
    state = build_detector("ssdlite320_mobilenet_v3_large").state_dict()
    kept = {key: value.contiguous() for key, value in state.items() if not key.endswith("num_batches_tracked")}
    path = tmp_path_factory.mktemp("detector") / "detector.safetensors"
    save_file(kept, path)
    return path


def test_the_real_class_preserves_what_is_the_same(weights: Path) -> None:
    detect, digest = open_detector("ssdlite320_mobilenet_v3_large", str(weights), None, CPU)
    assert digest == sha256_file(weights)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    seen = detect(pixels)
    assert len(seen) == 2
    assert seen[0].boxes.shape == (len(seen[0].labels), 4)
    preserved = DetectionsPreserved(detect, 0.0, {})
    preserved.update(pixels, pixels)
    assert preserved.metrics() == {METRIC: 1.0}


def test_another_file_is_refused(weights: Path) -> None:
    with pytest.raises(WeightsError, match="was expected"):
        open_detector("ssdlite320_mobilenet_v3_large", str(weights), "0" * 64, CPU)
    with pytest.raises(WeightsError, match="do not fit"):
        open_detector("fasterrcnn_mobilenet_v3_large_320_fpn", str(weights), None, CPU)
