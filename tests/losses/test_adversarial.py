"""The GAN part gives the official numbers call by call, and neither player moves the other's parameters.

Run: pytest tests/losses/test_adversarial.py
"""

from __future__ import annotations

import pytest
import torch
from golden.loss_inputs import photographs, reconstructions
from golden.rule import Golden, load_golden, rule_state_dict
from torch import Tensor
from torch.nn import functional as F

from titok.config.model import DiscriminatorModel
from titok.config.training import Adversarial
from titok.losses.adversarial import AdversarialLoss, hinge_discriminator_loss, lecam_penalty

SMALL = DiscriminatorModel(channels=8, num_stages=2, pool_size=4, norm_groups=4)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden("loss_stage2")


def small(**settings: float) -> AdversarialLoss:
    torch.manual_seed(0)
    return AdversarialLoss(Adversarial(discriminator=SMALL, **{"start_step": 10, **settings}))  # type: ignore[arg-type]


def images(seed: int) -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def load_rule_weights(loss: AdversarialLoss, golden: Golden) -> None:
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items() if not entry.get("buffer")}
    loaded = loss.load_state_dict(rule_state_dict(shapes), strict=False)
    assert loaded.unexpected_keys == []
    assert set(loaded.missing_keys) == {key for key, entry in golden.keys.items() if entry.get("buffer")}


def test_the_official_calls_in_their_order(golden: Golden) -> None:
    loss = AdversarialLoss(Adversarial())
    load_rule_weights(loss, golden)
    logits = loss.discriminator(torch.cat([photographs(), reconstructions()]))
    for name, ours in zip(("real", "fake"), logits.detach().chunk(2), strict=True):
        wanted = torch.from_numpy(golden.outputs[f"discriminator_logits_{name}"])
        torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-4)
    loss.discriminator.forward = lambda _: logits  # type: ignore[method-assign]  # the weights stay: one run is enough
    calls = [(f"discriminator_call{index}", 20_000 + index) for index in range(3)]
    for name, step in [*calls, ("discriminator_before_start", 19_999)]:
        terms = loss.discriminator_terms(photographs(), reconstructions(), step)
        ours = torch.stack(
            [terms[key] for key in ("discriminator_loss", "real_logits_mean", "fake_logits_mean", "lecam_loss")]
        )
        torch.testing.assert_close(ours, torch.from_numpy(golden.outputs[f"{name}/loss_dict"]), rtol=1e-4, atol=0)
        if name in dict(calls):
            averages = torch.cat([loss.ema_real_logits_mean, loss.ema_fake_logits_mean])
            wanted = torch.from_numpy(golden.outputs[f"{name}/ema_after"])
            torch.testing.assert_close(averages, wanted, rtol=1e-4, atol=0)
        if name == "discriminator_call2":
            terms["discriminator_loss"].backward()
            norms = torch.stack([p.grad.norm() for p in loss.discriminator.parameters() if p.grad is not None])
            wanted = torch.from_numpy(golden.outputs[f"{name}/param_grad_norms"])
            torch.testing.assert_close(norms, wanted, rtol=1e-3, atol=1e-3 * wanted.max().item())


def test_hinge_and_lecam_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    assert hinge_discriminator_loss(real, fake) == pytest.approx(0.5 * ((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3))
    one = torch.ones(1)
    # Mean real logit 3 above the fake average 1; mean fake logit -1 below the real average 2.
    assert lecam_penalty(3 * one, -1 * one, 2 * one, 1 * one) == (3 - 1) ** 2 + (2 + 1) ** 2
    assert lecam_penalty(0 * one, 5 * one, 2 * one, 1 * one) == 0


def test_the_generator_pass_moves_the_reconstructions_but_not_the_discriminator() -> None:
    loss = small(weight=0.5)
    fake = images(1).requires_grad_()
    terms = loss.generator_terms(fake, step=10)
    terms["adversarial_loss"].backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in loss.discriminator.parameters())
    torch.testing.assert_close(terms["gan_loss"], -loss.discriminator(fake).mean())
    torch.testing.assert_close(terms["adversarial_loss"], 0.5 * terms["gan_loss"])


def test_the_discriminator_pass_moves_the_discriminator_but_not_the_images() -> None:
    loss = small()
    real, fake = images(0).requires_grad_(), images(1).requires_grad_()
    loss.discriminator_terms(real, fake, step=10)["discriminator_loss"].backward()
    assert real.grad is None
    assert fake.grad is None
    assert all(p.grad is not None for p in loss.discriminator.parameters())


@pytest.mark.parametrize(("weight", "step", "runs"), [(0.1, 9, False), (0.1, 10, True), (0.0, 10, False)])
def test_the_generator_pass_runs_the_discriminator_only_when_it_counts(weight: float, step: int, runs: bool) -> None:
    loss = small(weight=weight)
    calls: list[bool] = []
    loss.discriminator.register_forward_hook(lambda *_: calls.append(True))
    terms = loss.generator_terms(images(0), step)
    assert bool(calls) == runs == loss.is_active(step)
    assert runs or (terms["gan_loss"] == 0 and terms["adversarial_loss"] == 0)


def test_before_the_start_only_lecam_remains() -> None:
    loss = small(lecam_weight=2.0)
    terms = loss.discriminator_terms(images(0), images(1), step=9)
    assert terms["discriminator_loss"] == terms["lecam_loss"]


def test_a_discriminator_step_tells_real_from_fake_better() -> None:
    loss = small()
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-3)
    blurred = F.avg_pool2d(images(0), 3, stride=1, padding=1)
    history = []
    for step in range(10, 60):
        terms = loss.discriminator_terms(images(0), blurred, step)
        optimizer.zero_grad()
        terms["discriminator_loss"].backward()
        optimizer.step()
        history.append(terms["discriminator_loss"].item())
    assert history[-1] < 0.5 * history[0]


def test_moving_averages_survive_saving() -> None:
    loss, other = small(), small()
    loss.discriminator_terms(images(0), images(1), step=10)
    other.load_state_dict(loss.state_dict())
    assert other.ema_real_logits_mean == loss.ema_real_logits_mean != 0
