"""Token arrays: which views of an image are tokenised once and kept."""

from __future__ import annotations

from titok.config.section import PositiveInt, Section


class TokenViews(Section):
    """Which crops of each image become tokens for the generators."""

    num_views: PositiveInt = 1
    """1 is the centre crop alone; every further view is a random crop, drawn once and stored."""
    random_flip: bool = False
    """Whether random views may be mirrored."""
