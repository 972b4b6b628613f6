"""Frozen networks that understand images, by name: ``config/encoders.yaml`` as typed settings."""

from __future__ import annotations

from pathlib import Path

from titok.config.encoder_record import EncoderRecord
from titok.config.load import load_job
from titok.config.named_encoders import ENCODERS_FILE
from titok.config.section import Name, Section
from titok.config.shipped import shipped


class EncoderRecords(Section):
    """All of them."""

    encoders: dict[Name, EncoderRecord]


def load_encoders(path: Path | None = None) -> dict[str, EncoderRecord]:
    """Name -> record, of the list that comes with the project unless another is named; raises `ConfigError`."""
    return dict(load_job(path or shipped(ENCODERS_FILE), EncoderRecords).encoders)
