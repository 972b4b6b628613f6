"""Training without a codebook: every stage, with finite scalar quantization in its place.

Run: pytest tests/training/test_finite_scalar.py
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from training.tiny import VQGAN_MODEL, images, pixel_losses, titok, training

from titok.config.training import ProxyCodeLosses, Training
from titok.models.vqgan import VQGAN
from titok.training.loop import Run
from titok.training.single_stage import SingleStageTask
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task
from titok.training.task import Task

LEVELS = {"fsq_levels": [5, 5, 3], "code_dim": 3, "codebook_size": 75, "codebook_init": "published"}


def stage1(settings: Training) -> Task:
    return Stage1Task(titok(**LEVELS), VQGAN(VQGAN_MODEL), ProxyCodeLosses(), settings)


def stage2(settings: Training) -> Task:
    return Stage2Task(titok(pixel_lookup="soft", **LEVELS), pixel_losses(0.0), settings)


def single_stage(settings: Training) -> Task:
    return SingleStageTask(titok(head="pixels", vqgan=None, **LEVELS), pixel_losses(1.0), settings)


@pytest.mark.parametrize("make", [stage1, stage2, single_stage])
def test_every_stage_trains(make: Callable[[Training], Task]) -> None:
    torch.manual_seed(0)
    settings = training(12)
    task = make(settings)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    run = Run(task, settings, seed=5, config={})
    for _ in range(12):
        run.train_one_step(images())
    moved = {
        name.split(".")[0] for name, value in task.model.state_dict().items() if not torch.equal(value, before[name])
    }
    frozen = {"encoder", "latent_tokens"} if make is stage2 else {"pixel_quantize", "pixel_decoder"}
    assert moved == {name.split(".")[0] for name in before} - frozen
    assert len(task.model.tokenize(images().batch(0).images.float() / 255).values.unique()) > 1


def test_the_encoder_learns_through_the_rounding() -> None:
    torch.manual_seed(0)
    task = stage1(training())
    [turn] = task.updates(images().batch(0), 0, torch.Generator().manual_seed(0))
    turn.terms["loss"].backward()
    assert task.model.latent_tokens.grad.abs().sum(dim=1).min() > 0
    assert {name: turn.terms[name].item() for name in turn.terms if "commitment" in name or "codebook" in name} == {
        "commitment_loss": 0.0,
        "codebook_loss": 0.0,
    }
