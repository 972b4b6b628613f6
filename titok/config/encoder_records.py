"""Frozen networks that understand images, by name: ``config/encoders.yaml`` as typed settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from titok.config.load import load_job
from titok.config.section import Name, PositiveInt, Section
from titok.config.shipped import shipped

ENCODERS_FILE = Path("config/encoders.yaml")


class EncoderRecord(Section):
    """One network of timm, as a giver of soft tokens."""

    model: Annotated[str, Field(min_length=1)]
    """As timm calls it, with its tag."""
    kind: Annotated[str, Field(min_length=1)]
    """What it is, and what it was trained on."""
    image_size: PositiveInt
    """Side of its input in pixels."""
    pooling: Literal["mean", "class"]
    """How its authors make one vector of its tokens: their mean, or the class token."""
    licence: Annotated[str, Field(min_length=1)]
    """Of the weights."""
    commercial: bool = True
    """Whether the licence lets them be used for business."""
    names: Literal["exact", "by_order"] = "exact"
    """How a file's tensors find their places: by timm's names, or first to first."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the weights' file; null: not recorded yet."""
    weights_from: str = ""
    """Where a file is that needs no hub."""


class EncoderRecords(Section):
    """All of them."""

    encoders: dict[Name, EncoderRecord]


def load_encoders(path: Path | None = None) -> dict[str, EncoderRecord]:
    """Name -> record, of the list that comes with the project unless another is named; raises `ConfigError`."""
    return dict(load_job(path or shipped(ENCODERS_FILE), EncoderRecords).encoders)
