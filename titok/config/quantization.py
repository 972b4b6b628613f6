"""Soft tokens in a given number of bits: every channel rounded to 2^b values, so that bits can be drawn."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from titok.config.section import PositiveInt, Section

ChannelBits = Annotated[int, Field(ge=1, le=8)]
"""b; one digit, so that it can end the name of a stage."""
QUANTIZED = "quantized"
"""Recipe of such records."""


class Quantization(Section):
    """How channels are rounded: 2^b equally wide steps from the least to the largest value in training images."""

    range_images: PositiveInt = 2048
    """Training images, evenly spaced, whose latents the ranges are from, at most."""


def quantized_stage(stage: str, bits: int) -> str:
    """What stands for the stage of a soft tokenizer whose channels have ``bits`` each: `single_stage-4bit`."""
    return f"{stage}-{bits}bit"
