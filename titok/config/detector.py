"""A detector whose finds in reconstructions are held against those in the originals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from titok.config.weight_files import WeightFile

DetectorName = Literal["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"]


class Detector(WeightFile):
    """One of torchvision's, trained on COCO; its file is torchvision's to give, and nothing here downloads it."""

    name: DetectorName = "ssdlite320_mobilenet_v3_large"
    confidence: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Score from which on what it finds in an original counts as true."""
