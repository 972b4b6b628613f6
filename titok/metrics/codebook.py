"""How much of a codebook is used, and how evenly (specification 10.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import log2

ENTROPY_EPSILON = 1e-8
"""The official evaluator computes log2(p + 1e-8)."""


class CodebookUse:
    """Streams tokens into counts per code; memory O(V).

    Args:
        codebook_size: V; tokens are 0 to V - 1.
        device: where the counts are kept.
    """

    def __init__(self, codebook_size: int, device: torch.device | str = "cpu") -> None:
        self.codebook_size = codebook_size
        # One more bin collects ids outside the codebook: looking for them per batch would wait for the device.
        self._counts = torch.zeros(codebook_size + 1, dtype=torch.int64, device=device)

    def update(self, tokens: Tensor) -> None:
        """Adds token ids of any shape and integer type."""
        ids = tokens.detach().to(self._counts.device, torch.int64).flatten()
        ids = torch.where((ids >= 0) & (ids < self.codebook_size), ids, self.codebook_size)
        self._counts.scatter_add_(0, ids, torch.ones_like(ids))

    @property
    def counts(self) -> Tensor:
        """(V,) int64: how often each code was seen.

        Raises:
            ScoreError: an id was outside the codebook, or nothing was added.
        """
        outside = int(self._counts[-1])
        if outside:
            raise ScoreError(
                f"{outside} token ids are outside the codebook; allowed: 0 to {self.codebook_size - 1}. "
                f"The tokens come from another tokenizer, or still hold mask ids"
            )
        counts = self._counts[:-1]
        if not counts.any():
            raise ScoreError("no tokens were added; pass at least one batch to update() first")
        return counts

    @property
    def usage(self) -> float:
        """Fraction of the V codes that occur at all."""
        return float((self.counts > 0).double().mean())

    @property
    def entropy_bits(self) -> float:
        """Entropy of the code frequencies in bits; log2 V for an evenly used codebook."""
        counts = self.counts.double()
        probabilities = counts / counts.sum()
        return float(-(probabilities * log2(probabilities + ENTROPY_EPSILON)).sum())

    @property
    def perplexity(self) -> float:
        """2 to the entropy: the size of an evenly used codebook that says as much."""
        return float(2.0**self.entropy_bits)
