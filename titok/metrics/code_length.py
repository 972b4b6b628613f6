"""Bits that ids take once they are coded: the length of a code that exists, with nothing known beforehand.

An arithmetic coder that learns frequencies as it goes (Krichevsky and Trofimov 1981: every code begins with a count of
1/2) needs, for N ids of V codes of which code v occurs n_v times, in whatever order,

    log2 G(N + V/2) - log2 G(V/2) - sum over v of (log2 G(n_v + 1/2) - log2 G(1/2))     (G: the gamma function)

bits. What it pays for learning is counted, so that a large codebook seen on few images can take more than K log2 V; the
entropy of the frequencies (`codebook_entropy_bits`) counts nothing of it, and is too small by as much.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

PRIOR = 0.5
"""The count that every code begins with."""


class CodeLength:
    """Streams ids (B, K) into counts by position; memory O(K V).

    Args:
        codebook_size: V; ids outside are counted by nobody (`CodebookUse` refuses them).
        device: where the counts are kept.
    """

    def __init__(self, codebook_size: int, device: torch.device | str = "cpu") -> None:
        self._size = codebook_size
        self._device = torch.device(device)
        self._counts: Tensor | None = None
        self._images = 0

    def update(self, ids: Tensor) -> None:
        """Adds the ids of images, (B, K) of any integer type."""
        values = ids.detach().to(self._device, torch.int64).flatten(1)
        if self._counts is None:
            self._counts = torch.zeros(values.shape[1], self._size + 1, dtype=torch.int64, device=self._device)
        inside = torch.where((values >= 0) & (values < self._size), values, self._size)
        self._counts.scatter_add_(1, inside.t().contiguous(), torch.ones_like(inside.t()))
        self._images += len(values)

    @property
    def static(self) -> float:
        """Bits per image by one table of frequencies for all positions; NaN where there were no images."""
        return math.nan if self._counts is None else kt_bits(self._known.sum(axis=0)[None]) / self._images

    @property
    def by_position(self) -> float:
        """Bits per image by a table for each position: in sequences of tokens, places have meanings of their own."""
        return math.nan if self._counts is None else kt_bits(self._known) / self._images

    @property
    def _known(self) -> np.ndarray:
        assert self._counts is not None
        found: np.ndarray = self._counts[:, :-1].cpu().numpy()
        return found


def kt_bits(counts: np.ndarray) -> float:
    """Length in bits of the adaptive code, tables (T, V) of counts one after the other."""
    size = counts.shape[1]
    whole = gammaln(counts.sum(axis=1) + PRIOR * size) - gammaln(PRIOR * size)
    single = gammaln(counts + PRIOR) - gammaln(PRIOR)
    return float((whole - single.sum(axis=1)).sum() / math.log(2))
