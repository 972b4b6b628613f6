"""Weight-decay groups against the released rule, and what one update does (against plain AdamW and clipping)."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from training.several import in_processes
from training.tiny import build

from titok.config.training import Compute, Optimizer, Schedule, Training
from titok.training.gradients import LARGEST_LOSS_SCALE
from titok.training.health import Window
from titok.training.optimizer import Player, is_decayed, parameter_groups


def player(module: nn.Module, max_grad_norm: float = 1.0) -> Player:
    training = Training(
        steps=10,
        optimizer=Optimizer(learning_rate=0.01, betas=(0.9, 0.99), weight_decay=0.1),
        schedule=Schedule(kind="constant", warmup_steps=0),
        max_grad_norm=max_grad_norm,
    )
    return Player(module, training)


@pytest.mark.parametrize(
    ("name", "shape", "decayed"),
    [
        ("encoder.blocks.0.attn.qkv.weight", (6, 2), True),
        ("encoder.blocks.0.attn.qkv.bias", (6,), False),
        ("encoder.blocks.0.norm1.weight", (2,), False),
        ("encoder.patch_embed.weight", (2, 3, 4, 4), False),
        ("latent_tokens", (4, 2), False),
        ("decoder.mask_token", (1, 1, 2), False),
        ("quantize.embedding.weight", (8, 2), False),
        ("scale", (2,), False),
    ],
)
def test_what_weight_decay_pulls_on(name: str, shape: tuple[int, ...], decayed: bool) -> None:
    assert is_decayed(name, torch.zeros(shape)) == decayed


def test_groups_hold_every_parameter_once() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    spared, decayed = parameter_groups(dict(module.named_parameters()), 0.1)
    assert (spared["weight_decay"], decayed["weight_decay"]) == (0.0, 0.1)
    assert len(spared["params"]) == 3
    assert decayed["params"][0] is module[0].weight
    assert len(parameter_groups({"a.bias": nn.Parameter(torch.zeros(2))}, 0.1)) == 1


@pytest.mark.parametrize("max_grad_norm", [0.1, 1e9])
def test_updates_equal_clipped_adamw(max_grad_norm: float) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    reference = copy.deepcopy(module)
    ours = player(module, max_grad_norm)
    decayed = [value for name, value in reference.named_parameters() if name.endswith("weight")]
    spared = [value for name, value in reference.named_parameters() if name.endswith("bias")]
    adamw = torch.optim.AdamW(
        [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.1}],
        lr=0.01,
        betas=(0.9, 0.99),
        foreach=False,
    )
    for step in range(5):
        x = torch.randn(8, 3)
        norm = ours.update(module(x).square().mean(), step)
        adamw.zero_grad()
        reference(x).square().mean().backward()
        total = torch.stack([p.grad.norm() for p in reference.parameters()]).norm()
        for parameter in reference.parameters():
            parameter.grad *= min(1.0, max_grad_norm / (float(total) + 1e-6))
        adamw.step()
        torch.testing.assert_close(norm, total)
    for found, expected in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_non_finite_loss_updates_nothing_then_or_later(poison: float) -> None:
    module = nn.Linear(2, 1)
    ours = player(module)
    x = torch.ones(4, 2)
    ours.update(module(x).mean(), 0)
    before = copy.deepcopy(ours.state_dict())
    ours.update(module(x).mean() * poison, 1)
    ours.update(module(x).mean(), 2)
    after = ours.state_dict()
    for name, value in before["parameters"].items():
        assert torch.equal(after["parameters"][name], value)
    for index, moments in before["optimizer"]["state"].items():
        assert all(torch.equal(after["optimizer"]["state"][index][key], value) for key, value in moments.items())


def test_a_late_player_has_its_own_clock() -> None:
    training = Training(steps=12, schedule=Schedule(warmup_steps=2, end_learning_rate=0.0))
    late = Player(nn.Linear(1, 1), training, learning_rate=1.0, start_step=6)
    assert [late.learning_rate(step) for step in (6, 7, 8, 10)] == pytest.approx([0.0, 0.5, 1.0, 0.5])


def test_a_module_without_trainable_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no trainable parameter"):
        player(nn.Linear(1, 1).requires_grad_(False))


def scaled_players(growth_interval: int) -> tuple[Player, Player]:
    """Two players in float16 with one loss scale, which starts at 4 and doubles after so many good steps."""
    training = Training(
        steps=10,
        optimizer=Optimizer(learning_rate=0.01),
        schedule=Schedule(kind="constant", warmup_steps=0),
        compute=Compute(precision="fp16"),
    )
    torch.manual_seed(0)
    first = Player(nn.Linear(3, 1), training)
    second = Player(nn.Linear(3, 1), training, scaler=first.scaler)
    first.scaler.load_state_dict(scaler_state(growth_interval))
    return first, second


def scaler_state(growth_interval: int) -> dict[str, float]:
    growth = {"growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": growth_interval, "_growth_tracker": 0}
    return {"scale": 4.0, **growth}


def test_two_players_scale_their_losses_as_one_released_scaler_does() -> None:
    """The released code: one scaler for both optimizers, updated after each one's step, whatever the other did."""
    ours = scaled_players(growth_interval=3)
    theirs = [{name: value.detach().clone().requires_grad_() for name, value in one.parameters.items()} for one in ours]
    optimizers = [torch.optim.AdamW(values.values(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.0) for values in theirs]
    reference = torch.amp.GradScaler("cpu")
    reference.load_state_dict(scaler_state(3))
    scales = []
    for step in range(6):
        x = torch.full((2, 3), 1e30 if step == 2 else 0.1)
        for number, (player, values, optimizer) in enumerate(zip(ours, theirs, optimizers, strict=True)):
            factor = 3e8 if (step, number) == (2, 0) else 1.0  # finite in float32, but not once it is scaled
            inputs = x if number == 0 else torch.full((2, 3), 0.1)
            player.update(factor * (inputs @ player.parameters["weight"].t() + player.parameters["bias"]).mean(), step)
            optimizer.zero_grad()
            reference.scale(factor * (inputs @ values["weight"].t() + values["bias"]).mean()).backward()
            reference.unscale_(optimizer)
            nn.utils.clip_grad_norm_(values.values(), 1.0)
            reference.step(optimizer)
            reference.update()
            scales.append(float(player.loss_scale))
            assert scales[-1] == reference.get_scale()
    # Two good steps, one of each, in every step of the training; the fifth is the one that overflows.
    assert scales == [4, 4, 8, 8, 4, 4, 4, 8, 8, 8, 16, 16]
    for player, values in zip(ours, theirs, strict=True):
        for name, value in values.items():
            torch.testing.assert_close(player.parameters[name], value)


def test_a_discriminator_has_the_models_loss_scale() -> None:
    for name in ("stage2", "single_stage_vq", "vqgan"):
        players = build(name, compute=Compute(precision="fp16")).task.players
        assert players["discriminator"].scaler is players["model"].scaler


def test_the_loss_scale_and_its_line_of_the_log_stay_finite() -> None:
    """300,000 good steps double the scale 150 times; a player in float32 meets nothing that would lower it."""
    player, _ = scaled_players(growth_interval=1)
    for step in range(150):
        player.update(player.parameters["weight"].sum(), step)
    assert player.loss_scale == LARGEST_LOSS_SCALE

    def work() -> None:
        window = Window(None, torch.device("cpu"))
        for step in range(50):
            window.add(step, "discriminator", {"loss": torch.ones(()), "loss_scale": player.loss_scale}, torch.ones(()))
        assert window.close()["discriminator_loss_scale"] == LARGEST_LOSS_SCALE

    assert in_processes(2, work) == [0, 0]
