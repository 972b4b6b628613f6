"""Spearman's correlation, exact to the last digit where it has few."""

from __future__ import annotations

import numpy as np


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(R,) of the rows of two tables (R, N); ties share their mean rank.

    NaN where a row has one value only, or one that is not finite. Ranks are whole numbers here, so that a perfect order
    is exactly 1 and -0.8 is not -0.7999999999999998.
    """
    one, other = _centred_ranks(first), _centred_ranks(second)
    squares = (one * one).sum(axis=1) * (other * other).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(squares > 0, (one * other).sum(axis=1) / np.sqrt(squares), np.nan)


def _centred_ranks(rows: np.ndarray) -> np.ndarray:
    """Twice the ranks from their middle: how many are smaller, less how many are larger."""
    with np.errstate(invalid="ignore"):  # of infinite numbers
        return np.sign(rows[:, :, None] - rows[:, None, :]).sum(axis=2)
