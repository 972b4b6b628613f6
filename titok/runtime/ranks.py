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
    """Twice the ranks from their middle: how many are smaller, less how many are larger; NaN where one is not finite.

    Equal numbers are one run of the sorted row; memory grows with R x N, so that N may be all images of a dataset.
    """
    count = rows.shape[1]
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((len(rows), 1), dtype=bool)
    places = np.arange(count)
    first = np.maximum.accumulate(np.where(np.hstack([edge, differs]), places, 0), axis=1)
    ends = np.where(np.hstack([differs, edge]), places, count - 1)
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, (first + last - (count - 1)).astype(float), axis=1)
    ranks[~np.isfinite(rows).all(axis=1)] = np.nan
    return ranks
