"""Bits that a map of regions takes: the length of a code that exists, with nothing known beforehand.

A map is told by its edges: of every pixel, whether it belongs to another region than its left neighbour, and than the
one above. Of the four edges between four pixels around a corner never exactly one is there (three of a kind are the
same region), so that the edge above is often known from the three others, and takes nothing. The rest go through the
adaptive arithmetic coder of `titok.metrics.code_length`, learned anew in every image, in the context of the edges
around the corner that are known by then. Regions are what hangs together along rows and columns; their numbers are
their order, and the image's size is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from titok.metrics.code_length import kt_bits

CONTEXTS = 10
"""Left edges: the first row, then by two edges. Edges above: the first column, then by three edges."""


class CodedEdges(NamedTuple):
    """Edges of a map (H, W), in the order of pixels."""

    left: np.ndarray
    """(H, W - 1) bool: pixels from the second column on differ from their left neighbours."""
    above: np.ndarray
    """(H - 1, W) bool: pixels from the second row on differ from those above."""
    is_told: np.ndarray
    """(H - 1, W) bool: whether an edge above is coded; others follow from the corner."""
    left_context: np.ndarray
    """(H, W - 1) int."""
    above_context: np.ndarray
    """(H - 1, W) int; of those that are told."""


def coded_edges(regions: np.ndarray) -> CodedEdges:
    """Of a map (H, W) of numbers, in which each region hangs together along rows and columns."""
    left = regions[:, 1:] != regions[:, :-1]
    above = regions[1:] != regions[:-1]
    left_context = np.zeros(left.shape, dtype=np.int64)
    north, west, own = left[:-1], above[:, :-1], left[1:]  # around the corner up left of a pixel
    left_context[1:] = 1 + 2 * north + west
    is_told = np.ones(above.shape, dtype=bool)
    is_told[:, 1:] = north.astype(int) + west + own >= 2
    above_context = np.full(above.shape, 5, dtype=np.int64)
    # Which of the three is missing, if one is: 6 none, 7 to 9 the first to the third.
    above_context[:, 1:] = 6 + np.where(~north, 1, np.where(~west, 2, np.where(~own, 3, 0)))
    return CodedEdges(left, above, is_told, left_context, above_context)


def map_bits(regions: np.ndarray) -> float:
    """Bits of a map (H, W) of numbers."""
    found = coded_edges(regions)
    edges = np.concatenate([found.left.ravel(), found.above[found.is_told]]).astype(np.int64)
    contexts = np.concatenate([found.left_context.ravel(), found.above_context[found.is_told]])
    counts = np.bincount(2 * contexts + edges, minlength=2 * CONTEXTS).reshape(CONTEXTS, 2)
    return kt_bits(counts)
