"""Five optimizer steps of a tiny generator against the official training code."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from golden.rule import HERE, Golden, load_golden, rule_state_dict
from torch import Tensor

from titok.config.training import MaskedTokenLosses, Optimizer, Schedule
from titok.generation.masking import MaskingDraws, mask_tokens
from titok.losses.masked_token import masked_token_loss
from titok.models.generator import MaskGIT, build_generator
from titok.models.published_generators import from_published, generator_model, to_published
from titok.training.ema import Ema
from titok.training.optimizer import Player

FOLDER = "train_steps_generator_vit_tiny"
NUM_STEPS = 5


@dataclass(frozen=True)
class Run:
    """What our pieces made of the golden inputs."""

    golden: Golden
    model: MaskGIT
    ema: Ema
    masks: list[Tensor]
    losses: list[list[float]]
    grad_norms: list[float]
    learning_rates: list[float]


@pytest.fixture(scope="module")
def run() -> Run:
    golden = load_golden(FOLDER)
    config = generator_model(json.loads((HERE / FOLDER / "config.json").read_text()))
    model = build_generator(config).train()
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items()}
    model.load_state_dict(from_published(rule_state_dict(shapes, golden.multipliers), config))
    player = Player(
        model,
        Optimizer(learning_rate=2e-4, betas=(0.9, 0.96), weight_decay=0.03),
        Schedule(warmup_steps=2, end_learning_rate=1e-5),
        total_steps=NUM_STEPS,
        max_grad_norm=1.0,
    )
    result = Run(golden, model, Ema(player.parameters, 0.999), [], [], [], [])
    given = {key: torch.from_numpy(values) for key, values in golden.inputs.items()}
    for step in range(NUM_STEPS):
        draws = MaskingDraws(given["u_timestep"][step], given["u_perm"][step], given["u_label"][step])
        tokens = given["tokens"][step].long()
        masked = mask_tokens(tokens, model.token_space.mask_id, draws, "arccos", config.class_dropout_prob)
        logits = model(masked.tokens, given["conditions"][step].long(), masked.drop)
        loss, accuracy = masked_token_loss(logits, tokens, masked.mask, MaskedTokenLosses())
        result.grad_norms.append(float(player.update(loss, step)))
        result.ema.update()
        result.masks.append(masked.mask)
        result.losses.append([loss.item(), accuracy.item()])
        result.learning_rates.append(player.learning_rate(step))
    return result


def test_masks(run: Run) -> None:
    np.testing.assert_array_equal(torch.stack(run.masks), run.golden.outputs["masks"])


def test_losses_and_gradient_norms(run: Run) -> None:
    np.testing.assert_allclose(run.losses, run.golden.outputs["loss_log"], rtol=1e-5)
    np.testing.assert_allclose(run.grad_norms, run.golden.outputs["grad_norms"], rtol=1e-5)


def test_learning_rates(run: Run) -> None:
    np.testing.assert_allclose(run.learning_rates, run.golden.outputs["lr_used"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("which", ["final", "ema_final"])
def test_weights_after_the_last_step(run: Run, which: str) -> None:
    """To 1e-6, where one update moves a weight by about 1e-4.

    Except for key biases: softmax ignores them, so their gradient is rounding noise that Adam blows up to full steps.
    """
    ours = {name: value.detach() for name, value in run.model.named_parameters()}
    if which == "ema_final":
        ours = dict(run.ema.shadow)
    published = to_published(ours, run.model.config)
    for row, name in enumerate(run.golden.extra["param_names"]):
        value = published[name]
        stats = torch.stack([value.mean(), value.std(correction=0), value.abs().max()])
        atol = 3e-4 if name.endswith("key.bias") else 1e-6
        head = torch.nn.functional.pad(value.flatten()[:8], (0, max(0, 8 - value.numel())))
        for found, key in ((stats, "param_stats"), (head, "param_first8")):
            expected = torch.from_numpy(run.golden.outputs[f"{which}/{key}"][row])
            torch.testing.assert_close(found, expected, rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
