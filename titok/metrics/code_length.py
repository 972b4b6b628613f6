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
from scipy.special import gammaln

PRIOR = 0.5
"""The count that every code begins with."""


def kt_bits(counts: np.ndarray) -> float:
    """Length in bits of the adaptive code, tables (T, V) of counts one after the other."""
    size = counts.shape[1]
    whole = gammaln(counts.sum(axis=1) + PRIOR * size) - gammaln(PRIOR * size)
    single = gammaln(counts + PRIOR) - gammaln(PRIOR)
    return float((whole - single.sum(axis=1)).sum() / math.log(2))
