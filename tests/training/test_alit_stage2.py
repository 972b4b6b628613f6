"""ALIT's stage 2: whose turn it is, what learns, and an adversary for every length.

Run: pytest tests/training/test_alit_stage2.py
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from training.several import in_processes
from training.tiny import alit, alit_stage2_task, images, training

from titok.config.alit import BatchNormDiscriminator, GanPhase, LengthPixelLosses
from titok.config.training import Compute, Perceptual
from titok.losses.length_pixels import LengthPixelLoss
from titok.models.patchgan import SharedBatchNorm
from titok.runtime.processes import place
from titok.runtime.seed import generator
from titok.training.alit_stage2 import AlitStage2Task
from titok.training.loop import Run


def task() -> AlitStage2Task:
    torch.manual_seed(0)
    return alit_stage2_task(training())


def test_lengths_take_turns_and_then_so_do_players() -> None:
    turns = [tuple(task().turn(step)) for step in range(18)]
    assert turns[:3] == [(0, True), (1, True), (2, True)]
    cycles = [[(length, False), (length, False), (length, True)] for length in (0, 1, 2, 3, 0)]
    assert turns[3:] == [turn for cycle in cycles for turn in cycle]


def test_without_an_adversary_lengths_take_turns_for_ever() -> None:
    config = LengthPixelLosses(perceptual=Perceptual(kind="none"), phases=())
    alone = AlitStage2Task(alit(), LengthPixelLoss(config, None, 4), training())
    assert [alone.turn(step) for step in (0, 5, 1_000_003)] == [(0, True), (1, True), (3, True)]


def test_only_the_player_whose_turn_it_is_moves() -> None:
    stage2 = task()
    run = Run(stage2, training(12), seed=0, config={})
    batches = images()
    for step in range(12):
        before = {name: value.detach().clone() for name, value in stage2.named_parameters()}
        turn = stage2.turn(step)
        run.train_one_step(batches)
        moved = {name for name, value in stage2.named_parameters() if not torch.equal(value, before[name])}
        if step == 0:
            assert not moved  # the first update's rate is 0
        elif turn.is_model:
            assert moved
            assert all(name.startswith("model.") for name in moved)
        else:
            assert moved
            assert all(name.startswith(f"losses.discriminators.{turn.iteration}.") for name in moved)


def test_all_but_the_base_s_codebook_and_the_mask_token_learns() -> None:
    stage2 = task()
    [turn] = stage2.updates(images().batch(0), 2, generator(0, "step", 2))
    turn.terms["loss"].backward()
    still = {name for name, value in stage2.model.named_parameters() if value.grad is None}
    assert still == {"base.quantize.embedding.weight", "encoder.mask_token"}


def test_phases_say_how_much_the_adversary_counts() -> None:
    config = LengthPixelLosses(
        phases=(
            GanPhase(start_step=5, weight=0.0),
            GanPhase(start_step=10, weight=0.2),
            GanPhase(start_step=20, weight=0.8),
        )
    )
    assert [config.gan_weight(step) for step in (0, 9, 10, 19, 20, 99)] == [0, 0, 0.2, 0.2, 0.8, 0.8]
    assert config.start_step == 10
    assert LengthPixelLosses(phases=()).gan_weight(5) == 0
    with pytest.raises(ValidationError, match="in the order of their start"):
        LengthPixelLosses(phases=(GanPhase(start_step=5, weight=0.1), GanPhase(start_step=5, weight=0.2)))


def test_what_it_cannot_do_is_refused() -> None:
    losses = LengthPixelLoss(
        LengthPixelLosses(perceptual=Perceptual(kind="none"), adversary_in_model_step=True), None, 4
    )
    with pytest.raises(ValueError, match="adversary_in_model_step is true"):
        AlitStage2Task(alit(), losses, training())
    with pytest.raises(ValueError, match="micro_batch_size is 4, but the norms of ALIT's adversaries"):
        alit_stage2_task(training(compute=Compute(micro_batch_size=4)))
    with pytest.raises(ValueError, match=r"perceptual\.kind is 'lpips' but the perceptual loss given is NoneType"):
        LengthPixelLoss(LengthPixelLosses(discriminator=BatchNormDiscriminator(channels=4)), None, 4)


def test_a_shared_norm_of_one_process_is_torch_s() -> None:
    torch.manual_seed(0)
    ours, theirs, batch = SharedBatchNorm(3), nn.BatchNorm2d(3), torch.randn(4, 3, 5, 5)
    assert torch.equal(ours(batch), theirs(batch))
    assert torch.equal(ours.running_var, theirs.running_var)


def normed(rank: int, world_size: int) -> dict[str, Any]:
    """Rows of a fixed batch through a norm, with the gradient of a loss of all rows."""
    torch.manual_seed(0)
    batch, weights = torch.randn(8, 3, 5, 5) + 2, torch.randn(8, 3, 5, 5)
    own = slice(rank * 8 // world_size, (rank + 1) * 8 // world_size)
    norm, rows = SharedBatchNorm(3), batch[own].clone().requires_grad_()
    out = norm(rows)
    (out * weights[own]).sum().backward()
    return {"out": out.detach(), "grad": rows.grad, "mean": norm.running_mean, "var": norm.running_var}


def save_normed(folder: Any) -> None:
    torch.save(normed(place().rank, place().world_size), folder / f"{place().rank}.pt")


def test_a_shared_norm_of_two_processes_is_that_of_one(tmp_path: Any) -> None:
    assert in_processes(2, partial(save_normed, tmp_path)) == [0, 0]
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    whole = normed(0, 1)
    for name in ("out", "grad"):
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), whole[name], rtol=1e-4, atol=1e-5)
    for name in ("mean", "var"):
        assert torch.equal(parts[0][name], parts[1][name])
        torch.testing.assert_close(parts[0][name], whole[name], rtol=1e-5, atol=1e-6)
