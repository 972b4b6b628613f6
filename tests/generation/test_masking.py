"""The training mask against the official code, and its distribution for the other schedules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from golden.rule import load_golden
from torch.utils._python_dispatch import TorchDispatchMode

from titok.generation.masking import MaskingDraws, draw_masking, mask_tokens, training_mask

SIZES = (16, 32, 64, 128, 256)
MASK_ID = 64


@pytest.mark.parametrize("size", SIZES)
def test_masks_are_the_official_ones(size: int) -> None:
    golden = load_golden("masking_input_tokens")
    given = {key: torch.from_numpy(golden.inputs[f"N{size}/{key}"]) for key in ("tokens", "u_timestep", "u_perm")}
    draws = MaskingDraws(given["u_timestep"], given["u_perm"], torch.ones(12))
    found = mask_tokens(given["tokens"].long(), MASK_ID, draws, "arccos", 0.1)
    assert found.mask.tolist() == golden.outputs[f"N{size}/masks"].tolist()
    assert found.tokens.tolist() == golden.outputs[f"N{size}/masked_tokens"].tolist()


@pytest.mark.parametrize("size", SIZES)
def test_draws_come_in_the_official_order(size: int) -> None:
    golden = load_golden("masking_input_tokens")
    draws = draw_masking(12, size, torch.Generator().manual_seed(7))
    mask = training_mask(draws.progress, draws.order, "arccos")
    assert mask.tolist() == golden.outputs[f"N{size}/masks_torch_seed7"].tolist()


@pytest.mark.parametrize("schedule", ["arccos", "cosine", "linear", "root"])
def test_number_of_masked_tokens(schedule: str) -> None:
    """At half way: 2/3, cos(pi/4), 1/2 and 1 - sqrt(1/2) of 60 tokens; one at the end; all at the start."""
    expected = {"arccos": 40, "cosine": 42, "linear": 30, "root": 18}[schedule]
    progress = torch.tensor([0.0, 0.5, 1 - 2**-24])
    order = torch.rand(3, 60, generator=torch.Generator().manual_seed(1))
    assert training_mask(progress, order, schedule).sum(dim=1).tolist() == [60, expected, 1]


class Sorts(TorchDispatchMode):
    """Whether each sort that is asked for must keep equal numbers in their order; a CPU's sort always does."""

    def __init__(self) -> None:
        super().__init__()
        self.stable: list[bool | None] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.sort, torch.ops.aten.argsort):
            self.stable.append((kwargs or {}).get("stable", False))
        return func(*args, **(kwargs or {}))


def test_equal_draws_are_ordered_alike_on_every_device() -> None:
    with Sorts() as sorts:
        mask = training_mask(torch.tensor([0.5]), torch.zeros(1, 64), "linear")
    assert sorts.stable == [True]
    assert mask[0].tolist() == [True] * 32 + [False] * 32


def test_every_position_is_masked_equally_often() -> None:
    draws = draw_masking(4000, 8, torch.Generator().manual_seed(3))
    mask = training_mask(torch.full((4000,), 0.5), draws.order, "linear").float()
    # Half of the positions per sample; five standard errors of a fair coin.
    assert (mask.mean(dim=0) - 0.5).abs().max() < 5 * 0.5 / 4000**0.5


def test_classes_are_dropped_with_the_given_probability() -> None:
    tokens = torch.zeros(4000, 2, dtype=torch.int64)
    draws = draw_masking(4000, 2, torch.Generator().manual_seed(3))
    for probability in (0.0, 0.1, 1.0):
        share = mask_tokens(tokens, 9, draws, "arccos", probability).drop.float().mean().item()
        assert share == pytest.approx(probability, abs=5 * (probability * (1 - probability) / 4000) ** 0.5)


def test_unmasked_tokens_keep_their_ids() -> None:
    tokens = torch.randint(0, 50, (16, 12), generator=torch.Generator().manual_seed(0))
    found = mask_tokens(tokens, 50, draw_masking(16, 12, torch.Generator().manual_seed(1)), "arccos", 0.1)
    assert torch.equal(found.tokens[~found.mask], tokens[~found.mask])
    assert (found.tokens[found.mask] == 50).all()
