"""Bits that the tokens of an image take, by what a record says of them."""

from __future__ import annotations

import math

import pandas as pd

from titok.reporting.collect import MissingScore

HALF = 16
"""Bits of a number in float16, as soft tokens are kept where nothing rounds them further."""


def bits_of_ids(record: pd.Series, label: str) -> float:
    """K log2 V, or what the record itself says.

    Raises:
        MissingScore: it has neither.
    """
    stated = float(record.get("bits_per_image", math.nan))
    if not math.isnan(stated):
        return stated
    tokens, size = (float(record.get(name) or math.nan) for name in ("num_latent_tokens", "codebook_size"))
    if math.isnan(tokens * size):
        raise MissingScore(f"{record['file']}: {label} has no codebook and says no bits; show it among the soft rows")
    return tokens * math.log2(size)
