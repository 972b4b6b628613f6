"""Searches by numpy find what torch's find."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from titok.runtime.search import argmax, argmin


@pytest.mark.parametrize(("find", "torchs"), [(argmin, torch.argmin), (argmax, torch.argmax)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_place_is_torchs(find: Callable, torchs: Callable, dtype: torch.dtype) -> None:
    """The first of equal ones, or the first that is no number."""
    rows = torch.randint(0, 9, (30, 10, 70), generator=torch.Generator().manual_seed(0)).to(dtype)
    rows[3, 0, 5] = rows[3, 0, 9] = rows[4, 9, 69] = float("nan")
    rows[5, 5] = float("inf")
    rows[6, 6] = -float("inf")
    found = find(rows)
    assert found.dtype == torch.int64
    assert found.shape == (30, 10)
    assert torch.equal(found, torchs(rows, dim=-1))
    assert (found[3, 0], found[4, 9], found[5, 5], found[6, 6]) == (5, 69, 0, 0)


def test_strided_and_differentiable_rows_are_searched_too() -> None:
    rows = torch.randn(8, 40, 6, requires_grad=True).transpose(1, 2)
    assert torch.equal(argmax(rows), rows.argmax(dim=-1))
    assert argmin(torch.randn(7)).ndim == 0


def test_other_devices_search_themselves() -> None:
    assert argmin(torch.empty(3, 4, device="meta")).device.type == "meta"
