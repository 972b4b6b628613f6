"""Coded ids: the closed form is the length of the code, step by step, and it learns what there is to learn.

Run: pytest tests/metrics/test_code_length.py
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from titok.metrics.code_length import kt_bits
from titok.metrics.codebook import CodebookUse


def coded(ids: list[int], size: int) -> float:
    """The coder itself: each id costs what its share of the counts so far says, in exact arithmetic."""
    counts = [Fraction(1, 2)] * size
    probability = Fraction(1)
    for one in ids:
        probability *= counts[one] / sum(counts)
        counts[one] += 1
    return math.log2(probability.denominator) - math.log2(probability.numerator)


@pytest.mark.parametrize("size", [2, 5, 40])
def test_the_closed_form_is_the_codes_length_in_any_order(size: int) -> None:
    ids = np.random.default_rng(size).integers(0, size, 60) ** 2 % size
    expected = coded(ids.tolist(), size)
    assert kt_bits(np.bincount(ids, minlength=size)[None]) == pytest.approx(expected, rel=1e-12)
    assert coded(sorted(ids.tolist()), size) == pytest.approx(expected, rel=1e-12)


def test_both_tables_are_what_the_definition_says() -> None:
    ids = np.random.default_rng(0).integers(0, 6, (30, 3))
    found = CodebookUse(6)
    for part in np.split(ids, [7, 19]):
        found.update(torch.from_numpy(part))
    assert found.coded_bits == pytest.approx(coded(ids.flatten().tolist(), 6) / 30, rel=1e-12)
    assert found.coded_bits_by_position == pytest.approx(
        sum(coded(column.tolist(), 6) for column in ids.T) / 30, rel=1e-12
    )


def test_places_with_meanings_of_their_own_are_cheaper_by_position() -> None:
    """Three places, each of which uses two codes that the others do not: 1 bit a place instead of log2 6."""
    ids = torch.randint(0, 2, (4000, 3), generator=torch.Generator().manual_seed(0)) + torch.tensor([0, 2, 4])
    found = CodebookUse(6)
    found.update(ids)
    assert found.coded_bits == pytest.approx(3 * math.log2(6), rel=0.01)
    assert found.coded_bits_by_position == pytest.approx(3.0, rel=0.02)


def test_few_images_of_a_large_codebook_take_more_than_its_fixed_length() -> None:
    """Learning is paid for: that is said and not hidden."""
    found = CodebookUse(1024)
    found.update(torch.arange(200).view(100, 2))
    assert found.coded_bits > 2 * 10


def test_without_images_there_is_no_number() -> None:
    assert math.isnan(CodebookUse(4).coded_bits)
