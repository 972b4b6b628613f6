"""How much of a codebook is used, and how evenly (specification 10.1), and how many bits its ids take once coded."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.metrics.code_length import kt_bits
from titok.runtime.elementwise import log2

ENTROPY_EPSILON = 1e-8
"""The official evaluator computes log2(p + 1e-8)."""


class CodebookUse:
    """Streams ids into counts per code, by position where ids have one; memory O(K V), else O(V).

    Args:
        codebook_size: V; tokens are 0 to V - 1.
        device: where the counts are kept.
    """

    def __init__(self, codebook_size: int, device: torch.device | str = "cpu") -> None:
        self.codebook_size = codebook_size
        self._device = torch.device(device)
        self._counts: Tensor | None = None
        self._images = 0

    def update(self, tokens: Tensor) -> None:
        """Adds ids of any integer type: (B, ...) of images of one length, or (N,) of images that differ."""
        ids = tokens.detach().to(self._device, torch.int64)
        rows = ids.flatten(1).t().contiguous() if ids.ndim > 1 else ids[None]
        if self._counts is None:
            # One more bin collects ids outside the codebook: looking for them per batch would wait for the device.
            self._counts = torch.zeros(len(rows), self.codebook_size + 1, dtype=torch.int64, device=self._device)
        inside = torch.where((rows >= 0) & (rows < self.codebook_size), rows, self.codebook_size)
        self._counts.scatter_add_(1, inside, torch.ones_like(inside))
        self._images += len(ids) if ids.ndim > 1 else 0

    @property
    def counts(self) -> Tensor:
        """(V,) int64: how often each code was seen.

        Raises:
            ScoreError: an id was outside the codebook, or nothing was added.
        """
        if self._counts is None:
            raise ScoreError("no tokens were added; pass at least one batch to update() first")
        found = self._counts.sum(dim=0)
        outside = int(found[-1])
        if outside:
            raise ScoreError(
                f"{outside} token ids are outside the codebook; allowed: 0 to {self.codebook_size - 1}. "
                f"The tokens come from another tokenizer, or still hold mask ids"
            )
        return found[:-1]

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

    @property
    def coded_bits(self) -> float:
        """Bits per image by one table of frequencies for all positions; NaN of images that differ in length."""
        return kt_bits(self._known.sum(axis=0)[None]) / self._images if self._images else math.nan

    @property
    def coded_bits_by_position(self) -> float:
        """Bits per image by a table for each position: in sequences of tokens, places have meanings of their own."""
        return kt_bits(self._known) / self._images if self._images else math.nan

    @property
    def _known(self) -> np.ndarray:
        """(K, V), without the ids that are outside."""
        assert self._counts is not None, "there are images"
        found: np.ndarray = self._counts[:, :-1].cpu().numpy()
        return found
