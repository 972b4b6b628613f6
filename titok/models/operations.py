"""Operations of a part of a model, as plain numbers; how they are counted: `titok.models.flops`. No torch here."""

from __future__ import annotations

from typing import NamedTuple


class Flops(NamedTuple):
    """Operations of one part of a model, per image, and its size."""

    forward: int
    training: int
    """Forward and backward, every parameter trained."""
    parameters: int = 0

    def __add__(self, other: object) -> Flops:
        """Of two parts, one after the other."""
        if not isinstance(other, Flops):
            return NotImplemented
        return Flops(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, number: int) -> Flops:
        """Of so many equal parts."""
        return Flops(*(number * each for each in self))
