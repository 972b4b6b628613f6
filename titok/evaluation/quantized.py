"""Soft tokens rounded to few bits, and what a decoder makes of them.

Letters: B batch, K tokens, E channels, b bits of a channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.models.image_tokenizer import ImageTokenizer, Reconstruction

Reconstruct = Callable[[Tensor], Reconstruction]


class ChannelRanges:
    """From the least to the largest value of each channel, whatever the token.

    Args:
        low: (E,).
        high: (E,), not below ``low``.
    """

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high

    @classmethod
    def of(cls, latents: Iterable[Tensor]) -> ChannelRanges:
        """Of latents (B, K, E); raises `ScoreError` where there are none, or numbers that are not finite."""
        low: Tensor | None = None
        high: Tensor | None = None
        for batch in latents:
            least, most = (end.float() for end in batch.flatten(0, 1).aminmax(dim=0))
            low = least if low is None else torch.minimum(low, least)
            high = most if high is None else torch.maximum(high, most)
        if low is None or high is None:
            raise ScoreError("ranges of channels are those of training images, and there are none")
        if not bool(torch.isfinite(low).all() and torch.isfinite(high).all()):
            raise ScoreError("latents of training images hold NaN or infinite values; the tokenizer diverged")
        return cls(low, high)

    def rounded(self, latents: Tensor, bits: int) -> Tensor:
        """Latents (B, K, E) with the middles of 2^b equally wide steps in their place; what lies outside, in the last.

        A channel that never moved keeps its one value.
        """
        steps = 2**bits
        width = (self.high - self.low) / steps
        place = torch.floor((latents - self.low) / width.clamp_min(torch.finfo(width.dtype).tiny)).clamp(0, steps - 1)
        return self.low + (place + 0.5) * width


def soft_latents(model: ImageTokenizer, images: Tensor) -> Tensor:
    """(B, K, E): what a tokenizer without a codebook decodes, the mean where latents are drawn.

    Raises:
        ModelError: it has a codebook.
    """
    return model.posterior(images).mean


def quantized(model: ImageTokenizer, ranges: ChannelRanges, bits: int) -> Reconstruct:
    """Images through channels of ``bits`` each; there are no ids."""

    def reconstruct(images: Tensor) -> Reconstruction:
        return Reconstruction(model.decode(ranges.rounded(soft_latents(model, images), bits)))

    return reconstruct
